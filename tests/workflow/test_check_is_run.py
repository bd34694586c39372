"""What a run refuses from sheet and files, ``check`` refuses: the two lists are compared."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from flowmrd.cli.check import Problem, check_run
from flowmrd.engine.plan import plan_run
from flowmrd.errors import InputError
from flowmrd.fcs.reader import DataSet
from flowmrd.fcs.writer import ChannelSpec
from flowmrd.gating.gatingml import write_gatingml
from flowmrd.home import PANELS
from flowmrd.panel import load_panel
from flowmrd.tube import Tube
from flowmrd.tube.gate import column_origin, gate
from flowmrd.tube.preprocess import preprocess
from flowmrd.tube.read import read_tube
from workflow.wrong_tubes import FAULTS, TURNING, Change, Values, cytoplasmic, rewrite


@pytest.mark.parametrize("fault", FAULTS)
def test_check_and_run_refuse_the_same_tube_and_say_the_same(simulated: Path, tmp_path: Path, fault: Change) -> None:
    run = Path(shutil.copytree(simulated, tmp_path / "run"))
    rewrite(run / "fcs/P01-day21.fcs", fault)
    plan = plan_run(run)
    assert [refusal.sample for refusal in plan.refusals] == ["P01-day21"]
    assert "P01-day21" not in plan.samples
    errors = [problem for problem in check_run(run)[0] if problem.level == "error"]
    assert len(errors) == 1
    assert "(P01-day21)" in errors[0].where
    assert errors[0].found in plan.refusals[0].what


def test_no_panel_with_fewer_markers_is_proposed_for_a_tube_with_one_wrong_label(
    simulated: Path, tmp_path: Path
) -> None:
    """For ten colours with cytoplasmic CD22 the six-colour panel was proposed, which passes over four of them."""
    run = Path(shutil.copytree(simulated, tmp_path / "run"))
    rewrite(run / "fcs/P01-day21.fcs", cytoplasmic)
    (error,) = [problem for problem in check_run(run)[0] if problem.level == "error"]
    assert "cytoplasmic, not the marker on the surface" in error.found
    assert "choose panel" not in error.todo
    assert "correct the label" in error.todo
    assert "aliases" not in error.todo
    config = run / "config/config.yaml"
    config.write_text(config.read_text().replace("panel: ino10", "panel: vienna_b8"))
    todo = {problem.todo for problem in check_run(run)[0] if problem.level == "error" and "(CTRL01)" in problem.where}
    assert todo == {"choose panel ino10, which this file fits ('panel:' in config.yaml, or column panel)"}


def test_one_tube_for_two_patients_is_refused_by_both(simulated: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(simulated, tmp_path / "run"))
    shutil.copy(run / "fcs/P01-day21.fcs", run / "fcs/P02-day21.fcs")
    assert {refusal.sample for refusal in plan_run(run).refusals} == {"P01-day21", "P02-day21"}
    errors: list[Problem] = [problem for problem in check_run(run)[0] if problem.level == "error"]
    assert [name in errors[place].where for place, name in enumerate(("P01-day21", "P02-day21"))] == [True, True]


def test_a_sound_run_is_refused_by_neither(simulated: Path) -> None:
    assert [problem for problem in check_run(simulated)[0] if problem.level == "error"] == []


@pytest.mark.parametrize("fault", TURNING)
def test_the_four_faults_that_turned_a_verdict_end_in_refusal_where_a_single_file_is_preprocessed(
    simulated: Path, tmp_path: Path, fault: Change
) -> None:
    from flowmrd.cli.single import preprocess_file

    run = Path(shutil.copytree(simulated, tmp_path / "run"))
    rewrite(run / "fcs/P01-day21.fcs", fault)
    with pytest.raises(InputError):
        preprocess_file(
            run / "fcs/P01-day21.fcs", panel="ino10", out=tmp_path / "x.arrow", spillover=None, compensated=False
        )
    assert not (tmp_path / "x.arrow").exists()


@pytest.fixture(scope="module")
def gated(simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Tube, str]:
    """A tube without pulse width, as the run has it before the reviewer's gates, and its own ``gates.xml``."""
    folder = tmp_path_factory.mktemp("gated")
    path = folder / "tube.fcs"
    rewrite(simulated / "fcs/P01-day21.fcs", without_width, to=path)
    prepared = preprocess(read_tube(path, load_panel(PANELS / "ino10.yaml"), check=False))
    found = gate(prepared).gate_result
    return prepared, write_gatingml(found, prepared.panel.gates, column_origin(prepared))


def without_width(data: DataSet, values: Values, keywords: dict[str, str], specs: list[ChannelSpec]) -> Values:
    """A tube that lacks an optional channel."""
    place = next(index for index, one in enumerate(specs) if one.pnn == "FSC-W")
    specs[place] = ChannelSpec("Width", "", 262144)
    return values


