"""Two real day-15 tubes whose every event an expert gated, judged without a diagnosis tube.

Controls are marrows drawn from the mixtures of samples without a blast component, so that neither tube, nor any other
leukaemia, has a part in its reference. Single events are compared: called MRD, and inside the expert's blast gate.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.accuracy.acquire import NORMAL, Spillover, acquire
from benchmarks.accuracy.cast import Condition, cast
from benchmarks.accuracy.experiment import CONTROL_CELLS, Record, outcome
from benchmarks.accuracy.mixtures import Patient, draw
from benchmarks.accuracy.pipeline import Pipeline

NAME = "real tubes, no diagnosis tube"
TUBES = ("A", "B")


def run_real(patients: list[Patient], spill: Spillover, tubes: Path, folder: Path) -> Iterator[Record]:
    """Yield one record per real tube.

    Parameters
    ----------
    tubes
        Folder with ``ball_d15_<name>.fcs`` and ``.labels.parquet``.
    """
    import pandas as pd

    condition = Condition(NAME, mode="different_from_normal", pairs=0)
    directory = folder / condition.slug
    shutil.rmtree(directory, ignore_errors=True)
    pipeline = Pipeline(directory, "vienna_b8", tuple(f"C{i:02d}" for i in range(condition.controls)))
    rows = [("sample", "patient", "role", "fcs")]
    rows += [(name, name, "control", f"../fcs/{name}.fcs") for name in pipeline.controls]
    rows += [(name, name, "followup", str((tubes / f"ball_d15_{name}.fcs").resolve())) for name in TUBES]
    pipeline.prepare(rows)
    rng = np.random.default_rng([condition.seed, 99])
    for name, patient in zip(pipeline.controls, cast(patients, condition).controls, strict=True):
        cells = draw(patient.normal_mixture(), CONTROL_CELLS, rng)
        acquire(directory / "fcs" / f"{name}.fcs", cells, np.full(len(cells), NORMAL, dtype=np.int8), spill, rng)
    pipeline.gate_controls()
    pipeline.learn()
    for name in TUBES:
        labels = pd.read_parquet(tubes / f"ball_d15_{name}.labels.parquet")
        blast, intact = labels["blast"].to_numpy(), labels["intact"].to_numpy()
        pipeline.gate(name)
        seconds = pipeline.judge(name, None)
        yield {
            "condition": NAME,
            "method": "flowmrd",
            "marrow": name,
            "blasts": name,
            "real": True,
            "expert_share": float(blast.sum() / intact.sum()),
            "true": int(blast.sum()),
            "seconds": seconds,
            **outcome(pipeline, name, blast),
        }
    shutil.rmtree(directory)
