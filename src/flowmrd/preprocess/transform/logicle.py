"""The logicle scale and its inverse, vectorised.

Definition and closed-form parameters after Parks, Roederer & Moore, Cytometry A 69A:541-551 (2006) and
Moore & Parks, Cytometry A 81A:273-277 (2012); scaled to 0..1 as GatingML 2.0 and FlowKit do. With

    b = (M + A) ln 10,  w = W / (M + A),  x2 = A / (M + A),  x1 = x2 + w,  x0 = x2 + 2 w

and d the root of 2 ln(d / b) + w (b + d) = 0, a raw value v >= 0 and its scale y >= x1 obey

    v = a e^(b y) - c e^(-d y) + f,   c = a e^(x0 (b + d)),   f chosen so that v(x1) = 0,   a so that v(1) = T,

and negative values mirror positive ones: y(-v) = 2 x1 - y(v).

Fast evaluation for float32: ``u = |v| + s`` moves the linear region around 0 up to the size ``s`` of that region, above
which y is close to linear in log u. The leading bits of a float32 (exponent and first mantissa bits) are the number of
a cell on a piecewise-linear log axis, so they index a table of straight lines directly; no search, no branch. The cell
count is doubled until the worst interpolation error, measured at the middle of the cells up to :data:`CURVED` times s,
is below :data:`TABLE_TOLERANCE`; above that y is a logarithm, whose error is the same in every octave. All 2^31
non-negative floats are covered; the cells of infinity and NaN hold NaN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from flowmrd.errors import TransformError
from flowmrd.units import LOGICLE_M, LOGICLE_T

__all__ = ["TABLE_TOLERANCE", "LogicleTable", "inverse_logicle", "logicle", "logicle_table"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Floats = npt.NDArray[np.floating[Any]]

TABLE_TOLERANCE: Final = 5e-7
"""Largest interpolation error of the float32 table on the 0..1 scale; a twentieth of the 1e-5 that is promised."""

CURVED: Final = 2.0**16
"""Raw value, in multiples of the size of the linear region, above which the scale bends as a logarithm does."""

CHUNK: Final = 16384
"""Events handled at a time, so that the work buffers stay in the processor's cache."""

_MANTISSA_BITS: Final = 23
_INFINITY_BITS: Final = 0x7F80_0000
_LN10: Final = math.log(10.0)


@dataclass(frozen=True)
class LogicleParameters:
    """Coefficients of v(y) = a e^(b y) - c e^(-d y) + f for y >= x1 (see the module's description)."""

    a: float
    b: float
    c: float
    d: float
    f: float
    x1: float

    @property
    def slope_at_zero(self) -> float:
        """Raw units per unit of scale at raw value 0."""
        return self.a * self.b * math.exp(self.b * self.x1) + self.c * self.d * math.exp(-self.d * self.x1)


@lru_cache(maxsize=256)
def logicle_parameters(T: float, M: float, W: float, A: float) -> LogicleParameters:
    """Solve the coefficients of one logicle scale.

    Raises
    ------
    TransformError
        If T or M is not positive, W is outside 0..M/2, or A outside -W..M-2W (the domain given by GatingML 2.0).
    """
    finite = all(math.isfinite(value) for value in (T, M, W, A))
    if not (finite and T > 0 and M > 0 and 0 <= 2 * W <= M and -W <= A <= M - 2 * W):
        raise TransformError(
            "logicle parameters",
            found=f"T={T:g}, M={M:g}, W={W:g}, A={A:g}",
            expected="T > 0, M > 0, 0 <= W <= M/2, -W <= A <= M - 2W",
            todo="correct 'transform' of the channel in the panel file",
        )
    b = (M + A) * _LN10
    w = W / (M + A)
    x2 = A / (M + A)
    x1 = x2 + w
    x0 = x2 + 2 * w
    # The root lies in (0, b]: the left side rises with d, is -infinity at 0 and 2 w b >= 0 at b.
    low, high = 0.0, b
    while True:
        d = 0.5 * (low + high)
        if d in (low, high):
            break
        if 2 * math.log(d / b) + w * (b + d) > 0:
            high = d
        else:
            low = d
    if w == 0:
        d = b
    c_a = math.exp(x0 * (b + d))
    f_a = c_a * math.exp(-d * x1) - math.exp(b * x1)
    a = T / (math.exp(b) - c_a * math.exp(-d) + f_a)
    return LogicleParameters(a=a, b=b, c=c_a * a, d=d, f=f_a * a, x1=x1)


