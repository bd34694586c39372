"""Rows of antibodies that were forgotten, channels at another voltage, and marrows of another disease.

An antibody that was forgotten leaves the light of its dye at the level of cells without the antigen, in its own
detector and, by spillover, in the others. A detector at another voltage multiplies what it stores; the matrix of the
file is then that of the old voltage.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any, Final, TypedDict

import numpy as np

from benchmarks.stress.raw_tube import TOP, Floats32, RawTube
from benchmarks.stress.rows import INO, VIENNA, Change, PanelChange, Row, add

MARKERS: Final[Mapping[str, tuple[str, ...]]] = {
    VIENNA: ("CD20", "CD10", "CD45", "CD34", "SYTO41", "CD19", "CD38"),
    INO: ("CD66b", "CD22", "CD24", "CD34", "CD19", "CD10", "CD38", "CD20", "CD58", "CD45"),
}
B_MARKERS: Final[Mapping[str, tuple[str, ...]]] = {
    VIENNA: ("CD19", "CD10", "CD20", "CD34"),
    INO: ("CD19", "CD10", "CD20", "CD34", "CD22", "CD24"),
}
WITHOUT, WITHOUT_SD = 60.0, 40.0
"""Light of cells without an antigen and its spread, raw units: autofluorescence and noise."""


def unstained(*markers: str) -> Change:
    """These antibodies were not put into the tube."""

    def change(tube: RawTube, rng: np.random.Generator) -> None:
        light = tube.light()
        for marker in markers:
            light[marker] = rng.normal(WITHOUT, WITHOUT_SD, tube.n)
        tube.store(light)

    return change


def voltage_of(factor: float, *markers: str) -> Change:
    """Detectors at another voltage than their matrix was made with; of all dyes where none is named."""

    def change(tube: RawTube, rng: np.random.Generator) -> None:
        for marker in markers or tube.detectors:
            name = tube.detectors[marker]
            tube.columns[name] = np.minimum(tube.columns[name] * np.float32(factor), np.float32(TOP))

    return change


def _population(share: float, levels: Mapping[str, float], scatter: tuple[float, float]) -> Change:
    """This share of the cells that are not leukaemic replaced by one population; doublets are of the new cells.

    Parameters
    ----------
    levels
        Marker to light, raw units; markers that are not named are negative, and the nucleic acid dye stays.
    scatter
        Forward and side scatter, raw units.
    """

    def change(tube: RawTube, rng: np.random.Generator) -> None:
        rows = np.flatnonzero(tube.nucleated & ~tube.leukaemic)
        rows = rows[rng.random(len(rows)) < share]
        light = tube.light()
        for marker in light:
            if marker in levels:
                light[marker][rows] = levels[marker] * 10.0 ** rng.normal(0.0, 0.25, len(rows))
            elif marker != "SYTO41":
                light[marker][rows] = rng.normal(WITHOUT, WITHOUT_SD, len(rows))
        tube.store(light)
        width: dict[str, Floats32] = {
            name: tube.columns[name][rows] for name in ("FSC-W", "SSC-W") if name in tube.columns
        }
        for detector, centre in zip(("FSC", "SSC"), scatter, strict=True):
            area: Floats32 = (centre * np.exp(rng.normal(0.0, 0.2, len(rows)))).astype(np.float32)
            tube.columns[f"{detector}-A"][rows] = np.minimum(area, np.float32(TOP))
            if f"{detector}-H" in tube.columns:
                high: Floats32 = area / width[f"{detector}-W"] * np.float32(65536)
                tube.columns[f"{detector}-H"][rows] = np.minimum(high, np.float32(TOP))
        tube.b_lineage[rows] = False
        tube.pair_again(rng)

    return change


def absent(marker: str) -> Change:
    """The tube was acquired without this dye and its detector."""
    return lambda tube, rng: tube.remove(marker)


def optional(markers: tuple[str, ...]) -> PanelChange:
    """The panel lets a tube do without any of these markers."""

    def change(panel: dict[str, Any]) -> None:
        for channel in panel["channels"]:
            if channel["marker"] in markers:
                channel["required"] = False

    return change


def _wide(tube: RawTube, rng: np.random.Generator) -> None:
    tube.widen(4.0)


class Spoilt(TypedDict):
    """What the rows of one panel share."""

    panels: tuple[str, ...]
    sound: bool


def _register() -> None:
    for panel, markers in MARKERS.items():
        of: Spoilt = {"panels": (panel,), "sound": False}
        for marker in markers:
            add(Row(f"{panel}: {marker} not stained", unstained(marker), **of))
        for pair in combinations(B_MARKERS[panel], 2):
            add(Row(f"{panel}: {' and '.join(pair)} not stained", unstained(*pair), **of))
        add(Row(f"{panel}: no antibody of the B lineage", unstained(*B_MARKERS[panel]), **of))
        for marker in markers:
            for factor, words in ((3.0, "x 3"), (1.0 / 3.0, "/ 3")):
                add(Row(f"{panel}: detector of {marker} {words}", voltage_of(factor, marker), **of))
        for marker in markers:
            add(
                Row(
                    f"{panel}: {marker} not in the tube",
                    absent(marker),
                    panel_change=optional(markers),
                    shares="optional markers",
                    **of,
                )
            )
        for factor, words in ((3.0, "x 3"), (1.0 / 3.0, "/ 3")):
            add(Row(f"{panel}: all detectors {words}", voltage_of(factor), **of))


_register()
MYELOBLASTS: Final = {"CD45": 1_500.0, "CD38": 1_500.0, "CD58": 900.0}
T_CELLS: Final = {"CD45": 12_000.0, "CD38": 200.0, "CD58": 150.0}
for _name, _levels in (
    ("CD34+", MYELOBLASTS | {"CD34": 4_000.0}),
    ("CD34-", MYELOBLASTS),
    ("CD34- CD45 very dim", MYELOBLASTS | {"CD45": 400.0}),
    ("CD34- CD45 0.4 decades below T cells", MYELOBLASTS | {"CD45": T_CELLS["CD45"] * 10.0**-0.4}),
):
    add(Row(f"46 % myeloblasts, {_name}", _population(0.46, _levels, (130_000.0, 55_000.0)), sound=False))
add(Row("85 % T cells", _population(0.85, T_CELLS, (75_000.0, 22_000.0))))
add(Row("aplastic marrow: 97 % T cells", _population(0.97, T_CELLS, (75_000.0, 22_000.0))))
for _count in (3, 4, 5):
    add(Row(f"{_count} controls", n_controls=_count))
add(Row("20-bit instrument, controls of an 18-bit one", _wide, sound=False))
add(Row("20-bit diagnosis tube, controls of an 18-bit one", _wide, on=frozenset({"diagnosis"}), sound=False))
add(
    Row(
        "20-bit instrument",
        _wide,
        on=frozenset({"control", "diagnosis", "followup"}),
        controls=tuple(range(99)),
    )
)
