"""A bad tube is named and left out; the others get their reports."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from flowmrd.engine.plan import plan_run
from flowmrd.fcs.writer import ChannelSpec, write_fcs
from workflow.runs import flowmrd, snakemake
from workflow.wrong_tubes import compensated, inverse, other_channels, rewrite, second_matrix

pytestmark = [pytest.mark.workflow, pytest.mark.timeout(1800)]

BAD_ROWS = (
    ("twice", "P08", "followup", "{good}", ""),
    ("twice", "P08", "followup", "{good}", ""),
    ("../escape", "P09", "followup", "{good}", ""),
    ("unknown-panel", "P10", "followup", "{good}", "ino11"),
    ("missing-file", "P11", "followup", "nowhere.fcs", ""),
    ("not-fcs", "P12", "followup", "text.fcs", ""),
    ("no-backbone", "P13", "followup", "other.fcs", ""),
    ("cut-short", "P14", "followup", "short.fcs", ""),
)

TURNING = {
    "compensated-twice": (compensated, "far below zero after compensation"),
    "inverse-matrix": (inverse, "looks like the inverse"),
    "other-channels": (other_channels, "without 10 of the panel"),
    "second-matrix": (second_matrix, "that differ"),
}
"""Tubes whose verdict was turned round once, and what is said of each."""


@pytest.fixture
def mixed(few: Callable[[Sequence[str]], Path], simulated: Path) -> Path:
    """One good follow-up tube without diagnosis and without controls, among everything that can be wrong."""
    import numpy as np

    run = few(["P01-day21"])
    good = simulated / "fcs/P01-day21.fcs"
    (run / "config/text.fcs").write_text("patient,percent\n1,2\n")
    (run / "config/short.fcs").write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    columns = [np.linspace(0, 1000, 2000, dtype=np.float32) for _ in range(3)]
    write_fcs(
        run / "config/other.fcs", columns, [ChannelSpec(name, "", 262144) for name in ("FSC-A", "SSC-A", "FL1-A")]
    )
    sheet = run / "config/samples.tsv"
    lines = ["sample\tpatient\trole\tfcs\tpanel", f"good\tP01\tfollowup\t{good}\t"]
    lines += ["\t".join(row).format(good=good) for row in BAD_ROWS]
    for number, (name, (fault, _)) in enumerate(TURNING.items(), start=21):
        rewrite(good, fault, to=run / f"config/{name}.fcs")
        lines.append(f"{name}\tP{number}\tfollowup\t{name}.fcs\t")
    sheet.write_text("\n".join(lines) + "\n")
    return run


def test_check_names_everything_that_is_wrong_at_once_with_lines_and_suggestions(mixed: Path) -> None:
    done = flowmrd("check", mixed)
    said = " ".join(done.stdout.replace("│", " ").split())
    assert done.returncode == 2
    for words in ("line 4", "twice", "line 5", "escape", "ino11", "did you mean ino10", "no such file", "not-fcs"):
        assert words in said, words
    for words in ("CD45", "cut-short", "no diagnosis tube", "0 control tubes"):
        assert words in said, words
    assert "Traceback" not in done.stdout + done.stderr


def test_the_good_tube_gets_its_report_and_the_bad_ones_their_reasons(mixed: Path) -> None:
    done = flowmrd("run", mixed, "--cores", 2)
    assert done.returncode == 2, done.stdout + done.stderr
    assert (mixed / "results/samples/good/report.html").is_file()
    assert '"class": "INDETERMINATE"' in (mixed / "results/samples/good/mrd.json").read_text()
    for tube in ("unknown-panel", "missing-file", "not-fcs", "no-backbone", "cut-short", "twice"):
        assert tube in done.stdout, tube
    table = (mixed / "results/cohort/mrd.tsv").read_text()
    for tube in ("unknown-panel", "missing-file", "not-fcs", "no-backbone", "cut-short"):
        assert tube in table, tube
        assert not (mixed / "results/samples" / tube).exists()
    for tube, (_, why) in TURNING.items():
        (line,) = [line for line in table.splitlines() if line.startswith(f"{tube}\t")]
        assert why in line, line
        assert not (mixed / "results/samples" / tube).exists()
    assert not list(mixed.rglob("*.part"))


def test_nothing_usable_ends_in_a_message_and_exit_code_2(few: Callable[[Sequence[str]], Path]) -> None:
    run = few([])
    done = flowmrd("run", run)
    assert done.returncode == 2
    assert "no tube that can be worked on" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_an_unknown_profile_is_refused(few: Callable[[Sequence[str]], Path]) -> None:
    done = flowmrd("run", few(["CTRL01"]), "--profile", "slrum", "--dry-run")
    assert done.returncode == 2
    assert "did you mean slurm" in done.stderr


def test_a_control_that_fails_late_does_not_take_the_others_down(
    few: Callable[[Sequence[str]], Path], simulated: Path
) -> None:
    """Its header is fine; that its events are not numbers shows in preprocessing only."""
    import numpy as np

    run = few(["CTRL01", "CTRL02", "P01-day21"])
    source = simulated / "fcs/CTRL02.fcs"
    data = bytearray(source.read_bytes())
    begin, end = int(data[26:34]), int(data[34:42])
    values = np.frombuffer(bytes(data[begin : end + 1]), dtype="<f4").copy()
    values[: len(values) // 2] = np.nan
    data[begin : end + 1] = values.tobytes()
    broken = run / "config/broken.fcs"
    broken.write_bytes(bytes(data))
    sheet = run / "config/samples.tsv"
    sheet.write_text(sheet.read_text().replace(str(source), str(broken)))
    done = flowmrd("run", run, "--cores", 2)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "NOT PROCESSED CTRL02" in done.stdout
    assert "NaN" in done.stdout
    for tube in ("CTRL01", "P01-day21"):
        assert (run / f"results/samples/{tube}/report.html").is_file()
    assert "CTRL02" in (run / "results/cohort/mrd.tsv").read_text()
    assert "Nothing to be done" in (again := snakemake(run, "--dry-run")).stdout + again.stderr
    # put right, it is taken up again
    shutil.copyfile(source, broken)
    assert "CTRL02" in plan_run(run).samples


def test_a_results_folder_that_cannot_be_written_is_named(few: Callable[[Sequence[str]], Path]) -> None:
    run = few(["CTRL01"])
    (run / "results").write_text("a file where a folder should be")
    done = flowmrd("run", run, "--cores", 1)
    assert done.returncode != 0
    assert "Traceback" not in done.stdout + done.stderr
    assert str(run) in done.stdout + done.stderr
