"""Stage ``ingest``: read one FCS file into raw columns named by marker, and record its facts.

``ingest.json`` is :class:`flowmrd.records.ingest.IngestFile`. No value of a keyword is stored unless
:mod:`flowmrd.fcs.scrub` allows it.
"""

from __future__ import annotations

from pathlib import Path

from flowmrd.panel.model import PanelModel
from flowmrd.run_files import RunFiles
from flowmrd.store import write_columns, write_json
from flowmrd.tube.read import read_tube
from flowmrd.tube.tube import Tube

__all__ = ["in_run", "ingest", "write_raw"]


def in_run(run: RunFiles, *, sample: str) -> None:
    """Read a tube of a run."""
    ingest(
        run.sample(sample).fcs,
        panel=run.panel_of(sample),
        sample=sample,
        events=run.work(sample, "events.arrow"),
        record=run.work(sample, "ingest.json"),
    )


def ingest(
    fcs: Path, *, panel: PanelModel, sample: str, events: Path, record: Path, dataset: int | None = None
) -> None:
    """Read a file and write ``events.arrow`` and ``ingest.json``.

    Parameters
    ----------
    panel
        Panel with which its channels are matched.
    sample
        Name of the sample, for the record.
    events
        Where to write the columns: float32, one row per event in file order, on the ``raw`` scale.
    dataset
        0-based data set; chosen by the rule of :func:`flowmrd.fcs.reader.choose` where ``None``.

    Raises
    ------
    FcsError, ChannelError
        As :func:`flowmrd.tube.read.read_tube` raises them.
    """
    write_raw(read_tube(fcs, panel, name=sample, dataset=dataset), events, record)


def write_raw(tube: Tube, events: Path | None, record: Path) -> None:
    """Write ``ingest.json`` of a tube that has been read and, if a path is given, ``events.arrow``."""
    if events is not None:
        write_columns(events, tube.raw, {"scale": "raw", "sample": tube.name})
    write_json(record, tube.ingest.as_json())
