"""Detector, dye and staining pattern of each marker of a file, for detecting exchanged labels."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from flowmrd.panel.model import ChannelKind, PanelModel
from flowmrd.panel.names import compact, detector_name, dye_of_file
from flowmrd.preprocess.compensation import Spillover
from flowmrd.preprocess.compensation.source import DYES
from flowmrd.preprocess.scaling import stored_ranges
from flowmrd.preprocess.staining_pattern import StainingPattern, staining_pattern
from flowmrd.records.ingest import ChannelEntry

__all__ = ["DetectorsAndDyes", "as_stained", "detectors_and_dyes", "pattern_of_tube"]


@dataclass(frozen=True)
class DetectorsAndDyes:
    """Detectors and dyes of a panel's markers in one file.

    Attributes
    ----------
    detectors
        Marker to detector: ``$PnDET`` of FCS 3.2, else ``$PnN`` without pulse feature and without the marker's own
        name. A marker whose ``$PnN`` is only the marker's name is absent.
    tags
        Marker to dye (``$PnTAG`` of FCS 3.2), where the file says it.
    """

    detectors: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


def detectors_and_dyes(channels: Sequence[ChannelEntry], panel: PanelModel) -> DetectorsAndDyes:
    """Detectors and dyes of the panel's markers.

    Parameters
    ----------
    channels
        ``channels`` of ``ingest.json``.
    """
    detectors: dict[str, str] = {}
    tags: dict[str, str] = {}
    for entry in channels:
        marker = entry.marker
        if marker is None or entry.kind not in DYES:
            continue
        channel = panel.channel(marker)
        stated = entry.detector or detector_name(entry.pnn)
        if detector := _without_marker(stated, (marker, *channel.aliases)):
            detectors[marker] = detector
        if entry.tag:
            tags[marker] = entry.tag
    return DetectorsAndDyes(detectors, tags)


def _without_marker(detector: str, own: Sequence[str]) -> str:
    """A detector's name without the marker that some laboratories write into it: ``CD22 PE`` is PE."""
    for name in sorted(own, key=len, reverse=True):
        if compact(name) == compact(detector):
            return ""
        alone = re.sub(rf"(?<![0-9A-Za-z]){re.escape(name)}(?![0-9A-Za-z])", " ", detector, flags=re.IGNORECASE)
        if alone != detector:
            return alone.strip(" \t_-:.,;/()[]")
        if compact(name) and compact(detector).startswith(compact(name)):
            return compact(detector)[len(compact(name)) :]
    return detector


def as_stained(panel: PanelModel, channels: Sequence[ChannelEntry]) -> PanelModel:
    """The panel with the dyes of a file; the clone of an antibody with another dye than the panel's is removed.

    Parameters
    ----------
    channels
        ``channels`` of ``ingest.json``.
    """
    stored = {entry.marker: entry for entry in channels if entry.marker is not None}
    changed = []
    for channel in panel.channels:
        entry = stored.get(channel.marker)
        pnn, tag = (None, None) if entry is None else (entry.pnn, entry.tag)
        dye, same = dye_of_file(pnn, channel.fluorochrome, tag)
        other = {} if same else {"fluorochrome": dye, "clone": None, "epitope": None}
        changed.append(channel.model_copy(update=other))
    return panel.model_copy(update={"channels": tuple(changed)})


def pattern_of_tube(
    columns: Mapping[str, npt.NDArray[np.float32]], channels: Sequence[ChannelEntry], matrix: Spillover | None
) -> StainingPattern | None:
    """The pattern of a tube's staining; None where there are too few cells or dyes.

    Parameters
    ----------
    columns
        Values as stored, of every channel of the panel and of the matrix; each of shape (n_events,).
    channels
        ``channels`` of ``ingest.json``.
    matrix
        Spillover matrix of the tube; None leaves the values as they are.
    """
    present = [(one.marker, one) for one in channels if one.marker is not None and one.column in columns]
    values: dict[str, npt.NDArray[Any]] = {one.column: columns[one.column] for _, one in present}
    if matrix is not None:
        measured = np.column_stack([columns[name] for name in matrix.names]).astype(np.float64)
        with np.errstate(invalid="ignore"):  # events with infinity stay without a number, and are told as such
            true = measured @ matrix.inverse()
        values |= {name: true[:, place] for place, name in enumerate(matrix.names) if name in values}
    ranges = stored_ranges(channels)
    tops = {name: ranges[name] or max(float(np.nanmax(values[name], initial=1.0)), 1.0) for name in values}
    dyes = {marker: values[one.column] for marker, one in present if one.kind in DYES}
    light = {marker: values[one.column] for marker, one in present if one.kind == ChannelKind.SCATTER.value}
    # pulse height and width add nothing to the area
    light = {name: value for name, value in light.items() if not name.endswith(("-H", "-W"))}
    tops |= {marker: tops[one.column] for marker, one in present}
    return staining_pattern(dyes, light, tops)
