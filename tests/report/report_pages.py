"""Pages of invented samples."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from flowmrd.panel.model import PanelModel
from flowmrd.stages.report import FilesBeside, report
from flowmrd.store import write_json
from report_factory import MadeSample, config, ino10, make_result, qc_record


def build(
    made: MadeSample,
    *,
    laip: bool = True,
    visits: bool = True,
    panel: PanelModel | None = None,
    n_controls: int = 6,
    tubes: int = 1,
    language: Literal["en", "de", "zh"] = "en",
) -> Path:
    """Run the report stage on an invented sample with controls and visits."""
    controls = []
    for index in range(n_controls):
        path = made.run / f"results/samples/CTRL{index}/qc.json"
        medians = dict.fromkeys(("CD10", "CD45", "SSC-A"), 0.4 + 0.004 * (index * 7 % 5))
        write_json(path, qc_record(f"CTRL{index}", 1000, medians, disturbed=False))
        controls.append(path.parent)
    history = []
    if visits:
        first = made.run / "results/samples/P01_dx/mrd.json"
        write_json(first, make_result("P01_dx", role="diagnosis", timepoint="diagnosis", mrd=150_000).to_json_dict())
        history = [first, made.sample_dir / "mrd.json"]
    settings = config()
    settings = settings.model_copy(update={"report": settings.report.model_copy(update={"language": language})})
    report(
        made.sample_dir,
        made.work_dir,
        panel=panel or ino10(),
        config=settings,
        beside=FilesBeside(
            laip=made.run / "results/laip/P01/laip.json" if laip else None,
            controls=controls,
            history=history,
            run_directory=made.run,
            tubes=tubes,
        ),
    )
    return made.sample_dir / "report.html"
