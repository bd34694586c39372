"""What depends on what in a run, without running it."""

from __future__ import annotations

import errno
import io
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from flowmrd.cli.app import call
from flowmrd.config import RunConfig, read_sheet
from flowmrd.engine.failure import report_failure
from flowmrd.engine.launch import find_profile, snakemake_command, writable_cache
from flowmrd.engine.plan import plan_run
from flowmrd.engine.refusals import forget_failures, refuse_row
from flowmrd.engine.stage_table import CONTRACT, code_and_config
from flowmrd.engine.summary import missing_results, print_summary
from flowmrd.errors import ArtefactError, ColumnError, ConfigError, FcsError, ResourceError, SheetError
from flowmrd.fcs.reader import read_fcs
from flowmrd.fcs.spillover import read_spillover
from flowmrd.home import PANELS
from flowmrd.records.references import REFERENCE_FORMAT, ReferenceFile, ReferenceManifest
from flowmrd.store import read_json, write_json
from workflow.runs import planned


def copied(simulated: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(simulated, tmp_path / "run"))


def test_a_followup_tube_is_one_cluster_job_and_controls_are_cut_at_the_fan_ins(
    simulated: Path, tmp_path: Path
) -> None:
    plan = plan_run(copied(simulated, tmp_path))
    parts = ("read", "scale", "gate", "judge")
    assert {plan.group("P01-day21", part) for part in parts} == {"P01-day21"}
    assert len({plan.group("CTRL01", part) for part in parts}) == 4
    assert plan.group_of_laip("P01") == plan.group("P01-dx", "gate")


def test_history_holds_earlier_tubes_of_the_patient_only(simulated: Path, tmp_path: Path) -> None:
    plan = plan_run(copied(simulated, tmp_path))
    assert plan.history("P01-dx") == ["P01-dx"]
    assert plan.history("P01-day21") == ["P01-dx", "P01-day21"]


def test_the_laboratorys_word_on_a_control_makes_the_reference_anew() -> None:
    plain = RunConfig(panel="ino10", samples="samples.tsv")
    for ruling in ({"accepted": {"CTRL01": "known clone"}}, {"excluded": {"CTRL01": "relapsed later"}}):
        changed = RunConfig.model_validate({"panel": "ino10", "samples": "samples.tsv", "controls": ruling})
        assert code_and_config("reference", changed) != code_and_config("reference", plain)
        assert code_and_config("gate", changed) == code_and_config("gate", plain)


@pytest.mark.parametrize(
    "changed",
    [
        {"report": {"signatures": 2}},
        {"trial": {"cutoff": "2025-06-30"}},
        {"patients": "config/others.tsv"},
        {"adverse_events": "config/others.tsv"},
    ],
)
def test_keys_that_change_no_file_of_a_tube_make_no_tube_anew(changed: dict[str, Any]) -> None:
    """The cut-off of the trial or a second signature judged every tube again; the cohort stage brings them in."""
    plain = RunConfig(panel="ino10", samples="samples.tsv")
    other = RunConfig.model_validate({"panel": "ino10", "samples": "samples.tsv"} | changed)
    assert code_and_config("judge", other) == code_and_config("judge", plain)
    for stage in ("cohort", "trial", "provenance"):
        assert code_and_config(stage, other) != code_and_config(stage, plain)
    german = RunConfig.model_validate({"panel": "ino10", "samples": "samples.tsv", "report": {"language": "de"}})
    assert code_and_config("judge", german) != code_and_config("judge", plain)


def test_a_job_of_a_running_workflow_sees_the_plan_of_its_parent(simulated: Path, tmp_path: Path) -> None:
    run = copied(simulated, tmp_path)
    plan_run(run)
    (run / "fcs/CTRL01.fcs").write_bytes(b"not FCS any more")
    assert "CTRL01" in plan_run(run, main_process=False).samples
    assert "CTRL01" not in plan_run(run).samples