def _raw_of(parameters: LogicleParameters, distance: Float64) -> Float64:
    """Raw value at ``x1 + distance``, distance >= 0."""
    p = parameters
    up = p.a * math.exp(p.b * p.x1)
    down = p.c * math.exp(-p.d * p.x1)
    # v(x1) = 0 cancels f, which leaves two expm1 terms that keep full precision next to zero.
    return up * np.expm1(p.b * distance) - down * np.expm1(-p.d * distance)


def _distance_of(parameters: LogicleParameters, raw: Float64) -> Float64:
    """Solve ``_raw_of(distance) = raw`` for finite raw >= 0 by Newton's method.

    v(y) is convex for y >= x1, and a e^(b y) <= v + a e^(b x1) bounds the root from above, so that Newton's method
    started at that bound falls monotonically on the root.
    """
    p = parameters
    up = p.a * math.exp(p.b * p.x1)
    down = p.c * math.exp(-p.d * p.x1)
    distance = np.log1p(raw / up) / p.b
    for _ in range(100):
        rise = up * np.exp(p.b * distance)
        fall = down * np.exp(-p.d * distance)
        step = (_raw_of(p, distance) - raw) / (p.b * rise + p.d * fall)
        distance -= step
        if float(np.max(np.abs(step), initial=0.0)) < 1e-13:
            break
    return np.maximum(distance, 0.0)


def _exact(parameters: LogicleParameters, values: Float64) -> Float64:
    finite = np.isfinite(values)
    result = np.full(values.shape, np.nan)
    known = values[finite]
    result[finite] = parameters.x1 + np.copysign(_distance_of(parameters, np.abs(known)), known)
    return result


