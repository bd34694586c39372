"""Stage ``spillover-reference``: the spillover matrix of a panel from its single-stain tubes, written as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from flowmrd.errors import CompensationError
from flowmrd.panel.model import PanelModel
from flowmrd.preprocess.compensation.controls import StainControl, spillover_from_controls
from flowmrd.preprocess.scaling import FLUORESCENT, stored_ranges
from flowmrd.preprocess.stain_tubes import SCATTER, UNSTAINED, Float32, single_cells, stained_column
from flowmrd.records.ingest import IngestFile
from flowmrd.records.read import read_record
from flowmrd.run_files import RunFiles
from flowmrd.store import open_columns, write_text

__all__ = ["in_run", "spillover_reference"]


def in_run(run: RunFiles, *, panel: str, tube: Sequence[str]) -> None:
    """Compute the matrix of a panel from single-stain tubes of a run."""
    spillover_reference(
        {
            name: (run.work(name, "events.arrow"), run.work(name, "ingest.json"), run.sample(name).stain or "unstained")
            for name in tube
        },
        panel=run.panel_named(panel),
        out=run.reference(panel, "spillover.csv"),
    )


def spillover_reference(tubes: Mapping[str, tuple[Path, Path, str]], *, panel: PanelModel, out: Path) -> None:
    """Compute a spillover matrix from single-stain tubes.

    Parameters
    ----------
    tubes
        Tube's name to its ``events.arrow``, its ``ingest.json`` and its stain: marker, dye or detector of a panel
        channel, or ``unstained``.
    out
        CSV to write: detectors in the first line and the first column, six significant digits.

    Raises
    ------
    CompensationError
        If a stain is unknown, a channel has no tube, or a tube is too weak.
    """
    controls: list[StainControl] = []
    unstained: dict[str, Float32] | None = None
    channels: list[str] = []
    for name, (events, record, stain) in tubes.items():
        facts = read_record(record, IngestFile)
        with open_columns(events) as store:
            present = [channel.marker for channel in panel.channels if channel.kind in FLUORESCENT]
            here = [marker for marker in present if marker in store]
            channels = channels or here
            if here != channels:
                raise CompensationError(
                    name,
                    found=f"the channels {', '.join(here)}",
                    expected=f"{', '.join(channels)} as in the other single-stain tubes",
                    todo="acquire all single-stain tubes with the settings of the panel",
                )
            ranges = stored_ranges(facts.channels)
            cells = single_cells(store, ranges, channels)
            scatter: dict[str, Float32] = {name: cells.pop(name) for name in SCATTER if name in cells}
        if stain.lower() in UNSTAINED:
            unstained = cells
        else:
            detectors = {entry.column: entry.pnn for entry in facts.channels}
            controls.append(StainControl(name, stained_column(name, stain, panel, detectors), cells, scatter))
    matrix = spillover_from_controls(controls, channels, unstained=unstained)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["", *matrix.names])
    for label, row in zip(matrix.names, matrix.matrix, strict=True):
        writer.writerow([label, *(f"{value:.6g}" for value in row)])
    write_text(out, text.getvalue())
