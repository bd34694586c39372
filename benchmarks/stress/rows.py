"""The rows of the table: one fault each, as a function that changes the stored values of a tube in place.

To add a row, write a function ``(tube, rng) -> None`` and register it with :func:`row`. A function that needs a channel
which a panel lacks names the panels that have it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from benchmarks.stress.raw_tube import TOP, RawTube

Change = Callable[[RawTube, np.random.Generator], None]
PanelChange = Callable[[dict[str, Any]], None]

VIENNA, INO = "vienna_b8", "ino10"
BOTH: Final = (VIENNA, INO)
FOLLOWUP: Final = frozenset({"followup"})
PATIENT: Final = frozenset({"followup", "diagnosis"})
CONTROL: Final = frozenset({"control"})


@dataclass(frozen=True)
class Row:
    """One fault.

    Attributes
    ----------
    name
        Words of the table.
    change
        What it does to a tube; None for tubes as they are.
    on
        Roles of the tubes that are changed: ``followup``, ``diagnosis``, ``control``.
    controls
        Which controls are changed, by number, where ``on`` names them.
    panels
        Panels that the fault can be shown with.
    panel_change
        What it does to the panel file (its YAML as plain values), in place; None leaves the panel as it is.
    shares
        Rows with the same words here share their controls: what they do to these and to the panel is the same.
    n_controls
        How many controls the reference is learned from, where it is not the usual number.
    sound
        Whether a clean tube with this fault should still be negative.
    """

    name: str
    change: Change | None = None
    on: frozenset[str] = FOLLOWUP
    controls: tuple[int, ...] = (0,)
    panels: tuple[str, ...] = BOTH
    panel_change: PanelChange | None = None
    shares: str = ""
    n_controls: int | None = None
    sound: bool = True

    @property
    def own_controls(self) -> bool:
        """Whether the reference has to be learned anew for this row."""
        return "control" in self.on or self.panel_change is not None or self.n_controls is not None


ROWS: dict[str, Row] = {}
"""Name to row, in the order of the table."""


def add(entry: Row) -> None:
    """Put a row at the end of the table."""
    if entry.name in ROWS:
        raise ValueError(f"two rows are called {entry.name!r}")
    ROWS[entry.name] = entry


def row(name: str, **facts: Any) -> Callable[[Change], Change]:
    """Register the decorated function as a row; further arguments as in :class:`Row`."""

    def register(change: Change) -> Change:
        add(Row(name, change, **facts))
        return change

    return register


add(Row("nothing", None))


def shifted(marker: str, decades: float, *, blasts: bool = False) -> Change:
    """A dye seen brighter or dimmer, on all cells or on the blasts alone."""

    def change(tube: RawTube, rng: np.random.Generator) -> None:
        light = tube.light()
        where = tube.leukaemic if blasts else np.ones(tube.n, dtype=bool)
        light[marker][where] *= 10.0**decades
        tube.store(light)

    return change


for _shift in (-0.5, -0.25, 0.25, 0.5):
    add(Row(f"nucleic acid dye of the tube {_shift:+g} decades", shifted("SYTO41", _shift), panels=(VIENNA,)))
for _shift in (-0.5, -1.0):
    add(
        Row(
            f"nucleic acid dye of the blasts {_shift:+g} decades",
            shifted("SYTO41", _shift, blasts=True),
            on=PATIENT,
            panels=(VIENNA,),
        )
    )


@row("blasts without CD45", on=PATIENT)
def no_cd45(tube: RawTube, rng: np.random.Generator) -> None:
    """CD45 of the blasts at the level of cells without the antigen (about a decade on the scale)."""
    light = tube.light()
    light["CD45"][tube.leukaemic] = rng.normal(60.0, 40.0, int(tube.leukaemic.sum()))
    tube.store(light)


@row("blasts without CD19", on=PATIENT)
def no_cd19(tube: RawTube, rng: np.random.Generator) -> None:
    """CD19 of the blasts at the level of cells without the antigen."""
    light = tube.light()
    light["CD19"][tube.leukaemic] = rng.normal(60.0, 40.0, int(tube.leukaemic.sum()))
    tube.store(light)


@row("blasts twice as large", on=PATIENT)
def large(tube: RawTube, rng: np.random.Generator) -> None:
    """Forward scatter of the blasts doubled, side scatter half as much again."""
    _scale(tube, "FSC", 2.0, tube.leukaemic)
    _scale(tube, "SSC", 1.5, tube.leukaemic)


def _scale(tube: RawTube, detector: str, factor: float, where: Any = None) -> None:
    rows = slice(None) if where is None else where
    for name in (f"{detector}-A", f"{detector}-H"):
        if name in tube.columns:
            tube.columns[name][rows] = np.minimum(tube.columns[name][rows] * np.float32(factor), np.float32(TOP))


def voltage(detector: str, factor: float) -> Change:
    """A scatter detector of the tube at another voltage."""
    return lambda tube, rng: _scale(tube, detector, factor)


for _detector in ("FSC", "SSC"):
    for _factor in (0.6, 1.6):
        add(Row(f"{_detector} voltage of the tube x {_factor:g}", voltage(_detector, _factor)))
for _marker in ("CD45", "CD10", "CD38"):
    for _shift in (-0.4, 0.4):
        add(Row(f"{_marker} of the tube {_shift:+g} decades", shifted(_marker, _shift)))


def saturated(share: float, only: str | None = None) -> Change:
    """Single events far off the scale of one detector: one to eight times its range, clipped at the top.

    In half of them the neighbours see the spill of the true light, which compensation takes off in part; in the others
    they see none (a pulse of the electronics), and compensation takes off what is not there.
    """

    def change(tube: RawTube, rng: np.random.Generator) -> None:
        rows = tube.pick(tube.nucleated & ~tube.leukaemic, round(share * tube.n), rng)
        markers = list(tube.detectors)
        which = rng.integers(len(markers), size=len(rows))
        strength = TOP * np.exp(rng.uniform(0.0, np.log(8.0), len(rows)))
        real = rng.random(len(rows)) < 0.5
        light = tube.light()
        for place, marker in enumerate(markers):
            mine = (which == place) if only is None else np.full(len(rows), marker == only)
            light[marker][rows[mine & real]] = strength[mine & real]
        tube.store(light)
        for place, marker in enumerate(markers):
            mine = (which == place) if only is None else np.full(len(rows), marker == only)
            tube.columns[tube.detectors[marker]][rows[mine & ~real]] = np.float32(TOP)

    return change


add(Row("0.3 % off scale in one detector each", saturated(0.003), on=PATIENT | CONTROL, controls=tuple(range(7))))
add(
    Row(
        "0.3 % off scale in one detector each, controls without",
        saturated(0.003),
    )
)
add(Row("0.3 % off scale in CD34", saturated(0.003, "CD34")))
add(Row("0.3 % off scale in CD38", saturated(0.003, "CD38")))


def bright_blasts(marker: str, share: float = 0.5) -> Change:
    """A share of the blasts one to four times beyond the range of a detector."""

    def change(tube: RawTube, rng: np.random.Generator) -> None:
        rows = np.flatnonzero(tube.leukaemic)
        rows = rows[rng.random(len(rows)) < share]
        light = tube.light()
        light[marker][rows] = TOP * np.exp(rng.uniform(0.0, np.log(4.0), len(rows)))
        tube.store(light)

    return change


for _marker in ("CD10", "CD38"):
    add(Row(f"half of the blasts off scale in {_marker}", bright_blasts(_marker), on=PATIENT))
    add(Row(f"95 % of the blasts off scale in {_marker}", bright_blasts(_marker, 0.95), on=PATIENT))
add(Row("half of the blasts off scale in CD58", bright_blasts("CD58"), on=PATIENT, panels=(INO,)))


@row("blasts off scale in forward scatter", on=PATIENT)
def clipped_by_size(tube: RawTube, rng: np.random.Generator) -> None:
    """Blasts so large, or forward scatter at so high a voltage, that this detector clips nearly all of them."""
    _scale(tube, "FSC", 4.0, tube.leukaemic)


@row("5 % dead cells")
def dead(tube: RawTube, rng: np.random.Generator) -> None:
    """Cells that shrink, turn granular and bind every antibody a little; the nucleic acid dye is mostly lost."""
    rows = tube.pick(tube.nucleated & ~tube.leukaemic & ~tube.b_lineage, round(0.05 * tube.n), rng)
    light = tube.light()
    sticky = 10.0 ** rng.normal(0.0, 0.25, len(rows))
    for marker in light:
        light[marker][rows] = sticky * 10.0 ** rng.normal(3.0 if marker == "SYTO41" else 2.6, 0.25, len(rows))
    tube.store(light)
    for name, centre in (("FSC-A", 38_000.0), ("SSC-A", 70_000.0)):
        tube.columns[name][rows] = np.minimum(centre * np.exp(rng.normal(0.0, 0.4, len(rows))), TOP)
    if "FSC-H" in tube.columns:
        tube.columns["FSC-H"][rows] = tube.columns["FSC-A"][rows] / tube.columns["FSC-W"][rows] * np.float32(65536)
    tube.nucleated[rows] = False


def plasmablasts(share: float) -> Change:
    """Plasmablasts, which appear after therapy: CD19 dim, CD38 and CD58 very bright, CD20, CD10 and CD34 negative."""
    levels = {"CD19": 1500.0, "CD38": 90_000.0, "CD58": 30_000.0, "CD45": 3_000.0, "SYTO41": None}

    def change(tube: RawTube, rng: np.random.Generator) -> None:
        rows = tube.pick(tube.nucleated & ~tube.leukaemic & ~tube.b_lineage, round(share * tube.n), rng)
        _become(tube, rows, levels, rng)
        tube.b_lineage[rows] = True

    return change


def _become(tube: RawTube, rows: Any, levels: Mapping[str, float | None], rng: np.random.Generator) -> None:
    """Give cells these levels of light with the scatter of lymphoid cells; markers that are not named are negative."""
    light = tube.light()
    for marker in light:
        level = levels.get(marker, 60.0)
        if level is None:
            continue
        if level <= 100.0:
            light[marker][rows] = rng.normal(level, 40.0, len(rows))
        else:
            light[marker][rows] = level * 10.0 ** rng.normal(0.0, 0.15, len(rows))
    tube.store(light)
    for name, centre in (("FSC-A", 95_000.0), ("SSC-A", 35_000.0)):
        tube.columns[name][rows] = np.minimum(centre * np.exp(rng.normal(0.0, 0.15, len(rows))), TOP)
    if "FSC-H" in tube.columns:
        tube.columns["FSC-H"][rows] = tube.columns["FSC-A"][rows] / tube.columns["FSC-W"][rows] * np.float32(65536)


for _share in (1e-4, 1e-3):
    add(Row(f"plasmablasts at {_share:g}", plasmablasts(_share)))


@row("one control of seven with 0.5 % of an odd group", on=CONTROL)
def odd_control(tube: RawTube, rng: np.random.Generator) -> None:
    """A group that marrow does not hold: CD19+ CD34+ CD10 bright, CD45 and CD38 negative."""
    rows = tube.pick(tube.nucleated & ~tube.b_lineage, round(0.005 * tube.n), rng)
    _become(tube, rows, {"CD19": 3_000.0, "CD34": 6_000.0, "CD10": 30_000.0, "SYTO41": None}, rng)


@row("one control of seven with half its cells dim", on=CONTROL)
def dim_control(tube: RawTube, rng: np.random.Generator) -> None:
    """Half the cells of a control with a tenth of the nucleic acid dye, or of CD45 where the panel has no dye."""
    rows = tube.pick(tube.nucleated, tube.n // 2, rng)
    light = tube.light()
    light["SYTO41" if "SYTO41" in light else "CD45"][rows] *= 0.1
    tube.store(light)


@row("FSC-H and FSC-W exchanged", panels=(INO,))
def exchanged(tube: RawTube, rng: np.random.Generator) -> None:
    """Height stored under the name of the width, as some instruments export it."""
    tube.columns["FSC-H"], tube.columns["FSC-W"] = tube.columns["FSC-W"], tube.columns["FSC-H"]
