"""All stages of a run directory in one process without an engine: what the work itself costs.

python -m benchmarks.bare RUNDIR
"""

from __future__ import annotations

import sys
from pathlib import Path

from flowmrd.cli import analysis, stages
from flowmrd.engine.plan import plan_run


def run_all(run: Path) -> None:
    """Call the commands' functions in the order of the data."""
    plan = plan_run(run)
    for panel in plan.panels:
        controls = plan.controls_of(panel)
        folder = run / "results/reference" / panel
        tubes = [name for name in plan.analysed if plan.panel_of[name] == panel]
        of_panel = [name for name in plan.controls if name in tubes]
        for name in of_panel:
            stages.ingest(name, run)
        stages.transform_reference(panel, controls, run=run)
        for name in of_panel:
            analysis.preprocess(None, sample=name, transforms=folder / "transform.json", run=run)
        stages.gate_reference(panel, controls, run)
        for name in of_panel:
            stages.gate(name, folder / "gates.json", run=run)
        for name in plan.diagnosis_tubes:
            if name in tubes:
                stages.prepare(name, folder / "transform.json", thresholds=folder / "gates.json", run=run)
        analysis.reference_build(panel, controls, run)
        reference = folder / "reference.json"
        for patient, of in plan.patients_with_laip.items():
            if of == panel:
                stages.laip(patient, plan.diagnoses(patient, panel), reference, run)
        for name in tubes:
            learned = run / "results/laip" / plan.samples[name].patient / "laip.json"
            laip = learned if learned.is_file() else None
            if name in plan.kept:
                stages.judge(name, reference, gated=True, laip=laip, control=controls, run=run)
            else:
                stages.judge(
                    name,
                    reference,
                    transforms=folder / "transform.json",
                    thresholds=folder / "gates.json",
                    laip=laip,
                    control=controls,
                    run=run,
                )
    stages.cohort(run)
    stages.provenance(run)


if __name__ == "__main__":
    run_all(Path(sys.argv[1]))
