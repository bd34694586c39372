"""Stage ``spillover-reference``: the spillover matrix of a panel from its single-stain tubes, written as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from flowmrd.errors import CompensationError
from flowmrd.panel.model import PanelModel
from flowmrd.preprocess.compensation.controls import StainControl, spillover_from_controls
from flowmrd.preprocess.compensation.matrix import normal_name
from flowmrd.preprocess.quality import find_doublet_band, scatter_margin
from flowmrd.preprocess.scaling import FLUORESCENT, stored_ranges
from flowmrd.preprocess.transform import choose_top, upper_value
from flowmrd.records.ingest import IngestFile
from flowmrd.records.read import read_record
from flowmrd.store import ColumnStore, open_columns, write_text

__all__ = ["UNSTAINED", "spillover_reference", "stained_column"]

UNSTAINED: Final = frozenset({"unstained", "none", "blank", "negative"})

SCATTER: Final = ("FSC-A", "SSC-A")

Float32 = npt.NDArray[np.float32]


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
            cells = _cells(store, facts, channels)
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


def stained_column(tube: str, stain: str, panel: PanelModel, detectors: Mapping[str, str | None]) -> str:
    """The panel's channel that a single-stain tube is about.

    Parameters
    ----------
    stain
        Marker, dye or detector, as the sheet has it.
    detectors
        Column to ``$PnN``.

    Raises
    ------
    CompensationError
        If the panel has no such channel.
    """
    wanted = normal_name(stain)
    for channel in panel.channels:
        if channel.kind in FLUORESCENT:
            names = [channel.marker, channel.fluorochrome or "", *channel.aliases]
            names.append(detectors.get(channel.marker) or "")
            names += [f"{channel.marker}{channel.fluorochrome or ''}", f"{channel.fluorochrome or ''}{channel.marker}"]
            if wanted in {normal_name(name) for name in names if name}:
                return channel.marker
    raise CompensationError(
        tube,
        found=f"the stain {stain[:60]!r}",
        expected="a marker, dye or detector of the panel, or 'unstained'",
        todo="correct the column 'stain' of the sample sheet",
    )


def _cells(store: ColumnStore, facts: IngestFile, channels: list[str]) -> dict[str, Float32]:
    """Raw fluorescence of single cells or beads inside the scatter range, without events saturated in a detector."""
    ranges = stored_ranges([channel.model_dump() for channel in facts.channels])
    n = store.n_events
    keep = np.ones(n, dtype=np.bool_)
    scatter: dict[str, Float32] = {}
    for name in ("FSC-A", "FSC-H", "FSC-W"):
        if name in store:
            top = choose_top(ranges.get(name), upper_value([store[name]]))[0]
            scatter[name] = np.asarray(store[name] / np.float32(top), dtype=np.float32)
    if scatter and n:
        keep &= ~scatter_margin(scatter)
        keep &= find_doublet_band(scatter, within=keep).inside(scatter)
    for name in channels:
        values = store[name]
        top = choose_top(ranges.get(name), upper_value([values]))[0]
        keep &= np.isfinite(values) & (values < 0.98 * top)
    return {name: np.array(store[name][keep]) for name in (*channels, *SCATTER) if name in store}