class LogicleTable:
    """Straight lines ``distance = offset[i] + slope[i] u`` that replace solving the logicle for float32 values.

    Attributes
    ----------
    max_error
        Worst error at the middle of a cell, on the 0..1 scale.
    """

    def __init__(self, parameters: LogicleParameters) -> None:
        self.parameters = parameters
        self.shift_by = np.float32(parameters.slope_at_zero / parameters.b)
        for bits in range(6, 13):
            self._bits_dropped = _MANTISSA_BITS - bits
            self.max_error = self._worst_error()
            if self.max_error <= TABLE_TOLERANCE:
                break
        self._fill()

    def _worst_error(self) -> float:
        """Largest error at the middle of the cells in which the scale is not yet a logarithm."""
        edges = self._edges(float(self.shift_by) * CURVED)
        shift = float(self.shift_by)
        offset, slope = self._lines(edges)
        middle = 0.5 * (edges[:-1] + edges[1:])
        reached = middle >= shift
        error = np.abs(offset + slope * middle - self._signed_distance(middle - shift))[reached]
        return float(error.max())

    def _fill(self) -> None:
        edges = self._edges(np.inf)
        # The edge after the last finite cell is infinity itself; 2^128 in float64 stands for it.
        edges[-1] = 2.0**128
        offset, slope = self._lines(edges)
        step = 1 << self._bits_dropped
        cells, first = (1 << 31) // step, int(self.shift_by.view(np.int32)) // step
        self._offset: Float32 = np.full(cells, np.nan, dtype=np.float32)
        self._slope: Float32 = np.full(cells, np.nan, dtype=np.float32)
        self._offset[first : first + len(offset)] = offset
        self._slope[first : first + len(slope)] = slope

    def _edges(self, top: float) -> Float64:
        """Edges of the cells from the one of raw value 0 to the one of ``top``."""
        step = 1 << self._bits_dropped
        first = int(self.shift_by.view(np.int32)) // step
        end = min(int(np.float32(top).view(np.int32)), _INFINITY_BITS) // step
        return (np.arange(first, end + 1, dtype=np.int64) * step).astype(np.int32).view(np.float32).astype(np.float64)

    def _lines(self, edges: Float64) -> tuple[Float64, Float64]:
        """Offset and slope of the straight line in every cell."""
        at_edges = self._signed_distance(edges - float(self.shift_by))
        slope = np.diff(at_edges) / np.diff(edges)
        return at_edges[:-1] - slope * edges[:-1], slope

    def _signed_distance(self, raw: Float64) -> Float64:
        return np.copysign(_distance_of(self.parameters, np.abs(raw)), raw)

    def apply(self, values: Float32, out: Float32 | None = None) -> Float32:
        """Scale of float32 raw values, shape (n,), into ``out`` (may be ``values``); NaN for what is not finite."""
        values = np.ascontiguousarray(values, dtype=np.float32)
        result = np.empty_like(values) if out is None else out
        n = len(values)
        size = min(CHUNK, n)
        moved = np.empty(size, dtype=np.float32)
        cell = np.empty(size, dtype=np.int64)
        line = np.empty(size, dtype=np.float32)
        centre = np.float32(self.parameters.x1)
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, n, CHUNK):
                chunk = values[start : start + CHUNK]
                k = len(chunk)
                u, i, y = moved[:k], cell[:k], line[:k]
                np.abs(chunk, out=u)
                np.add(u, self.shift_by, out=u)
                np.right_shift(u.view(np.int32), self._bits_dropped, out=i)
                np.take(self._slope, i, out=y, mode="clip")
                np.multiply(u, y, out=u)
                np.take(self._offset, i, out=y, mode="clip")
                np.add(u, y, out=u)
                np.copysign(u, chunk, out=u)
                np.add(u, centre, out=result[start : start + CHUNK])
        return result


@lru_cache(maxsize=128)
def logicle_table(T: float, M: float, W: float, A: float) -> LogicleTable:
    """Table of one logicle scale (some milliseconds to build, then kept)."""
    return LogicleTable(logicle_parameters(T, M, W, A))


def logicle(
    values: npt.ArrayLike, T: float = LOGICLE_T, M: float = LOGICLE_M, W: float = 0.5, A: float = 0.0
) -> Floats:
    """Bring raw (compensated) values to the 0..1 logicle scale.

    Parameters
    ----------
    values
        Raw units, any shape. Values below 0 give less than the scale of 0, values above T more than 1.
    T, M, W, A
        Top of the scale in raw units; decades; width of the linear region and additional negative range in decades.

    Returns
    -------
    numpy.ndarray
        Same shape. float32 in, float32 out by table (error below 1e-6); anything else float64, solved to 1e-12.
        NaN and infinities give NaN, so that they can be counted: never a plausible number.

    Raises
    ------
    TransformError
        If the parameters are outside the domain of the scale.
    """
    array = np.asarray(values)
    if array.dtype == np.float32:
        table = logicle_table(float(T), float(M), float(W), float(A))
        return table.apply(array.reshape(-1)).reshape(array.shape)
    return _exact(logicle_parameters(float(T), float(M), float(W), float(A)), np.asarray(array, dtype=np.float64))


def inverse_logicle(
    scale: npt.ArrayLike, T: float = LOGICLE_T, M: float = LOGICLE_M, W: float = 0.5, A: float = 0.0
) -> Floats:
    """Raw units of values on the 0..1 logicle scale: the inverse of :func:`logicle`.

    Returns
    -------
    numpy.ndarray
        Same shape; float32 for float32 input, else float64. NaN stays NaN.
    """
    array = np.asarray(scale)
    parameters = logicle_parameters(float(T), float(M), float(W), float(A))
    moved = np.asarray(array, dtype=np.float64) - parameters.x1
    raw = np.copysign(_raw_of(parameters, np.abs(moved)), moved)
    return raw.astype(np.float32) if array.dtype == np.float32 else raw
