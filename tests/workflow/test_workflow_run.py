"""The workflow really run: what it makes, what it makes again, and what it leaves alone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flowmrd.home import PANELS, REPOSITORY
from flowmrd.mrd.result import MrdResult
from flowmrd.panel import load_panel
from flowmrd.simulate.cohort import write_tube
from flowmrd.simulate.design import FollowUp, patients, tube_seed
from flowmrd.simulate.tube import simulate_tube
from workflow.runs import ENVIRONMENT, digests, flowmrd, planned, snakemake, times

pytestmark = [pytest.mark.workflow, pytest.mark.timeout(1800)]

TUBES = ("CTRL01", "CTRL02", "CTRL03", "CTRL04", "P01-dx", "P01-day21", "P02-dx", "P02-day21")
CONTRACT = ("mrd.json", "report.html", "populations.tsv", "qc.json", "gates.xml", "events.parquet", "annotated.fcs")


def copy_of(run: Path, tmp_path: Path, name: str = "copy") -> Path:
    return Path(shutil.copytree(run, tmp_path / name, symlinks=True))


def test_every_tube_gets_every_file_of_the_contract(finished: Path) -> None:
    for tube in TUBES:
        for name in CONTRACT:
            assert (finished / "results/samples" / tube / name).stat().st_size > 0, (tube, name)
        result = MrdResult.model_validate_json((finished / "results/samples" / tube / "mrd.json").read_text())
        assert result.sample == tube
    assert (finished / "results/cohort/index.html").is_file()
    assert len((finished / "results/cohort/mrd.tsv").read_text().splitlines()) == 1 + len(TUBES)
    assert json.loads((finished / "results/provenance.json").read_text())["software"]["flowmrd"]


def test_nothing_is_written_outside_results(finished: Path, simulated: Path) -> None:
    assert {path.name for path in finished.iterdir()} - {path.name for path in simulated.iterdir()} <= {
        "results",
        ".snakemake",
    }


def test_event_files_of_followups_are_removed_and_no_half_written_file_is_left(finished: Path) -> None:
    assert not list((finished / "results/work/P01-day21").glob("*.arrow"))
    assert (finished / "results/work/CTRL01/gated.arrow").is_file()
    assert not list(finished.rglob("*.part"))


def test_every_step_leaves_a_log_and_what_it_used(finished: Path) -> None:
    for stage in ("ingest", "preprocess", "gate", "judge"):
        assert (finished / f"results/logs/{stage}/CTRL01.log").is_file(), stage
        assert (finished / f"results/benchmarks/{stage}/CTRL01.tsv").stat().st_size > 0, stage


@pytest.mark.parametrize(("tube", "most"), [("P01-day21", 1), ("CTRL01", 4), ("P01-dx", 2)])
def test_a_tube_starts_few_interpreters_from_its_file_to_its_report(finished: Path, tube: str, most: int) -> None:
    """Every start leaves a log of its own; besides, one process learns the phenotype from a diagnosis tube."""
    assert 1 <= len(list((finished / "results/logs").glob(f"*/{tube}.log"))) <= most


def test_results_are_never_world_writable(finished: Path) -> None:
    assert not [path for path in (finished / "results").rglob("*") if path.stat().st_mode & 0o002]


def test_running_again_does_nothing(finished: Path) -> None:
    run = snakemake(finished, "--dry-run")
    assert run.returncode == 0
    assert "Nothing to be done" in run.stdout + run.stderr


def test_another_file_time_of_the_panel_alone_redoes_nothing(finished: Path) -> None:
    """Panels count by content: a fresh checkout has new file times."""
    panel = REPOSITORY / "panels/ino10.yaml"
    stat = panel.stat()
    os.utime(panel)
    try:
        assert planned(finished) == []
    finally:
        os.utime(panel, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.mark.parametrize("tube", ["CTRL02", "P01-dx", "P02-day21"])
def test_deleting_one_tubes_results_redoes_that_tube_only(finished: Path, tmp_path: Path, tube: str) -> None:
    run = copy_of(finished, tmp_path)
    shutil.rmtree(run / "results/samples" / tube)
    jobs = planned(run)
    assert jobs
    others = [job for job in jobs if not job.startswith((f"{tube}:", "cohort:", "provenance:", "all"))]
    assert others == []


def test_a_deleted_reference_and_phenotype_are_made_again_with_the_same_bytes(finished: Path, tmp_path: Path) -> None:
    run = copy_of(finished, tmp_path)
    before = digests(run)
    for name in ("reference", "laip"):
        shutil.rmtree(run / "results" / name)
    again = snakemake(run)
    assert again.returncode == 0, again.stdout + again.stderr
    assert digests(run) == before


def test_a_redone_tube_has_the_same_bytes_and_the_others_are_not_touched(finished: Path, tmp_path: Path) -> None:
    run = copy_of(finished, tmp_path)
    before = {tube: times(run / "results/samples" / tube) for tube in TUBES if tube != "P02-day21"}
    shutil.rmtree(run / "results/samples/P02-day21")
    again = snakemake(run)
    assert again.returncode == 0, again.stdout + again.stderr
    assert {tube: times(run / "results/samples" / tube) for tube in before} == before
    assert digests(run) == digests(finished)


def test_a_deleted_event_file_of_a_control_is_made_again_for_a_page_that_draws_it(
    finished: Path, tmp_path: Path
) -> None:
    run = copy_of(finished, tmp_path)
    (run / "results/work/CTRL02/preprocessed.arrow").unlink()
    assert planned(run) == [], "no page is due"
    shutil.rmtree(run / "results/samples/P02-day21")
    again = snakemake(run)
    assert again.returncode == 0, again.stdout + again.stderr
    assert digests(run) == digests(finished)


def test_two_runs_have_the_same_bytes_even_where_folder_and_file_names_are_hostile(
    simulated: Path, finished: Path, tmp_path: Path
) -> None:
    """Spaces, quotes, braces, ``$()`` and backticks reach the shell as what they are: names."""
    name = 'it\'s a "run" $(touch pwned) `touch pwned`'
    run = copy_of(simulated, tmp_path, name)
    sheet = run / "config/samples.tsv"
    text = sheet.read_text()
    for file in sorted((run / "fcs").glob("*.fcs")):
        hostile = f"{file.stem} $(touch pwned) 'x' \"y\" {{z}} ; & é.fcs"
        file.rename(file.with_name(hostile))
        text = text.replace(f"../fcs/{file.name}", f"../fcs/{hostile}")
    sheet.write_text(text)
    done = flowmrd("run", run, "--cores", 2)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not [*tmp_path.rglob("pwned"), *REPOSITORY.glob("pwned")]
    assert digests(run) == digests(finished)


def test_a_killed_run_continues_to_the_same_bytes(simulated: Path, finished: Path, tmp_path: Path) -> None:
    run = copy_of(simulated, tmp_path)
    command = [sys.executable, "-m", "flowmrd", "run", str(run), "--cores", "2"]
    process = subprocess.Popen(
        command, env=ENVIRONMENT, cwd=REPOSITORY, start_new_session=True, stdout=subprocess.DEVNULL
    )
    while not list(run.glob("results/samples/*/qc.json")):
        assert process.poll() is None
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert list((run / ".snakemake/locks").iterdir())
    again = flowmrd("run", run, "--cores", 2)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "lock is cleared" in again.stdout
    assert digests(run) == digests(finished)


def test_a_second_run_in_the_same_directory_is_refused(simulated: Path, tmp_path: Path) -> None:
    run = copy_of(simulated, tmp_path)
    command = [sys.executable, "-m", "flowmrd", "run", str(run), "--cores", "1"]
    process = subprocess.Popen(
        command, env=ENVIRONMENT, cwd=REPOSITORY, start_new_session=True, stdout=subprocess.DEVNULL
    )
    try:
        while not (run / "results/logs/snakemake.log").is_file():
            assert process.poll() is None
            time.sleep(0.1)
        second = flowmrd("run", run, "--cores", 1)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert second.returncode == 2
    assert "still going on" in second.stderr


def test_a_changed_configuration_redoes_what_depends_on_it_only(finished: Path, tmp_path: Path) -> None:
    run = copy_of(finished, tmp_path)
    config = run / "config/config.yaml"
    config.write_text(config.read_text() + "report: {laboratory: Example}\n")
    redone = {job.split(": ", maxsplit=1)[-1] for job in planned(run)}
    assert "looking for leukaemic cells, report" in redone
    for learned in ("scaling learned from the controls", "gates learned from the controls"):
        assert learned not in redone
    assert "normal reference from the controls" not in redone


LEARNED = ("scaling learned from the controls", "gates learned from the controls", "normal reference from the controls")


def test_everything_learned_from_a_replaced_control_is_learned_again_at_once(
    finished: Path, drawn_again: Path, tmp_path: Path
) -> None:
    """Snakemake does not look at the parameters of what comes after a job that runs."""
    run = copy_of(finished, tmp_path)
    shutil.copyfile(drawn_again / "CTRL02.fcs", run / "fcs/CTRL02.fcs")
    jobs = planned(run)
    for what in LEARNED:
        assert f"ino10: {what}" in jobs
    for tube in TUBES:
        assert f"{tube}: looking for leukaemic cells, report" in jobs
    assert "CTRL01: reading the FCS file" not in jobs


def test_the_phenotype_of_a_replaced_diagnosis_tube_is_learned_again_at_once(
    finished: Path, drawn_again: Path, tmp_path: Path
) -> None:
    run = copy_of(finished, tmp_path)
    shutil.copyfile(drawn_again / "P01-dx.fcs", run / "fcs/P01-dx.fcs")
    jobs = planned(run)
    assert "P01: phenotype of the leukaemia" in jobs
    assert "P01-day21: looking for leukaemic cells, report" in jobs
    # tubes without a phenotype of their own are looked at with those of the patients, the others stay as they are
    assert not [job for job in jobs if job.startswith("P02")]
    assert "CTRL01: gating" not in jobs


def test_a_configuration_that_changes_the_masks_changes_what_is_learned_at_once(finished: Path, tmp_path: Path) -> None:
    run = copy_of(finished, tmp_path)
    config = run / "config/config.yaml"
    config.write_text(config.read_text() + "quality: {min_events: 900}\n")
    jobs = planned(run)
    assert f"ino10: {LEARNED[0]}" not in jobs
    for what in LEARNED[1:]:
        assert f"ino10: {what}" in jobs


def test_a_new_tube_leaves_the_results_of_the_others(finished: Path, tmp_path: Path) -> None:
    run = copy_of(finished, tmp_path)
    sheet = run / "config/samples.tsv"
    sheet.write_text(sheet.read_text() + "P02-day42\tP02\tfollowup\t../fcs/P02-day21.fcs\tday42\tcd22\tsim1\t\n")
    others = [job for job in planned(run) if not job.startswith(("P02-day42:", "cohort:", "provenance:"))]
    assert others == []


def test_a_tube_removed_from_the_sheet_is_gone_from_the_cohort(finished: Path, tmp_path: Path) -> None:
    run = copy_of(finished, tmp_path)
    sheet = run / "config/samples.tsv"
    sheet.write_text("\n".join(line for line in sheet.read_text().splitlines() if "P02-day21" not in line) + "\n")
    assert snakemake(run).returncode == 0
    assert "P02-day21" not in (run / "results/cohort/mrd.tsv").read_text()


def test_another_patient_never_changes_a_finished_tube_also_where_that_tube_has_no_diagnosis(
    finished: Path, tmp_path: Path
) -> None:
    """No tube is judged by the phenotypes of the others in the folder."""
    run = copy_of(finished, tmp_path)
    sheet = run / "config/samples.tsv"
    header, *rows = sheet.read_text().splitlines()
    before = "\n".join([header, *(row for row in rows if not row.startswith("P01-dx\t"))]) + "\n"
    sheet.write_text(before)
    assert snakemake(run).returncode == 0
    old = {name: sha for name, sha in digests(run).items() if name.startswith("samples/")}
    seed = 31
    extra = patients([FollowUp("P09", 1e-3, nucleated=6000, diagnosis_nucleated=6000, timepoint="day21")], seed)
    panel = load_panel(PANELS / "ino10.yaml")
    lines = []
    for plan in extra:
        write_tube(run / f"fcs/{plan.sample}.fcs", simulate_tube(plan.spec, panel, tube_seed(seed, plan.sample)))
        facts = {
            "sample": plan.sample,
            "patient": plan.patient,
            "role": plan.role.value,
            "fcs": f"../fcs/{plan.sample}.fcs",
            "timepoint": plan.timepoint,
            "prior_therapy": plan.prior_therapy.value,
            "batch": "sim1",
        }
        lines.append("\t".join(facts.get(column, "") for column in header.split("\t")))
    sheet.write_text(before + "\n".join(lines) + "\n")
    mine = ("P09", "cohort:", "provenance:")
    assert [job for job in planned(run) if not job.startswith(mine)] == []
    assert snakemake(run).returncode == 0
    new = digests(run)
    assert {name: new[name] for name in old} == old
    assert any(name.startswith("samples/P09-day21") for name in new)
    sheet.write_text(before)
    assert [job for job in planned(run) if not job.startswith(mine)] == []
