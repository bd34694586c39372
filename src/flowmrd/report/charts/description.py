"""Description of a chart, independent of what draws it.

Coordinates are those of the axes: the 0..1 scale of :mod:`flowmrd.units` for event plots, the chart's own otherwise.
The role of a part determines its colour, line and symbol; the theme of the page defines the colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from flowmrd.report.axes import Axis
from flowmrd.report.density import Counts

Point = tuple[float, float]
Role = Literal[
    "all", "answer", "arrival", "axis", "back", "base", "below", "beyond", "censored", "control",
    "course", "curve", "diagnosis", "disturbed", "equality", "event", "excluded", "expected", "fit",
    "gate", "grid", "group", "interval", "limit", "limit_end", "lost", "masked", "measurable",
    "measured", "mrd", "no_remission", "nominal", "normal", "other", "outlier", "over", "positive",
    "rate", "reference", "remaining", "remission", "result", "selected", "signal", "spiked",
    "target", "under", "undetected", "unlimited", "within",
]  # fmt: skip


@dataclass(frozen=True)
class Style:
    """Style of a role: theme variable, width of lines, dashes in pixels, symbol and size of points.

    Filled points have an edge in the colour of the paper, a ``disc`` is paper within a ring of its colour: a mark is
    then visible on any shade of the density and with any colour vision.
    """

    colour: str
    width: float = 1.8
    dash: str = ""
    symbol: str = "circle"
    size: float = 5.0
    filled: bool = True
    disc: bool = False


STYLES: Final[dict[str, Style]] = {
    "all": Style("var(--dens)", symbol="circle", size=3),
    "answer": Style("var(--mrd)", symbol="diamond", size=17),
    "arrival": Style("var(--mrd)", 1.2, symbol="line-ns", size=13, filled=False),
    "axis": Style("var(--ink)", 1.0),
    "back": Style("var(--ink)", 1.4, symbol="circle", size=6, filled=False, disc=True),
    "below": Style("var(--gate)", 1.4, symbol="circle", size=7, filled=False),
    "base": Style("var(--soft)", 1.0),
    "beyond": Style("var(--fail)", 1.5, symbol="diamond", size=11),
    "censored": Style("var(--ink)", 1.0, symbol="line-ns", size=11, filled=False),
    "control": Style("var(--gate)", symbol="circle", size=5),
    "course": Style("var(--dens)", 1.2),
    "curve": Style("var(--accent)", 2.2),
    "diagnosis": Style("var(--dia)", 2.0, "6px,3px"),
    "disturbed": Style("var(--fail)", 1.0, "5px,3px"),
    "equality": Style("var(--soft)", 1.4, "5px,3px"),
    "event": Style("var(--ink)", 1.6),
    "excluded": Style("var(--fail)", 1.4, symbol="x", size=8),
    "expected": Style("var(--pass-wash)"),
    "fit": Style("var(--mrd)", 1.6),
    "gate": Style("var(--gate)", 2.0, size=6),
    "grid": Style("var(--line)", 1.0),
    "group": Style("var(--group)", 1.4, "2px,2px", symbol="square", size=6),
    "interval": Style("var(--mrd)", 5.0),
    "limit": Style("var(--gate)", 2.0),
    "limit_end": Style("var(--gate)", 3.0, symbol="line-ns", size=13, filled=False),
    "lost": Style("var(--fail)"),
    "masked": Style("var(--fail)"),
    "measurable": Style("var(--gate)", 3.0),
    "measured": Style("var(--gate)", 2.4, symbol="circle", size=8),
    "mrd": Style("var(--mrd)", 1.2, symbol="diamond", size=6),
    "no_remission": Style("var(--warn)"),
    "nominal": Style("var(--gate)", 1.6, symbol="circle", size=6, filled=False, disc=True),
    "normal": Style("var(--normal)", 1.6, symbol="triangle-up", size=5),
    "other": Style("var(--dens)", 1.4, symbol="circle", size=4.5, filled=False),
    "outlier": Style("var(--fail)", 1.4, symbol="diamond", size=8),
    "over": Style("var(--gate)"),
    "positive": Style("var(--fail-wash)"),
    "rate": Style("var(--gate)", 1.4),
    "reference": Style("var(--ink)", 1.4, "2px,3px"),
    "remaining": Style("var(--dens)"),
    "remission": Style("var(--pass)"),
    "result": Style("var(--mrd)", 2.4, symbol="diamond", size=9),
    "selected": Style("var(--ink)", 1.6, symbol="circle", size=8, filled=False),
    "signal": Style("var(--ink)", 1.3),
    "spiked": Style("var(--spiked)", 1.4, symbol="cross", size=6),
    "target": Style("var(--ink)", 1.4, "5px,3px"),
    "under": Style("var(--mrd)"),
    "undetected": Style("var(--mrd)", 1.6, symbol="diamond", size=9, filled=False),
    "unlimited": Style("var(--mrd)", symbol="triangle-left", size=11),
    "within": Style("var(--wash)"),
}


@dataclass(frozen=True)
class Mark:
    """A short text at a border: the gate's number, an arrow to its inside. ``anchor`` is start, middle or end."""

    text: str
    at: Point
    anchor: str


