"""Reading the marker of a channel from the file's own labels, before a panel is chosen."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from flowmrd.panel.match import names_marker
from flowmrd.panel.model import Channel, ChannelKind
from flowmrd.panel.names import (
    detector_name,
    dye_of_file,
    is_antigen,
    is_noise,
    is_plain_scatter,
    is_time_name,
    pulse_feature,
    qualifier,
    scatter_name,
    tokens,
)

__all__ = ["LabelledChannel", "read_label"]

_NUCLEIC = re.compile(r"SYTO\d*|DRAQ\d|HOECHST\d*|VYBRANT")
_VIABILITY = re.compile(r"ZOMBIE|LIVEDEAD|LIVE|VIABILITY|7AAD|DAPI|PI|FVS\d*|AQUA|GHOST|SYTOX")


@dataclass(frozen=True)
class LabelledChannel:
    """One channel of a file as its labels describe it.

    Attributes
    ----------
    marker
        Marker, scatter signal or ``Time``; None where no label names one.
    detector
        Detector without its pulse feature (A, H, W); empty for scatter and time.
    dye
        Dye that the detector names, if any.
    label
        The label that named the marker, as stored.
    why
        Where ``marker`` is None: what the labels contain instead.
    """

    index: int
    marker: str | None
    kind: ChannelKind
    detector: str = ""
    dye: str | None = None
    label: str = ""
    why: str = ""


def read_label(index: int, pnn: str | None, pns: str | None, known: Sequence[Channel]) -> LabelledChannel:
    """Read the labels of one channel.

    Parameters
    ----------
    known
        Channels of the shipped panels. Their markers and aliases are tried before other antigens.
    """
    detector, label = (pnn or "").strip(), (pns or "").strip()
    if is_time_name(detector, label):
        return LabelledChannel(index, "Time", ChannelKind.TIME)
    scatter = scatter_name(detector) or (scatter_name(label) if not detector else None)
    if scatter is not None:
        return _scatter(index, detector, scatter)
    dye, _ = dye_of_file(detector, None)
    for text in (label, detector):
        kind, marker = _marker(text, known)
        if marker is not None:
            if pulse_feature(detector) in ("H", "W"):
                return LabelledChannel(index, None, kind, why="height or width of a colour: its area is used")
            return LabelledChannel(index, marker, kind, detector_name(detector), dye, text)
        if qualifier(text):
            return LabelledChannel(index, None, ChannelKind.EMPTY, why=qualifier(text))
    return LabelledChannel(index, None, ChannelKind.EMPTY, detector_name(detector), dye, why="no label says a marker")


def _scatter(index: int, detector: str, name: str) -> LabelledChannel:
    signal = name if "-" in name else f"{name}-A"
    if "2" in signal or not is_plain_scatter(detector):
        return LabelledChannel(index, None, ChannelKind.SCATTER, why="scatter of a second beam")
    return LabelledChannel(index, signal, ChannelKind.SCATTER, label=detector)


def _marker(text: str, known: Sequence[Channel]) -> tuple[ChannelKind, str | None]:
    if not text or qualifier(text):
        return ChannelKind.EMPTY, None
    for channel in known:
        if any(names_marker(text, name) for name in (channel.marker, *channel.aliases)):
            return channel.kind, channel.marker
    words = tokens(text)
    for kind, pattern in ((ChannelKind.NUCLEIC_ACID, _NUCLEIC), (ChannelKind.VIABILITY, _VIABILITY)):
        found = next((word for word in words if pattern.fullmatch(word)), None)
        if found is not None:
            return kind, found
    antigens = [_spelt(word) for word in words if _is_marker(word)]
    return ChannelKind.ANTIBODY, "+".join(dict.fromkeys(antigens)) or None


def _is_marker(word: str) -> bool:
    if re.fullmatch(r"CD\d{1,3}[A-Z]{0,2}\d?", word):
        return True
    return not is_noise(word) and is_antigen(word)


def _spelt(word: str) -> str:
    """``CD66C`` as ``CD66c``; isoforms (``CD45RA``) and other antigens as they are."""
    form = re.fullmatch(r"(CD\d{1,3})([A-Z])", word)
    return f"{form[1]}{form[2].lower()}" if form else {"HLADR": "HLA-DR"}.get(word, word)
