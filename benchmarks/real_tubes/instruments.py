"""Instruments and panels that record a tube: names, order and range of the channels, matrix, clock, kind of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from benchmarks.real_tubes.labelled import LabelledTube
from flowmrd.fcs.writer import ChannelSpec, write_fcs
from flowmrd.store import write_text

Values = npt.NDArray[np.float64]

TOP: Final = 262_144.0
BASELINE: Final = 250.0
"""Light that an instrument which stores whole numbers adds to every colour."""
BD: Final = {"FSC-A": "FSC-A", "FSC-W": "FSC-W", "SSC-A": "SSC-A"}
BECKMAN: Final = {"FSC-A": "FS INT", "FSC-H": "FS PEAK", "FSC-W": "FS TOF", "SSC-A": "SS INT"}


@dataclass(frozen=True)
class Instrument:
    """How a tube is recorded.

    Attributes
    ----------
    colours
        Marker, ``$PnN`` and ``$PnS`` of every colour.
    scatter
        Pulse to ``$PnN``, in file order; FSC-H is made of area and width.
    bits
        Bits of the range; raw units grow with it.
    brightness
        Light of every colour relative to the real tube's instrument (voltage), before the range is applied.
    integers
        Whether whole numbers are stored, none below 0.
    log
        Decades of a logarithmic amplifier; 0 for a linear one.
    gain
        ``$PnG`` of the colours.
    keyword
        Keyword of the matrix; a CSV beside the file where empty.
    wraps
        Whether the clock starts again at 0 within the run.
    exchanged
        Whether the file names height as width and width as height.
    off_matrix
        What the matrix in the file is instead of the instrument's: ``identity``, ``transposed``, ``other``.
    swapped
        Two markers whose labels are exchanged in the file.
    """

    name: str
    colours: tuple[tuple[str, str, str], ...]
    scatter: Mapping[str, str] = field(default_factory=lambda: BD)
    bits: int = 18
    brightness: float = 1.0
    integers: bool = False
    log: float = 0.0
    gain: float | None = None
    keyword: str = "$SPILLOVER"
    wraps: bool = False
    exchanged: bool = False
    off_matrix: str = ""
    swapped: tuple[str, str] | None = None

    @property
    def markers(self) -> tuple[str, ...]:
        """Markers of its colours."""
        return tuple(marker for marker, _, _ in self.colours)


def spillover(n: int, seed: int = 5) -> Values:
    """A plausible matrix of n dyes: small everywhere, 5 to 25 % into the next detector, row = dye."""
    rng = np.random.default_rng(seed)
    matrix = np.minimum(rng.exponential(0.012, (n, n)), 0.08)
    for row in range(n - 1):
        matrix[row, row + 1] = rng.uniform(0.05, 0.25)
        matrix[row + 1, row] = rng.uniform(0.0, 0.04)
    np.fill_diagonal(matrix, 1.0)
    return np.asarray(matrix)


def record(path: Path, tube: LabelledTube, instrument: Instrument, rng: np.random.Generator) -> None:
    """Write a tube as the instrument stores it; the matrix beside it where the file has none."""
    tube = tube.with_markers(instrument.markers, rng)
    factor = 2.0 ** (instrument.bits - 18)
    top = TOP * factor - 1
    matrix = spillover(len(instrument.colours))
    own = np.stack([tube.light[marker] for marker in instrument.markers]) * instrument.brightness
    if instrument.integers:  # such instruments store a baseline above zero, so that few events pile up there
        own += BASELINE
    seen = np.minimum(matrix.T @ own * factor, top)
    columns: list[Values] = []
    channels: list[ChannelSpec] = []
    pulses = _pulses(tube)
    for pulse, pnn in instrument.scatter.items():
        held = {"FSC-H": "FSC-W", "FSC-W": "FSC-H"}.get(pulse, pulse) if instrument.exchanged else pulse
        values = pulses[held] * (factor if held != "FSC-W" else 1.0)
        columns.append(np.where(pulses[held] >= TOP - 1, top, np.minimum(values, top)))
        channels.append(ChannelSpec(pnn, "", round(top + 1)))
    labels = {marker: marker for marker in instrument.markers}
    if instrument.swapped is not None:
        one, other = instrument.swapped
        labels |= {one: other, other: one}
    for (marker, pnn, pns), values in zip(instrument.colours, seen, strict=True):
        shown = pns.replace(marker, labels[marker])
        channels.append(
            ChannelSpec(
                pnn, shown, round(top + 1), gain=instrument.gain, log=(instrument.log, 1.0 if instrument.log else 0.0)
            )
        )
        kept = values
        if instrument.log:
            kept = np.log10(np.maximum(values / top * 10**instrument.log, 1.0)) / instrument.log * top
        columns.append(kept if instrument.gain is None else np.minimum(kept * instrument.gain, top))
    seconds = tube.scatter["Time"] - tube.scatter["Time"].min()
    ticks = seconds * 100.0
    if instrument.wraps:
        ticks = np.mod(ticks, float(round(0.6 * ticks.max())))
    columns.append(ticks)
    channels.append(ChannelSpec("TIME" if instrument.wraps else "Time", "", round(top + 1)))
    keywords = {"$CYT": "disguise", "$TIMESTEP": "0.01"}
    stored = _stated(matrix, instrument)
    detectors = [pnn for _, pnn, _ in instrument.colours]
    if instrument.keyword:
        numbers = [format(value, ".6g") for value in stored.ravel()]
        keywords[instrument.keyword] = ",".join([str(len(detectors)), *detectors, *numbers])
    else:
        lines = [",".join(["", *detectors])]
        lines += [",".join([name, *(f"{v:.6g}" for v in row)]) for name, row in zip(detectors, stored, strict=True)]
        write_text(path.with_suffix(".csv"), "\n".join(lines) + "\n")
    if instrument.integers:
        whole = [np.floor(np.clip(column, 0.0, top)).astype(np.uint32) for column in columns]
        write_fcs(path, whole, channels, keywords, datatype="I", bits=32)
    else:
        write_fcs(path, [column.astype(np.float32) for column in columns], channels, keywords)


def _stated(matrix: Values, instrument: Instrument) -> Values:
    if instrument.off_matrix == "identity":
        return np.eye(len(matrix))
    if instrument.off_matrix == "transposed":
        return np.asarray(matrix.T)
    if instrument.off_matrix == "other":
        return spillover(len(matrix), seed=6)
    return matrix


def _pulses(tube: LabelledTube) -> dict[str, Values]:
    """Pulses by name; height = area / width, brought to the level of the area."""
    area, width = tube.scatter["FSC-A"], np.maximum(tube.scatter["FSC-W"], 1.0)
    noise = 1 + 0.02 * np.random.default_rng(2).standard_normal(tube.n)
    height = np.where(area >= TOP - 1, TOP - 1, np.minimum(area / (width / np.median(width)) * noise, TOP - 1))
    return {"FSC-A": area, "FSC-W": tube.scatter["FSC-W"], "FSC-H": height, "SSC-A": tube.scatter["SSC-A"]}


def _bd(*pairs: tuple[str, str]) -> tuple[tuple[str, str, str], ...]:
    """Colours of a BD instrument: marker and dye."""
    return tuple((marker, f"{dye}-A", f"{marker} {dye}") for marker, dye in pairs)


VIENNA: Final = _bd(
    ("CD20", "FITC"), ("CD10", "PE"), ("CD45", "PerCP"), ("CD34", "PE-Cy7"), ("SYTO41", "PacificBlue"), ("CD19", "APC"),
    ("CD38", "Alexa700"),
)  # fmt: skip
LSR: Final = _bd(
    ("CD58", "FITC"), ("CD10", "PE"), ("CD34", "PerCP-Cy5-5"), ("CD19", "PE-Cy7"), ("CD22", "APC"),
    ("CD20", "APC-R700"), ("CD38", "APC-H7"), ("CD123", "BV421"), ("CD45", "V500"), ("CD3", "BV605"),
)  # fmt: skip
LSR_DYE: Final = _bd(
    ("CD58", "FITC"), ("CD10", "PE"), ("CD34", "PerCP-Cy5-5"), ("CD19", "PE-Cy7"), ("CD13", "APC"),
    ("CD38", "APC-R700"), ("CD20", "APC-H7"), ("SYTO41", "BV421"), ("CD45", "V500"), ("CD33", "BV605"),
)  # fmt: skip
LSR_22: Final = _bd(
    ("CD58", "FITC"), ("CD10", "PE"), ("CD34", "PerCP-Cy5-5"), ("CD19", "PE-Cy7"), ("CD22", "APC"),
    ("CD38", "APC-R700"), ("CD20", "APC-H7"), ("SYTO41", "BV421"), ("CD45", "V500"), ("CD24", "BV605"),
)  # fmt: skip
INO: Final = _bd(
    ("CD66b", "FITC"), ("CD22", "PE"), ("CD24", "PE-CF594"), ("CD34", "PerCP-Cy5-5"), ("CD19", "PE-Cy7"),
    ("CD10", "APC"), ("CD38", "APC-R700"), ("CD20", "APC-H7"), ("CD58", "BV421"), ("CD45", "V500"),
)  # fmt: skip
NAVIOS: Final = (
    ("CD58", "FL1 INT", "CD58 FITC"), ("CD10", "FL2 INT", "CD10 PE"), ("CD34", "FL3 INT", "CD34 ECD"),
    ("CD19", "FL4 INT", "CD19 PC5.5"), ("CD33", "FL5 INT", "CD33 PC7"), ("CD38", "FL6 INT", "CD38 APC"),
    ("CD56", "FL7 INT", "CD56 AA700"), ("CD20", "FL8 INT", "CD20 AA750"), ("SYTO41", "FL9 INT", "SYTO41"),
    ("CD45", "FL10 INT", "CD45 KrO"),
)  # fmt: skip
NAVIOS_NO_DYE: Final = tuple(
    (("CD22", pnn, "CD22 PB") if marker == "SYTO41" else (marker, pnn, pns)) for marker, pnn, pns in NAVIOS
)


def _without(colours: tuple[tuple[str, str, str], ...], *markers: str) -> tuple[tuple[str, str, str], ...]:
    return tuple(one for one in colours if one[0] not in markers)


_NAVIOS: Final = Instrument(
    "Navios, 20 bits, dye, clock wraps", NAVIOS, BECKMAN, bits=20, integers=True, wraps=True
)  # fmt: skip
_BASE: Final = Instrument("the tube's own colours", VIENNA)

INSTRUMENTS: Final[tuple[Instrument, ...]] = (
    _BASE,
    replace(_BASE, name="own colours, no dye", colours=_without(VIENNA, "SYTO41")),
    replace(_BASE, name="own colours, no pulse width", scatter={"FSC-A": "FSC-A", "SSC-A": "SSC-A"}),
    replace(
        _BASE,
        name="own colours, H and W exchanged",
        scatter={"FSC-A": "FSC-A", "FSC-H": "FSC-H", "FSC-W": "FSC-W", "SSC-A": "SSC-A"},
        exchanged=True,
    ),
    replace(_BASE, name="own colours, no CD34", colours=_without(VIENNA, "CD34")),
    replace(_BASE, name="own colours, no CD20", colours=_without(VIENNA, "CD20")),
    replace(_BASE, name="own colours, no CD38", colours=_without(VIENNA, "CD38")),
    replace(_BASE, name="own colours, all a third as bright", brightness=1 / 3),
    replace(_BASE, name="own colours, gain 4, 20 bits", bits=20, gain=4.0, brightness=0.25),
    replace(_BASE, name="own colours, log amplifiers of 5 decades", log=5.0, bits=20, integers=True),
    replace(_BASE, name="own colours, matrix in a CSV", keyword=""),
    replace(_BASE, name="own colours, matrix as SPILL", keyword="SPILL"),
    Instrument("LSRII, ten colours, dye, CD13 CD33", LSR_DYE),
    Instrument("LSRII, ten colours, no dye, CD22 CD123 CD3", LSR),
    Instrument("LSRII, ten colours, dye, CD22 CD24", LSR_22),
    replace(Instrument("", LSR), name="LSRII without CD22", colours=_without(LSR, "CD22")),
    Instrument("ten colours of ino10", INO),
    replace(Instrument("", INO), name="ten colours without CD22", colours=_without(INO, "CD22")),
    replace(Instrument("", INO), name="ten colours without CD24", colours=_without(INO, "CD24")),
    replace(Instrument("", INO), name="ten colours without CD66b", colours=_without(INO, "CD66b")),
    replace(Instrument("", INO), name="ten colours, 20 bits", bits=20),
    _NAVIOS,
    replace(_NAVIOS, name="Navios, dim (raw units as of 18 bits)", brightness=0.25),
    replace(_NAVIOS, name="Navios, no dye, CD22", colours=NAVIOS_NO_DYE),
)
FAULTS: Final[tuple[Instrument, ...]] = tuple(
    replace(base, name=f"{name}: {words}", off_matrix=matrix, swapped=pair)
    for name, base in (("own colours", _BASE), ("ino10 colours", Instrument("", INO)))
    for words, matrix, pair in (
        ("matrix identity", "identity", None),
        ("matrix transposed", "transposed", None),
        ("matrix of another day", "other", None),
        ("CD19 and CD10 exchanged", "", ("CD19", "CD10")),
        ("CD20 and CD34 exchanged", "", ("CD20", "CD34")),
        ("CD45 and CD38 exchanged", "", ("CD45", "CD38")),
    )
)
"""The tube alone is recorded so; its controls are sound."""