@dataclass(frozen=True)
class Outline:
    """A border on the two axes of a plot: a closed polygon, or an open line.

    Attributes
    ----------
    label
        The gate's name, the stage's, the group's letter.
    inward
        Direction in which a line's inside lies; zero where it is not known.
    """

    points: tuple[Point, ...]
    closed: bool
    label: str = ""
    inward: Point = (0.0, 0.0)
    mark: Mark | None = None
    role: Role = "gate"


@dataclass(frozen=True)
class CountGrid:
    """Counts on the fixed grid of :mod:`flowmrd.report.density`."""

    counts: Counts


@dataclass(frozen=True)
class CellMarks:
    """Single cells of one layer of the page's table (:mod:`flowmrd.report.cell_layers`).

    ``still`` holds the few cells that the picture without scripts shows; the figure takes all cells from the table.
    """

    layer: str
    name: str
    role: Role
    still: tuple[Point, ...] = ()


@dataclass(frozen=True)
class Points:
    """Points with a tooltip each; an empty text is not shown."""

    name: str
    role: Role
    at: tuple[Point, ...]
    texts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Interval:
    """A vertical bar from ``low`` to ``high`` at ``x``."""

    x: float
    low: float
    high: float
    role: Role
    text: str = ""


@dataclass(frozen=True)
class Band:
    """A shaded stretch of the vertical axis."""

    low: float
    high: float


@dataclass(frozen=True)
class Area:
    """A shaded polygon: where values are as expected, or between the limits of a curve."""

    corners: tuple[Point, ...]
    role: Role = "expected"
    opacity: float = 1.0


@dataclass(frozen=True)
class Bar:
    """A filled rectangle between two values on either axis; ``text`` is its tooltip."""

    x: tuple[float, float]
    y: tuple[float, float]
    role: Role
    opacity: float = 1.0
    hatched: bool = False
    text: str = ""


@dataclass(frozen=True)
class Label:
    """A text whose middle line runs through a point.

    Attributes
    ----------
    at
        The point; it may lie outside the axes.
    shift
        Distance from the point in CSS pixels, to the right and down.
    css
        Classes of the page: ``faint``, ``strong``, ``halo``.
    angle
        Degrees by which the text is turned, clockwise.
    """

    text: str
    at: Point
    anchor: Literal["start", "middle", "end"] = "start"
    shift: Point = (0.0, 0.0)
    css: str = ""
    size: float = 12.0
    angle: float = 0.0


Layer = CountGrid | Outline | CellMarks | Points | Interval | Band | Area | Bar | Label


@dataclass(frozen=True)
class Room:
    """Space around the plot area of a chart that names its rows itself, in CSS pixels."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class Chart:
    """One chart.

    Attributes
    ----------
    id
        Id of its element on the page.
    summary
        The content of the chart in words, for readers who cannot see it.
    size
        Width and height of the SVG's plot area in CSS pixels.
    room
        Space around it; None for that of a plot with two labelled axes. A chart with a room of its own has no frame.
    """

    id: str
    title: str
    x: Axis
    y: Axis
    layers: tuple[Layer, ...]
    summary: str = ""
    size: tuple[float, float] = field(default=(240.0, 240.0))
    room: Room | None = None


def row_axis(names: Sequence[str], *, named: bool = True) -> Axis:
    """Vertical axis of a chart with one row per name, the first on top; row i is at ``len(names) - i - 0.5``."""
    n = len(names)
    ticks = tuple((n - index - 0.5, name) for index, name in enumerate(names))
    return Axis("row", "", ticks if named else (), 0.0, float(n))


def equality(axis: Axis) -> Outline:
    """The line on which both levels are the same; ``axis`` is either of two equal ones."""
    return Outline(((axis.low, axis.low), (axis.high, axis.high)), False, "equal", role="equality")


def half_log_band(axis: Axis) -> Area:
    """The area in which two levels differ by at most half a log (a factor of 3.2)."""
    low, high = axis.low, axis.high
    return Area(((low, low), (low, low + 0.5), (high - 0.5, high), (high, high), (high, high - 0.5), (low + 0.5, low)))
