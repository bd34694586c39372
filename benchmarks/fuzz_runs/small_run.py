"""A small run directory, and the stages of a run in this process."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Final

from benchmarks.fuzz_runs.folder_faults import SPARE
from flowmrd.cli.app import call
from flowmrd.engine.run_plan import RunPlan
from flowmrd.home import PANELS
from flowmrd.panel import PanelModel, load_panel
from flowmrd.simulate.cohort import simulate_cohort, write_tube
from flowmrd.simulate.design import FollowUp, controls, patients, tube_seed
from flowmrd.simulate.tube import simulate_tube

SETTINGS: Final = "mrd: {target: 0.01, spike_in_replicates: 1}\nreport: {plotly: shared}\n"


def make_base(folder: Path, *, panel: str, cells: int, n_controls: int, seed: int) -> Path:
    """Write a sound run directory and take it through every stage."""
    model = load_panel(PANELS / f"{panel}.yaml")
    rows = [
        FollowUp("P01", 0.02, nucleated=cells, diagnosis_nucleated=cells),
        FollowUp("P02", 0.0, nucleated=cells, diagnosis_nucleated=cells),
        FollowUp("P03", 0.0, nucleated=cells, diagnosis_nucleated=0),
    ]
    simulate_cohort(folder, [*controls(n_controls, cells, seed), *patients(rows, seed)], seed, model, settings=SETTINGS)
    _make_spare(folder, model, cells, seed)
    return folder


def _make_spare(folder: Path, panel: PanelModel, cells: int, seed: int) -> None:
    """Tubes that the sheet does not name: of the same and of another patient, a control, and one of another panel."""
    rows = [
        FollowUp("P01", 0.02, nucleated=cells, diagnosis_nucleated=0, timepoint="day14"),
        FollowUp("P04", 0.02, nucleated=cells, diagnosis_nucleated=0),
    ]
    tubes = [*patients(rows, seed), replace(controls(1, cells, seed + 1)[0], sample="CTRL09")]
    for tube in tubes:
        write_tube(folder / SPARE / f"{tube.sample}.fcs", simulate_tube(tube.spec, panel, tube_seed(seed, tube.sample)))
    other = load_panel(PANELS / ("vienna_b8.yaml" if panel.name != "vienna_b8" else "ino10.yaml"))
    write_tube(folder / SPARE / "vienna.fcs", simulate_tube(tubes[1].spec, other, tube_seed(seed, "vienna")))


def everything(run: Path, plan: RunPlan, changed: str) -> None:
    """The stages of a run, as far as a changed tube (empty: everything) makes them necessary.

    Raises
    ------
    CommandError
        Where a command does not end well.
    """
    all_anew = not changed or changed in plan.kept_raw
    for panel in plan.panels if all_anew else ():
        learn(run, plan, panel)
    for name in plan.diagnosis_tubes:
        if all_anew or changed == name:
            command("prepare", "--sample", name, *options(run, plan, name), "--run", run)
    for patient, panel in plan.patients_with_laip.items():
        if all_anew or changed in plan.diagnoses(patient, panel):
            tubes = named("--tube", plan.diagnoses(patient, panel))
            command("laip", "--patient", patient, *tubes, "--reference", model_of(plan, run, panel), "--run", run)
    of_patient = [
        name for name in plan.followups if changed and plan.samples[name].patient == patient_of(plan, changed)
    ]
    judged = plan.followups if all_anew else of_patient if changed in plan.diagnosis_tubes else ()
    for name in dict.fromkeys([*judged, *((changed,) if changed else ())]):
        judge_tube(run, plan, name)
    command("cohort", "--run", run)


def patient_of(plan: RunPlan, name: str) -> str:
    """Patient of a tube; empty for one that is not used."""
    return plan.samples[name].patient if name in plan.samples else ""


def judge_tube(run: Path, plan: RunPlan, name: str) -> None:
    """Take one tube to its report."""
    row, panel = plan.samples[name], plan.panel_of[name]
    phenotype = ["--laip", run / "results/laip" / row.patient / "laip.json"]
    own = phenotype if plan.patients_with_laip.get(row.patient) == panel else []
    start = ["--gated"] if name in plan.kept else options(run, plan, name)
    words = [*start, "--reference", model_of(plan, run, panel), *own, *named("--control", plan.controls_of(panel))]
    command("judge", "--sample", name, *words, "--run", run)


def learn(run: Path, plan: RunPlan, panel: str) -> None:
    """Everything that is learned from the controls and single stains of a panel."""
    folder, names = run / "results" / "reference" / panel, plan.controls_of(panel)
    tubes = named("--tube", names)
    stored = plan.stored_reference(panel) is not None
    learned: list[object] = []
    for name in (*names, *plan.stains_of(panel)):
        command("ingest", "--sample", name, "--run", run)
    spill: list[object] = []
    if plan.makes_spillover(panel):
        command("spillover-reference", "--panel", panel, *named("--tube", plan.stains_of(panel)), "--run", run)
        spill = ["--spillover", folder / "spillover.csv"]
    if names and not stored:
        command("transform-reference", "--panel", panel, *tubes, *spill, "--run", run)
        learned = ["--transforms", folder / "transform.json"]
    for name in names:
        command("preprocess", "--sample", name, *learned, *spill, "--run", run)
    if learned:
        command("gate-reference", "--panel", panel, *tubes, "--run", run)
    for name in names:
        placed = ["--thresholds", folder / "gates.json"] if learned else []
        command("gate", "--sample", name, *placed, "--run", run)
    if not stored:
        command("reference", "build", "--panel", panel, *tubes, "--run", run)


def named(option: str, values: Sequence[str]) -> list[str]:
    """An option of the command line, once for each value."""
    return [word for value in values for word in (option, value)]


def model_of(plan: RunPlan, run: Path, panel: str) -> Path:
    """The normal reference of a panel, stored or made here."""
    return (plan.stored_reference(panel) or run / "results/reference" / panel) / "reference.json"


def options(run: Path, plan: RunPlan, name: str) -> list[str | Path]:
    """What a tube's stages are given of its panel's controls."""
    panel = plan.panel_of[name]
    folder = plan.stored_reference(panel) or run / "results/reference" / panel
    found: list[str | Path] = []
    if plan.controls_of(panel) or plan.stored_reference(panel):
        found = ["--transforms", folder / "transform.json", "--thresholds", folder / "gates.json"]
    if plan.makes_spillover(panel):
        found += ["--spillover", run / "results/reference" / panel / "spillover.csv"]
    return found


class CommandError(Exception):
    """A command that did not end with 0."""

    def __init__(self, words: Sequence[object], code: int, said: str) -> None:
        self.words, self.code, self.said = words, code, said
        super().__init__(f"{' '.join(str(word) for word in words[:3])} ended with {code}: {said[-1500:]}")


def command(*words: object) -> None:
    """Run one command of the command line.

    Raises
    ------
    CommandError
        Where it does not end with 0.
    """
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(out):
        code = call([str(word) for word in words])
    if code:
        raise CommandError(words, code, out.getvalue())