def fail(run: Path, stage: str, tube: str, error: BaseException) -> None:
    """What a stage of a running workflow leaves when it fails."""
    log = run / "results/logs" / stage / f"{tube}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    report_failure(error, io.StringIO(), log)


def refused(where: str = "here") -> FcsError:
    return FcsError(where, found="a", expected="b", todo="c")


@pytest.fixture
def with_refused(simulated: Path, tmp_path: Path) -> Path:
    """A run directory in which preprocessing has found CTRL02 unusable."""
    run = copied(simulated, tmp_path)
    plan_run(run)
    fail(run, "preprocess", "CTRL02", refused())
    return run


def test_a_tube_that_a_stage_refused_is_left_out_with_its_stage(with_refused: Path) -> None:
    plan = plan_run(with_refused)
    assert "CTRL02" not in plan.samples
    assert [(refusal.sample, refusal.stage) for refusal in plan.refusals] == [("CTRL02", "preprocess")]


def replace_file(run: Path) -> None:
    shutil.copy2(run / "fcs/CTRL02.fcs", run / "fcs/other.fcs")
    os.utime(run / "fcs/other.fcs", (0, 0))
    (run / "fcs/other.fcs").replace(run / "fcs/CTRL02.fcs")  # keeps the older time of the other file


def change_configuration(run: Path) -> None:
    config = run / "config/config.yaml"
    old = config.stat()
    config.write_text(config.read_text() + "mrd: {target: 0.001}\n")
    os.utime(config, ns=(old.st_atime_ns, old.st_mtime_ns - 10**18))  # a clock that went back


def change_row(run: Path) -> None:
    sheet = run / "config/samples.tsv"
    sheet.write_text(sheet.read_text().replace("CTRL02\tcontrol", "CTRL02x\tcontrol"))


def add_override(run: Path) -> None:
    (run / "config/overrides").mkdir()
    (run / "config/overrides/CTRL02.yaml").write_text("gates: {}\n")


@pytest.mark.parametrize("change", [replace_file, change_configuration, change_row, add_override])
def test_a_refused_tube_is_tried_again_when_something_it_depends_on_has_changed(
    with_refused: Path, change: Callable[[Path], None]
) -> None:
    change(with_refused)
    assert "CTRL02" in plan_run(with_refused).samples