RECTANGLE = "gates:\n  nucleated: {{method: rectangle, ranges: {{{}: [0.2, 0.9]}}}}\n"
OVERRIDES: dict[str, tuple[str, Callable[[str], str]]] = {
    "an unknown gate": ("yaml", lambda _: "gates:\n  cd99_pos: {threshold: 0.4}\n"),
    "a channel that the tube lacks": ("yaml", lambda _: RECTANGLE.format("FSC-W")),
    "a channel that nobody knows": ("yaml", lambda _: RECTANGLE.format("CD99")),
    "a detector that the file lacks": ("xml", lambda text: text.replace('name="PE-A"', 'name="B525-A"')),
    "values that are not compensated": ("xml", lambda text: text.replace('-ref="spillover"', '-ref="uncompensated"')),
    "a matrix that the file does not define": ("xml", lambda text: text.replace('-ref="spillover"', '-ref="mine"')),
    "another matrix": ("xml", lambda text: text.replace('transforms:value="0.', 'transforms:value="0.5')),
    "another kind of scale": ("xml", lambda text: text.replace("transforms:logicle", "transforms:hyperlog")),
    "another parent": ("xml", lambda text: text.replace('parent_id="singlets"', 'parent_id="core"')),
    "quadrants": ("xml", lambda text: text.replace("BooleanGate", "QuadrantGate")),
    "cut off": ("xml", lambda text: text[: len(text) // 2]),
}


@pytest.mark.parametrize("fault", OVERRIDES)
def test_a_reviewers_gates_that_the_run_refuses_by_the_header_are_refused_by_check(
    simulated: Path, gated: tuple[Tube, str], tmp_path: Path, fault: str
) -> None:
    prepared, text = gated
    run = Path(shutil.copytree(simulated, tmp_path / "run"))
    shutil.copy(prepared.where, run / "fcs/P01-day21.fcs")
    kind, change = OVERRIDES[fault]
    path = run / f"config/overrides/P01-day21.{kind}"
    path.parent.mkdir()
    path.write_text(change(text), encoding="utf-8")
    with pytest.raises(InputError) as refused:
        gate(prepared, override=path)
    errors = [problem.found for problem in check_run(run)[0] if problem.level == "error"]
    assert errors == [refused.value.found]


def test_the_tubes_own_gates_are_refused_by_neither(simulated: Path, gated: tuple[Tube, str], tmp_path: Path) -> None:
    prepared, text = gated
    run = Path(shutil.copytree(simulated, tmp_path / "run"))
    shutil.copy(prepared.where, run / "fcs/P01-day21.fcs")
    path = run / "config/overrides/P01-day21.xml"
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    gate(prepared, override=path)
    assert [problem for problem in check_run(run)[0] if problem.level == "error"] == []


def told(run: Path, *, sheet: Callable[[str], str] = str, config: str = "") -> list[str]:
    """Errors of a run directory with another sheet and more configuration."""
    path = run / "config/samples.tsv"
    path.write_text(sheet(path.read_text()))
    with (run / "config/config.yaml").open("a") as stream:
        stream.write(config)
    return [problem.found for problem in check_run(run)[0] if problem.level == "error"]


def rows_of_stains(stains: dict[str, str]) -> str:
    """Rows of single-stain tubes, name to stain; any file will do for the header."""
    return "".join(f"{name}\tC\tcompensation\t../fcs/{name}.fcs\t{stain}\n" for name, stain in stains.items())


@pytest.mark.parametrize(
    ("stains", "found"),
    [
        ({}, "no single-stain tube of panel ino10"),
        ({"S1": "CD99"}, "the stain 'CD99'"),
        ({"S1": "CD19", "S2": "PE-Cy7"}, "a second single-stain tube for CD19 (the first is S1)"),
        ({"S1": "CD19", "S2": "unstained"}, "no single-stain tube of panel ino10 for CD66b, CD22, CD24"),
    ],
)
def test_single_stain_tubes_of_which_no_matrix_can_be_made_are_reported_by_check(
    simulated: Path, drawn_again: Path, tmp_path: Path, stains: dict[str, str], found: str
) -> None:
    run = Path(shutil.copytree(simulated, tmp_path / "run"))
    for name, other in zip(stains, ("CTRL01", "CTRL02"), strict=False):
        shutil.copy(drawn_again / f"{other}.fcs", run / f"fcs/{name}.fcs")

    def sheet(text: str) -> str:
        lines = [line.split("\t") for line in text.splitlines()]
        keep = [lines[0].index(name) for name in ("sample", "patient", "role", "fcs")]
        known = ["\t".join([*(line[place] for place in keep), "stain" if line is lines[0] else ""]) for line in lines]
        return "\n".join(known) + "\n" + rows_of_stains(stains)

    errors = told(run, sheet=sheet, config="compensation: {source: controls}\n")
    assert any(found in error for error in errors), errors


def test_expert_labels_of_another_tube_are_reported_by_check(simulated: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(simulated, tmp_path / "run"))
    (run / "config/labels.tsv").write_text("event\tblast\n99999999\ttrue\n")
    errors = told(
        run,
        sheet=lambda text: "\n".join(
            f"{line}\t{'labels' if number == 0 else 'labels.tsv' if 'diagnosis' in line else ''}"
            for number, line in enumerate(text.splitlines())
        ),
    )
    assert set(errors) == {"an event number outside the tube"}


def test_a_decision_about_a_tube_that_the_run_does_not_have_is_refused_by_both(simulated: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(simulated, tmp_path / "run"))
    errors = told(run, config="controls: {excluded: {CTRL1: clotted}}\n")
    assert errors == ["'CTRL1', which is no usable tube of this run"]
    with pytest.raises(InputError, match="CTRL1"):  # the control would stay in the reference
        plan_run(run)
