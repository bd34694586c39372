"""An invented tube with a diagnosis tube and controls beside it, as the page shows them in three columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from flowmrd.stages.report import FilesBeside, report
from flowmrd.store import digest_file, read_json, write_json
from report_factory import MARKERS, MadeSample, classification_record, config, ino10, make_sample


def with_neighbours(run: Path, *, blasts: int = 60, n: int = 6000, **changes: Any) -> MadeSample:
    """A follow-up of P01 with its diagnosis tube, LAIP with arrays, and four controls; the page is made."""
    controls = [
        make_sample(run, f"CTRL{i}", n=6000, blasts=0, seed=20 + i, patient=f"C{i}", role="control") for i in range(4)
    ]
    first = make_sample(run, "P01_dx", n=5000, blasts=3000, seed=3, role="diagnosis", timepoint="diagnosis")
    made = make_sample(run, n=n, blasts=blasts, **changes)
    write_leukaemia(run / "results/laip/P01/laip.json", diagnosis="P01_dx")
    write_json(made.work_dir / "classification.json", classification_record(made.sample, staining_shift={"CD10": 0.0}))
    report(
        made.sample_dir,
        made.work_dir,
        panel=ino10(),
        config=config(),
        beside=FilesBeside(
            laip=run / "results/laip/P01/laip.json",
            controls=[control.work_dir for control in controls],
            diagnosis=first.work_dir,
            run_directory=run,
        ),
    )
    return made


def write_leukaemia(path: Path, *, diagnosis: str, sd: float = 0.3) -> None:
    """Arrays that fit a ``laip.json`` of the factory: one component, ``sd`` decades wide in every marker."""
    facts = read_json(path)
    medians = facts["components"][0]["medians"]
    features = list(MARKERS)
    mean = 4.5 * np.array([[medians[name] for name in features]])
    d = len(features)
    rng = np.random.default_rng(5)
    np.savez(
        path.with_suffix(".npz"),
        allow_pickle=False,
        weight=np.ones(1),
        mean=mean,
        covariance=np.eye(d)[None] * sd**2,
        staining=np.zeros(d),
        cells=rng.normal(mean[0], sd / 2, (400, d)).astype(np.float32),
    )
    sha = digest_file(path.with_suffix(".npz"))
    write_json(path, facts | {"features": features, "arrays_sha256": sha, "diagnosis": diagnosis})