def test_a_refused_tube_is_tried_again_when_the_code_has_changed(
    with_refused: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flowmrd.engine.run_plan.state_of", lambda config: "another state")
    assert "CTRL02" in plan_run(with_refused).samples


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device", "events.arrow"),
        PermissionError(errno.EACCES, "Permission denied", "events.arrow"),
        MemoryError(),
        ResourceError("ingest", found="100 MB", expected="200 MB", todo="ask for 200"),
        ArtefactError("events.arrow", found="half a file", expected="a whole one", todo="delete it"),
        ValueError("a fault of ours"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_is_not_the_tubes_fault_is_tried_again_at_the_next_start_and_left_out_in_a_second_pass_only(
    simulated: Path, tmp_path: Path, error: BaseException
) -> None:
    run = copied(simulated, tmp_path)
    plan_run(run)
    fail(run, "gate", "CTRL02", error)
    assert "CTRL02" in plan_run(run).samples
    assert "CTRL02" not in plan_run(run, include_failed=False).samples


def test_a_drive_that_could_not_be_read_says_nothing_about_the_file(simulated: Path, tmp_path: Path) -> None:
    run = copied(simulated, tmp_path)
    plan_run(run)
    error = refused()
    error.__cause__ = OSError(errno.EIO, "Input/output error")
    fail(run, "ingest", "CTRL02", error)
    assert "CTRL02" in plan_run(run).samples


def test_a_header_that_could_not_be_read_because_of_the_drive_is_looked_at_again(
    simulated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = copied(simulated, tmp_path)

    def drive_fails(path: Path, *_: object) -> int:
        raise refused(str(path)) from OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr("flowmrd.engine.headers.check_header", drive_fails)
        with pytest.raises(SheetError):
            plan_run(run)
    assert len(plan_run(run).samples) == 8


def test_a_new_start_forgets_what_failed_before_and_will_be_tried_again(simulated: Path, tmp_path: Path) -> None:
    """Else a tube that the first pass does not reach would look as if it had failed in it."""
    run = copied(simulated, tmp_path)
    plan = plan_run(run)
    fail(run, "gate", "CTRL02", ValueError("a fault of ours"))
    forget_failures(run, plan.samples)
    assert "CTRL02" in plan_run(run, include_failed=False).samples


def matrix_csv(fcs: Path) -> str:
    """A file's own matrix as a table."""
    data_set = read_fcs(fcs)[0]
    found = read_spillover(data_set.keywords, data_set.channels)
    assert found is not None and found.matrix is not None
    lines = [",".join(str(data_set.channels[index].pnn) for index in found.channels)]
    return "\n".join([*lines, *(",".join(f"{value:.6g}" for value in row) for row in found.matrix)])


def stored_reference(folder: Path, controls: int) -> Path:
    """``reference.json`` of a made-up reference of so many controls; nothing can be judged by it."""
    folder.mkdir(exist_ok=True)
    facts = ReferenceFile(
        format=REFERENCE_FORMAT,
        panel="ino10",
        features=(),
        digest="",
        arrays_sha256="",
        n_controls=controls,
        n_folds=0,
        provisional=False,
        stages=(),
        anchors=(),
        control_judgements=(),
        controls=(),
        manifest=ReferenceManifest.of_nothing(),
    )
    write_json(folder / "reference.json", facts.model_copy(update={"digest": facts.content_digest()}).as_json())
    return folder / "reference.json"


@pytest.mark.parametrize("change", ["spillover table", "stored reference"])
def test_what_a_tube_is_judged_by_is_part_of_its_identity_even_if_its_time_goes_back(
    simulated: Path, tmp_path: Path, change: str
) -> None:
    run = copied(simulated, tmp_path)
    config = run / "config/config.yaml"
    if change == "spillover table":
        file = run / "config/spill.csv"
        config.write_text(config.read_text() + "compensation: {source: csv, csv: {default: spill.csv}}\n")
        file.write_text(matrix_csv(run / "fcs/P01-day21.fcs"))
    else:
        file = stored_reference(run / "stored", 3)
        config.write_text(config.read_text() + "reference: stored\n")
    before = plan_run(run).identity("P01-day21")
    if change == "spillover table":
        file.write_text(f"{file.read_text()}\n")
    else:
        stored_reference(run / "stored", 4)
    os.utime(file, (0, 0))
    assert plan_run(run).identity("P01-day21") != before


def test_a_misspelt_column_ends_the_run_because_every_tube_would_be_judged_without_it(
    simulated: Path, tmp_path: Path
) -> None:
    run = copied(simulated, tmp_path)
    sheet = run / "config/samples.tsv"
    sheet.write_text(sheet.read_text().replace("prior_therapy", "prior_terapy"))
    with pytest.raises(ColumnError, match="did you mean prior_therapy"):
        plan_run(run)


def test_a_column_that_means_nothing_here_is_no_reason_to_refuse_anything(simulated: Path, tmp_path: Path) -> None:
    run = copied(simulated, tmp_path)
    sheet = run / "config/samples.tsv"
    sheet.write_text("\n".join(f"{line}\tx" for line in sheet.read_text().splitlines()) + "\n")
    sheet.write_text(sheet.read_text().replace("stain\tx", "stain\tphysician", 1))
    plan = plan_run(run)
    assert len(plan.samples) == 8
    assert plan.refusals == ()


def test_a_stored_reference_that_is_none_ends_the_run(simulated: Path, tmp_path: Path) -> None:
    run = copied(simulated, tmp_path)
    config = run / "config/config.yaml"
    config.write_text(config.read_text() + "reference: nowhere\n")
    with pytest.raises(ConfigError, match=r"no reference\.json"):
        plan_run(run).identity("P01-day21")


def test_a_stored_reference_of_an_earlier_version_is_refused_before_anything_runs(
    simulated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = copied(simulated, tmp_path)
    file = stored_reference(run / "stored", 3)
    config = run / "config/config.yaml"
    config.write_text(config.read_text() + "reference: stored\n")
    plan_run(run).identity("P01-day21")
    write_json(file, {**read_json(file), "format": "flowmrd-reference/5"})
    with pytest.raises(ArtefactError, match="which another version of flowmrd writes"):
        plan_run(run).identity("P01-day21")
    assert call(["check", str(run)]) == 2
    assert "flowmrd-reference/5" in capsys.readouterr().out


def test_a_library_that_is_none_ends_the_run_and_check_says_so(
    simulated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = copied(simulated, tmp_path)
    config = run / "config/config.yaml"
    config.write_text(config.read_text() + "laip: {library: nowhere}\n")
    with pytest.raises(ArtefactError, match="flowmrd library build"):
        plan_run(run).identity("P01-day21")
    assert call(["check", str(run)]) == 2
    assert "nowhere" in capsys.readouterr().out


@pytest.mark.parametrize(("patient", "named"), [("P1", "P1"), ("P2", "")])
def test_a_tube_that_two_rows_name_is_refused_by_its_name(tmp_path: Path, patient: str, named: str) -> None:
    """The cohort page showed it as the tube "line-3" of the patient "unknown", and not under its own name."""
    sheet = tmp_path / "samples.tsv"
    sheet.write_text(
        f"sample\tpatient\trole\tfcs\nT5\tP1\tfollowup\ta.fcs\nT5\t{patient}\tfollowup\ta.fcs\nT6\tP1\todd\tb.fcs\n"
    )
    rows, problems = read_sheet(sheet)
    assert rows == []
    refused = [refuse_row(problem) for problem in problems]
    assert ("T5", named) in [(one.sample, one.patient) for one in refused]
    assert "line-3" not in [one.sample for one in refused]
    assert "line-4" in [one.sample for one in refused]


@pytest.mark.parametrize("link", ["samples/P01-day21", "work/P01-day21", "laip/P01"])
def test_a_link_in_the_results_cannot_lead_out_of_the_run_directory(simulated: Path, tmp_path: Path, link: str) -> None:
    run = copied(simulated, tmp_path)
    place = run / "results" / link
    place.parent.mkdir(parents=True)
    place.symlink_to(tmp_path)
    plan = plan_run(run)
    assert "P01-day21" not in plan.samples
    assert "symbolic link" in plan.refusals[0].what


def test_a_link_in_place_of_all_samples_ends_the_run_but_results_itself_may_be_one(
    simulated: Path, tmp_path: Path
) -> None:
    run = copied(simulated, tmp_path)
    (tmp_path / "other-disk").mkdir()
    (run / "results").symlink_to(tmp_path / "other-disk")
    assert len(plan_run(run).samples) == 8
    (tmp_path / "other-disk/samples").symlink_to(tmp_path)
    with pytest.raises(ConfigError, match="symbolic link"):
        plan_run(run)


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"code": 1}', '{"refusals": [{"x": 1}], "fingerprints": []}', "[" * 100_000]
)
def test_a_state_file_that_somebody_altered_only_costs_time(simulated: Path, tmp_path: Path, content: str) -> None:
    run = copied(simulated, tmp_path)
    plan_run(run)
    for name in ("headers.json", "plan.json"):
        (run / ".snakemake/flowmrd" / name).write_text(content)
    assert len(plan_run(run, main_process=False).samples) == 8
    assert len(plan_run(run).samples) == 8


def test_a_sheet_without_a_usable_tube_is_an_error(simulated: Path, tmp_path: Path) -> None:
    run = copied(simulated, tmp_path)
    shutil.rmtree(run / "fcs")
    with pytest.raises(SheetError, match="no tube that can be worked on"):
        plan_run(run)


def test_a_profile_is_found_or_refused(tmp_path: Path) -> None:
    assert find_profile("slurm", tmp_path).is_file()
    with pytest.raises(ConfigError, match="did you mean workstation"):
        find_profile("workstaton", tmp_path)
    site = tmp_path / "profiles/site"
    site.mkdir(parents=True)
    (site / "profile.yaml").write_text("executor: slurm\n")
    command = snakemake_command(tmp_path, find_profile("site", tmp_path), cores=None, dry_run=False)
    assert str(site / "profile.yaml") in command
    assert "--cores" not in command


def test_a_target_given_after_the_dashes_is_no_value_of_an_option(tmp_path: Path) -> None:
    profile = find_profile("workstation", tmp_path)
    command = snakemake_command(tmp_path, profile, cores=2, dry_run=False, extra=("results/cohort/trial.html",))
    assert command[-3:] == ["--cores", "2", "results/cohort/trial.html"]
    assert any(word.startswith("mem_mb=") for word in command)


@pytest.mark.workflow
@pytest.mark.timeout(600)
def test_a_phenotype_is_learned_for_patients_with_a_diagnosis_tube_only(
    few: Callable[[Sequence[str]], Path],
) -> None:
    jobs = planned(few(["CTRL01", "P01-day21", "P02-dx"]))
    assert "P02: phenotype of the leukaemia" in jobs
    assert "P01: phenotype of the leukaemia" not in jobs


@pytest.mark.parametrize(
    ("old", "new", "numbers", "pages"),
    [
        ("name: ino10", "# a comment\nname: ino10", False, False),
        ("title: ", "title: Another title of ", False, True),
        ("fluorochrome: FITC", "fluorochrome: VioGreen", True, True),
    ],
)
def test_a_comment_redoes_nothing_a_title_only_pages_and_a_dye_everything(
    simulated: Path, tmp_path: Path, old: str, new: str, numbers: bool, pages: bool
) -> None:
    run = copied(simulated, tmp_path)
    (run / "panels").mkdir()
    panel = run / "panels/ino10.yaml"
    shutil.copyfile(PANELS / "ino10.yaml", panel)
    before = plan_run(run)
    text = panel.read_text()
    assert old in text
    panel.write_text(text.replace(old, new, 1))
    after = plan_run(run)
    assert (after.identity("P01-day21") != before.identity("P01-day21")) == numbers
    assert (after.panels["ino10"].wording != before.panels["ino10"].wording) == pages


def test_a_home_folder_that_cannot_be_written_is_not_asked_for_a_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home/.cache"))
    (tmp_path / "home").mkdir()
    assert writable_cache(tmp_path / "run") == {}
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert Path(writable_cache(tmp_path / "run")["XDG_CACHE_HOME"]).is_relative_to(tmp_path / "run")


def test_a_result_that_is_gone_after_a_whole_run_is_named_and_the_run_does_not_end_well(
    simulated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = plan_run(copied(simulated, tmp_path))
    began = time.time_ns()
    for path in [f"results/samples/{name}/{file}" for name in plan.analysed for file in CONTRACT]:
        (plan.run_directory / path).parent.mkdir(parents=True, exist_ok=True)
        (plan.run_directory / path).touch()
    gone = f"results/samples/{plan.analysed[0]}/annotated.fcs"
    (plan.run_directory / gone).unlink()
    assert missing_results(plan, began) == []  # the workflow has not come to its end: there is nothing to miss yet
    (plan.run_directory / "results/provenance.json").touch()
    assert missing_results(plan, began) == [gone]
    assert print_summary(plan, 0, began) == 1
    assert gone in capsys.readouterr().out
