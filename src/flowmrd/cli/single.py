"""Stages on a single file outside any run directory."""

from __future__ import annotations

import tempfile
from pathlib import Path

from flowmrd.config import RunConfig
from flowmrd.home import PANELS
from flowmrd.panel import find_panel, load_panel
from flowmrd.stages.ingest import ingest
from flowmrd.stages.preprocess import preprocess


def preprocess_file(file: Path, *, panel: str, out: Path, spillover: Path | None = None) -> None:
    """Ingest and preprocess one FCS file with the default configuration; write the columns only.

    The scaling is estimated from this file: there are no controls to take it from.

    Parameters
    ----------
    panel
        Name of a shipped panel, or the path of a panel file.
    out
        Column file to write: one row per event, columns named by marker, on the 0..1 scale.
    """
    model = load_panel(find_panel(panel, run_directory=Path(), shipped=PANELS))
    config = RunConfig(panel=panel, samples="")
    # beside the output, because the system's temporary folder may be small
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder:
        events, record = Path(folder) / "events.arrow", Path(folder) / "ingest.json"
        ingest(file, panel=model, sample=file.stem, events=events, record=record)
        preprocess(
            events,
            record,
            panel=model,
            config=config,
            transforms=None,
            out=out,
            qc=Path(folder) / "qc.json",
            spillover=spillover,
            estimate_width=True,
        )
