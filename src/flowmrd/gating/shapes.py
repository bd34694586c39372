"""Placed gates: plain geometry that can be applied, stored, drawn and written as GatingML.

Edges follow GatingML 2.0: a range holds its minimum and not its maximum.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from flowmrd.records.gates import (
    BooleanShape,
    EllipseShape,
    HalfPlaneShape,
    PolygonShape,
    RectangleShape,
    ShapeEntry,
    WholeShape,
)

__all__ = [
    "Combination",
    "Ellipse",
    "Everything",
    "HalfPlane",
    "Nothing",
    "Polygon",
    "Rectangle",
    "Shape",
    "same_shape",
    "shape_channels",
    "shape_from_record",
]

Values = npt.NDArray[np.floating[Any]]
Mask = npt.NDArray[np.bool_]
Columns = Mapping[str, Values]

CHUNK: Final = 65_536
FAR: Final = 8.0
"""Corner coordinate that no value on the 0..1 scale reaches."""


@dataclass(frozen=True)
class Rectangle:
    """Ranges [low, high) on any number of channels; None is unbounded."""

    ranges: tuple[tuple[str, float | None, float | None], ...]

    def inside(self, columns: Columns) -> Mask:
        """True within every range, shape (n_events,)."""
        result: Mask | None = None
        for channel, low, high in self.ranges:
            values = columns[channel]
            if low is not None:
                test = values >= _ceiling(low, values)
                result = test if result is None else np.logical_and(result, test, out=result)
            if high is not None:
                test = values < _ceiling(high, values)
                result = test if result is None else np.logical_and(result, test, out=result)
            if low is None and high is None:
                test = np.isfinite(values)
                result = test if result is None else np.logical_and(result, test, out=result)
        assert result is not None  # noqa: S101 - a rectangle has at least one range
        return result

    def as_record(self) -> RectangleShape:
        """The shape as ``gates.json`` holds it."""
        return RectangleShape(type="rectangle", ranges={channel: (low, high) for channel, low, high in self.ranges})


def _ceiling(bound: float, values: Values) -> np.floating[Any]:
    """Smallest number of the column's own type that is not below ``bound``.

    Comparing with it gives what comparing in float64 would, without converting the column.
    """
    near = values.dtype.type(bound)
    result: np.floating[Any] = near if float(near) >= bound else np.nextafter(near, values.dtype.type(np.inf))
    return result


@dataclass(frozen=True)
class HalfPlane:
    """``x - edge(y) >= threshold`` (above) or ``<`` (below): a cut with a slope in a second channel.

    ``edge(y) = slope * y`` plus, where the channels are stored on another scale than the line was drawn on, what it
    bends away from the straight line: ``bends`` are places of y with the deviation there, straight lines between them,
    constant beyond the outermost.
    """

    x: str
    y: str
    slope: float
    threshold: float
    above: bool
    bends: tuple[tuple[float, float], ...] = ()

    def inside(self, columns: Columns) -> Mask:
        """True on the chosen side, shape (n_events,)."""
        return self.side(self.project(columns))

    def side(self, projected: npt.NDArray[np.float64]) -> Mask:
        """True on the chosen side for projected events, shape (n_events,)."""
        return np.asarray(projected >= self.threshold if self.above else projected < self.threshold)

    def project(self, columns: Columns) -> npt.NDArray[np.float64]:
        """``x - edge(y)``, float64, shape (n_events,): a threshold between two events then separates them anywhere."""
        return project(columns[self.x], columns[self.y], self.slope, self.bends)

    def edge(self, y: float) -> float:
        """Place of the border at a value of the second channel."""
        bend = 0.0
        if self.bends:
            places, deviations = zip(*self.bends, strict=True)
            bend = float(np.interp(y, places, deviations))
        return self.threshold + self.slope * y + bend

    def vertices(self) -> tuple[tuple[float, float], ...]:
        """Corners of the same region as a polygon far larger than the scale."""
        border = [(self.edge(y), y) for y in (-FAR, *(place for place, _ in self.bends), FAR)]
        far = 4 * FAR if self.above else -4 * FAR
        return (*border, (far, FAR), (far, -FAR))

    def as_record(self) -> HalfPlaneShape:
        """The shape as ``gates.json`` holds it."""
        return HalfPlaneShape(
            type="halfplane",
            x=self.x,
            y=self.y,
            slope=self.slope,
            threshold=self.threshold,
            side="above" if self.above else "below",
            bends=self.bends,
        )


def project(x: Values, y: Values, slope: float, bends: tuple[tuple[float, float], ...] = ()) -> npt.NDArray[np.float64]:
    """``x - slope * y`` less the bend at y, float64, shape as given."""
    moved = np.subtract(x, slope * y.astype(np.float64), dtype=np.float64)
    if bends:
        places, deviations = zip(*bends, strict=True)
        moved -= np.interp(y, places, deviations)
    return moved


@dataclass(frozen=True)
class Polygon:
    """Even-odd polygon on two channels."""

    x: str
    y: str
    corners: tuple[tuple[float, float], ...]

    def inside(self, columns: Columns) -> Mask:
        """True inside the polygon, shape (n_events,)."""
        return points_in_polygon(columns[self.x], columns[self.y], self.corners)

    def vertices(self) -> tuple[tuple[float, float], ...]:
        """Corners in order."""
        return self.corners

    def as_record(self) -> PolygonShape:
        """The shape as ``gates.json`` holds it."""
        return PolygonShape(type="polygon", x=self.x, y=self.y, vertices=self.corners)


def points_in_polygon(x: Values, y: Values, corners: tuple[tuple[float, float], ...]) -> Mask:
    """Even-odd test of points, shape (n,), in float64 and chunks; edges cross where ``y0 <= y < y1``."""
    result = np.zeros(len(x), dtype=np.bool_)
    edges = list(zip(corners, (*corners[1:], corners[0]), strict=True))
    low_x, high_x = min(c[0] for c in corners), max(c[0] for c in corners)
    low_y, high_y = min(c[1] for c in corners), max(c[1] for c in corners)
    for start in range(0, len(x), CHUNK):
        block = slice(start, start + CHUNK)
        near = np.flatnonzero((x[block] >= low_x) & (x[block] <= high_x) & (y[block] >= low_y) & (y[block] <= high_y))
        if len(near) == 0:
            continue
        px, py = x[block][near].astype(np.float64), y[block][near].astype(np.float64)
        odd = np.zeros(len(near), dtype=np.bool_)
        for (x0, y0), (x1, y1) in edges:
            if y0 == y1:
                continue
            spans = (py >= min(y0, y1)) & (py < max(y0, y1))
            odd ^= spans & (px < (x1 - x0) * (py - y0) / (y1 - y0) + x0)
        result[start + near] = odd
    return result


@dataclass(frozen=True)
class Ellipse:
    """Squared Mahalanobis distance from ``mean`` of at most ``distance_squared``."""

    channels: tuple[str, ...]
    mean: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    distance_squared: float

    def inside(self, columns: Columns) -> Mask:
        """True within the distance, shape (n_events,)."""
        inverse = np.linalg.inv(np.array(self.covariance))
        n = len(columns[self.channels[0]])
        result = np.empty(n, dtype=np.bool_)
        for start in range(0, n, CHUNK):
            block = slice(start, start + CHUNK)
            centred = np.stack(
                [columns[c][block].astype(np.float64) - m for c, m in zip(self.channels, self.mean, strict=True)]
            )
            result[block] = np.einsum("in,ij,jn->n", centred, inverse, centred) <= self.distance_squared
        return result

    def as_record(self) -> EllipseShape:
        """The shape as ``gates.json`` holds it."""
        return EllipseShape(
            type="ellipse",
            channels=self.channels,
            mean=self.mean,
            covariance=self.covariance,
            distance_squared=self.distance_squared,
        )


@dataclass(frozen=True)
class Combination:
    """Inside all of, inside ``at_least`` so many of any of, outside each of other gates."""

    all_of: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()
    none_of: tuple[str, ...] = ()
    at_least: int = 1

    def as_record(self) -> BooleanShape:
        """The shape as ``gates.json`` holds it."""
        return BooleanShape(
            type="boolean", all_of=self.all_of, any_of=self.any_of, at_least=self.at_least, none_of=self.none_of
        )


@dataclass(frozen=True)
class Everything:
    """The parent itself: nothing could be excluded, and the record says why."""

    def as_record(self) -> WholeShape:
        """The shape as ``gates.json`` holds it."""
        return WholeShape(type="everything")


@dataclass(frozen=True)
class Nothing:
    """No event: the gate is unavailable, or nothing was found to call so, and the record says why."""

    def as_record(self) -> WholeShape:
        """The shape as ``gates.json`` holds it."""
        return WholeShape(type="nothing")


Shape = Rectangle | HalfPlane | Polygon | Ellipse | Combination | Everything | Nothing


def shape_from_record(entry: ShapeEntry) -> Shape:
    """A shape from its :meth:`as_record`."""
    match entry:
        case RectangleShape():
            return Rectangle(tuple((channel, low, high) for channel, (low, high) in entry.ranges.items()))
        case HalfPlaneShape():
            above = entry.side == "above"
            return HalfPlane(entry.x, entry.y, entry.slope, entry.threshold, above, entry.bends)
        case PolygonShape():
            return Polygon(entry.x, entry.y, entry.vertices)
        case EllipseShape():
            return Ellipse(entry.channels, entry.mean, entry.covariance, entry.distance_squared)
        case BooleanShape():
            return Combination(entry.all_of, entry.any_of, entry.none_of, entry.at_least)
    return Everything() if entry.type == "everything" else Nothing()


def shape_channels(shape: Shape) -> tuple[str, ...]:
    """Channels that a shape reads."""
    if isinstance(shape, Rectangle):
        return tuple(channel for channel, _, _ in shape.ranges)
    if isinstance(shape, HalfPlane | Polygon):
        return (shape.x, shape.y)
    return shape.channels if isinstance(shape, Ellipse) else ()


def same_shape(given: Shape, placed: Shape, *, tolerance: float = 1e-9) -> bool:
    """Whether a shape read back from GatingML is the one that was written, leaning cuts being written as polygons."""
    if isinstance(placed, Everything | Nothing | Combination):
        return isinstance(given, Rectangle) and all(low is None and high is None for _, low, high in given.ranges)
    if isinstance(placed, HalfPlane):
        placed = Polygon(placed.x, placed.y, placed.vertices())
    if type(given) is not type(placed) or shape_channels(given) != shape_channels(placed):
        return False
    first, second = _numbers(given), _numbers(placed)
    return len(first) == len(second) and all(
        a == b or (a is not None and b is not None and abs(a - b) <= tolerance)
        for a, b in zip(first, second, strict=True)
    )


def _numbers(shape: Shape) -> list[float | None]:
    if isinstance(shape, Rectangle):
        return [bound for _, low, high in shape.ranges for bound in (low, high)]
    if isinstance(shape, Polygon):
        return [value for corner in shape.corners for value in corner]
    if isinstance(shape, Ellipse):
        return [*shape.mean, *(value for row in shape.covariance for value in row), shape.distance_squared]
    return []
