"""All stages of a run directory in one process without an engine: what the work itself costs.

python -m benchmarks.bare RUNDIR
"""

from __future__ import annotations

import sys
from pathlib import Path

from flowmrd.cli.results import cohort
from flowmrd.cli.stages import run_step
from flowmrd.engine.plan import plan_run


def run_all(run: Path) -> None:
    """Take all tubes through the stages in the order of the data."""
    plan = plan_run(run)
    for panel in plan.panels:
        controls = plan.controls_of(panel)
        folder = run / "results/reference" / panel
        transforms, thresholds = folder / "transform.json", folder / "gates.json"
        tubes = [name for name in plan.analysed if plan.panel_of[name] == panel]
        of_panel = [name for name in plan.controls if name in tubes]
        for name in of_panel:
            run_step("ingest", run, sample=name)
        run_step("transform_reference", run, panel=panel, tube=controls)
        for name in of_panel:
            run_step("preprocess", run, sample=name, transforms=transforms)
        run_step("gate_reference", run, panel=panel, tube=controls)
        for name in of_panel:
            run_step("gate", run, sample=name, thresholds=thresholds)
        for name in plan.diagnosis_tubes:
            if name in tubes:
                run_step("prepare", run, sample=name, transforms=transforms, thresholds=thresholds)
        run_step("reference", run, panel=panel, tube=controls)
        reference = folder / "reference.json"
        for patient, of in plan.patients_with_laip.items():
            if of == panel:
                run_step("laip", run, patient=patient, tube=plan.diagnoses(patient, panel), reference=reference)
        for name in tubes:
            learned = run / "results/laip" / plan.samples[name].patient / "laip.json"
            laip = learned if learned.is_file() else None
            if name in plan.kept:
                run_step("judge", run, sample=name, reference=reference, gated=True, laip=laip, control=controls)
            else:
                run_step(
                    "judge",
                    run,
                    sample=name,
                    reference=reference,
                    transforms=transforms,
                    thresholds=thresholds,
                    laip=laip,
                    control=controls,
                )
    cohort(run)
    run_step("provenance", run)


if __name__ == "__main__":
    run_all(Path(sys.argv[1]))
