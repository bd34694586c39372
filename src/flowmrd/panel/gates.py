"""Gate definitions as data: what a panel file may contain for each kind of gate.

Coordinates are on the panel scale (:mod:`flowmrd.gating.panel_scale`): logicle with W = 0.75, unless the channel fixes
another W, for fluorescence; value / range for scatter, times a factor where the panel has a landmark.
:mod:`flowmrd.gating` evaluates gates; this module only checks that they are well formed.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

GateName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
ROOT = "root"
WINDOW = "possible_b_lineage"
"""Gate whose cells are searched for leukaemia; ``b_lineage`` where a tree has no gate of this name."""
RESERVED = frozenset({ROOT, "unassigned"})
"""Words that tables use for what is in no gate."""
MAX_GATES = 64
"""Gates are stored as the bits of one uint64 column; as many again may be helpers."""

MAX_ROUTES = 8
"""Routes are stored as the bits of one uint8 column."""

FARTHEST = 20.0
"""No number of a gate on the panel scale lies further from 0: a range ends at 1, open corners of polygons lie at 8."""

FARTHEST_RAW = 1e12
"""No raw unit is larger: instruments store up to 32 bits."""


def window_gate(names: Collection[str]) -> str:
    """Gate of a tree whose cells are searched for leukaemia: wide, because leukaemia may have lost markers.

    ``b_lineage`` is what is counted and drawn as B lineage. A tree without :data:`WINDOW` has one gate for both.
    """
    return WINDOW if WINDOW in names else "b_lineage"


class _Gate(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: GateName = Field(description="Alias of the gate; the population's name in every table.")
    parent: GateName | Literal["root"] = Field(description="Gate whose events this gate looks at, or root.")
    title: str = Field("", description="Words for the report; the name where empty.")
    needs: tuple[str, ...] = Field(
        (), description="Optional channels: without them the gate is skipped and reported as unavailable."
    )
    population: bool = Field(
        False,
        description="True for gates that name cells. An event belongs to the last such gate of the file that holds it.",
    )
    route: bool = Field(
        False,
        description="True for the ways into possible_b_lineage, the window of the search (b_lineage in a tree without "
        "it); each event keeps the ways it came by.",
    )
    witness: bool = Field(
        True,
        description="False for a route by markers that other routes use already: it is no second witness where two "
        "routes have to agree that a cell is of the B lineage.",
    )
    helper: bool = Field(
        False,
        description="True for gates that serve only as parts of other gates: placed, exported and counted like all, "
        "but not stored for every event and not drawn in the report.",
    )
    anchors: tuple[str, ...] = Field(
        (),
        description="Channels whose level in this population, which therapy spares, shifts the reference's gates.",
    )

    def dimensions(self) -> tuple[str, ...]:
        """Channels that the gate reads."""
        return ()

    def references(self) -> tuple[str, ...]:
        """Other gates that the gate's definition names, besides its parent."""
        return ()


class RectangleGate(_Gate):
    """Half-open ranges [low, high) on one or more channels; an absent bound is infinite."""

    method: Literal["rectangle"]
    ranges: dict[str, tuple[float | None, float | None]] = Field(
        min_length=1, description="Channel to [low, high); null for no bound."
    )

    def dimensions(self) -> tuple[str, ...]:
        """Channels that the gate reads."""
        return tuple(self.ranges)


class PolygonGate(_Gate):
    """Even-odd polygon on two channels."""

    method: Literal["polygon"]
    x: str = Field(description="Channel of the first coordinate.")
    y: str = Field(description="Channel of the second coordinate.")
    vertices: tuple[tuple[float, float], ...] = Field(min_length=3, description="Corners on the 0..1 scale.")

    def dimensions(self) -> tuple[str, ...]:
        """Channels that the gate reads."""
        return (self.x, self.y)


class EllipseGate(_Gate):
    """Mahalanobis ellipse on two or more channels."""

    method: Literal["ellipse"]
    channels: tuple[str, ...] = Field(min_length=2, description="Channels of the ellipse.")
    mean: tuple[float, ...] = Field(description="Centre on the 0..1 scale.")
    covariance: tuple[tuple[float, ...], ...] = Field(description="Covariance matrix on the 0..1 scale.")
    distance_squared: float = Field(gt=0, description="Events within this squared Mahalanobis distance are inside.")

    def dimensions(self) -> tuple[str, ...]:
        """Channels that the gate reads."""
        return self.channels


class CutGate(_Gate):
    """One threshold on one channel, placed by a method and kept within bounds."""

    method: Literal["cut"]
    channel: str = Field(description="Channel that is cut.")
    side: Literal["above", "below"] = Field(description="Which side of the threshold is inside.")
    estimator: Literal["valley", "between", "edge", "offset", "mixture", "negative_quantile", "top", "fixed"] = Field(
        description="valley: minimum density within the bounds, or edge where there is none. between: a share of the "
        "way between the centres of the two populations that such a minimum separates. edge: a distance from the main "
        "population in its standard deviations. offset: a distance from its mode in decades. mixture: crossing of two "
        "fitted normals. negative_quantile: quantile of a negative population. top: only clipped events are above. "
        "fixed: the fallback itself."
    )
    estimate_in: GateName | None = Field(
        None, description="Gate whose events the estimate looks at; the parent's where absent."
    )
    bounds: tuple[float, float] = Field(description="The threshold never leaves this range.")
    units: Literal["scale", "raw"] = Field(
        "scale",
        description="What bounds and fallback are in: scale, the panel's logicle from 0 to 1, or raw, compensated "
        "units of the file, which mean the same cells on one instrument alone.",
    )
    fallback: float = Field(
        description="Threshold where the estimator has too little to go on; always reported as such."
    )
    negative: GateName | None = Field(None, description="Negative population of the negative_quantile estimator.")
    quantile: float = Field(0.995, gt=0.5, lt=1, description="Quantile of the negative population.")
    share: float = Field(
        0.5, gt=0, lt=1, description="Where the between estimator cuts, from the lower (0) to the upper (1) population."
    )
    tilt: dict[str, float] = Field(
        {},
        max_length=1,
        description="Channel to slope: the threshold rises by slope x channel (as autofluorescence does with scatter).",
    )
    peak: Literal["negative", "positive"] = Field(
        "negative", description="Population whose edge is used where the density shows no valley."
    )
    n_sd: float = Field(
        3.5,
        gt=0,
        le=100,
        description="Distance of that edge from the population's mode, in its robust standard deviations.",
    )
    flank: Literal["away", "towards"] = Field(
        "away",
        description="Flank of the peak that its spread is read from: the one away from the threshold, or the one "
        "towards it where the other side is mixed and few events lie beyond the threshold.",
    )
    offset_decades: float = Field(
        0.0, ge=-10, le=10, description="Distance from the mode that the offset estimator adds, in decades."
    )
    relative_to: GateName | None = Field(
        None,
        description="Gate whose mode on this channel is the origin of window_decades; where no valley lies in the "
        "window, the threshold is offset_decades from that mode.",
    )
    window_decades: tuple[float, float] | None = Field(
        None, description="The valley is looked for between these distances from the mode of relative_to, in decades."
    )
    own_tube: bool = Field(
        False,
        description="The tube's own cells place the cut, also where there are controls; their threshold, moved with "
        "the peak of the cells above it, stands where this tube shows no valley, or one far above it. For stains that "
        "vary between tubes more than cells differ, such as nucleic acid dyes. With negative_quantile the tube's own "
        "negative population alone decides, and the fallback stands where it is too small.",
    )
    min_events: int = Field(200, ge=1, le=10**9, description="Below this many parent events the fallback is used.")

    def dimensions(self) -> tuple[str, ...]:
        """Channels that the gate reads."""
        return (self.channel, *self.tilt)

    def references(self) -> tuple[str, ...]:
        """Other gates that the gate's definition names."""
        return tuple(name for name in (self.negative, self.estimate_in, self.relative_to) if name is not None)


class SingletGate(_Gate):
    """Events near the robust line of pulse area against height, or within a robust band of pulse width."""

    method: Literal["singlet"]
    area: str = Field("FSC-A", description="Pulse area channel.")
    partners: tuple[str, ...] = Field(("FSC-H", "FSC-W"), description="Height or width; the first present one is used.")
    n_mad: float = Field(5.0, gt=0, description="Half-width of the band in robust standard deviations.")
    min_events: int = Field(
        200, ge=1, description="Below this many parent events nothing is excluded and the gate says so."
    )

    def dimensions(self) -> tuple[str, ...]:
        """Channels that the gate reads; partners are optional."""
        return (self.area,)


class DebrisGate(_Gate):
    """Particles smaller than any cell: low forward and side scatter and, where measured, no CD45."""

    method: Literal["debris"]
    cd45: str = Field("CD45", description="Leucocyte channel that protects small leucocytes.")
    min_events: int = Field(
        200, ge=1, description="Below this many parent events nothing is called debris and the gate says so."
    )

    def dimensions(self) -> tuple[str, ...]:
        """Channels that the gate reads."""
        return ("FSC-A",)


class BooleanGate(_Gate):
    """Logical combination of other gates."""

    method: Literal["boolean"]
    all_of: tuple[GateName, ...] = Field((), description="Inside every one of these.")
    any_of: tuple[GateName, ...] = Field((), description="Inside at least one of these that is available.")
    at_least: int = Field(1, ge=1, description="Inside at least this many of any_of instead of one.")
    none_of: tuple[GateName, ...] = Field(
        (), description="Outside every one of these; where one is unavailable, so is this gate."
    )
    unless: tuple[GateName, ...] = Field(
        (), description="Outside each of these that is available: exclusions that the gate can do without."
    )

    def references(self) -> tuple[str, ...]:
        """Other gates that the gate's definition names."""
        return (*self.all_of, *self.any_of, *self.none_of, *self.unless)


Gate = Annotated[
    RectangleGate | PolygonGate | EllipseGate | CutGate | SingletGate | DebrisGate | BooleanGate,
    Field(discriminator="method"),
]


def check_tree(gates: tuple[Gate, ...], channels: set[str]) -> None:
    """Refuse duplicate names, unknown parents, references or channels, cycles and impossible bounds.

    Raises
    ------
    ValueError
        With every problem found, so that pydantic reports them together.
    """
    problems: list[str] = []
    seen: set[str] = set()
    names = {gate.name for gate in gates}
    anchored: dict[str, str] = {}
    for gate in gates:
        if gate.name in seen:
            problems.append(f"gate {gate.name} is defined twice")
        if gate.name in RESERVED:
            problems.append(f"no gate can be called {gate.name}")
        for other in (gate.parent, *gate.references()):
            if other == ROOT or other in seen:
                continue
            if other == gate.name:
                problems.append(f"gate {gate.name} refers to itself")
            elif other in names:
                problems.append(f"gate {gate.name} refers to {other}, which comes later: a cycle, or out of order")
            else:
                problems.append(f"gate {gate.name} refers to the unknown gate {other}")
        problems += [
            f"gate {gate.name} uses the unknown channel {channel}"
            for channel in (*gate.dimensions(), *gate.needs, *gate.anchors)
            if channel not in channels
        ]
        for channel in gate.anchors:
            if channel in anchored:
                problems.append(f"{channel} is anchored on {anchored[channel]} and on {gate.name}: choose one")
            anchored[channel] = gate.name
        if not (gate.witness or gate.route):
            problems.append(f"gate {gate.name} is no route, so that it cannot be a witness: leave the key out")
        if gate.helper and (gate.population or gate.route):
            problems.append(f"gate {gate.name} is a helper, so it can be neither a population nor a route")
        problems += [f"gate {gate.name} {problem}" for problem in _own_problems(gate)]
        seen.add(gate.name)
    problems += _too_many(gates)
    if problems:
        raise ValueError("; ".join(problems))


def _own_problems(gate: Gate) -> list[str]:
    """What is impossible about one gate by itself, to be read after its name."""
    far = _far_numbers(gate)
    if far:
        return far
    if isinstance(gate, CutGate):
        return _cut_problems(gate)
    if isinstance(gate, RectangleGate):
        return [
            f"has the range {low}..{high} on {channel}: the first must be smaller"
            for channel, (low, high) in gate.ranges.items()
            if low is not None and high is not None and not low < high
        ]
    if isinstance(gate, PolygonGate):
        if polygon_crosses_itself(gate.vertices):
            return ["has a polygon that crosses itself: programs disagree about its inside"]
        return [] if _area(gate.vertices) > 0 else ["has a polygon without an inside"]
    if isinstance(gate, BooleanGate):
        if not gate.references():
            return ["combines no gates"]
        n = len(set(gate.any_of))
        return [f"asks for {gate.at_least} of {n} gates in any_of"] if gate.at_least > max(n, 1) else []
    if isinstance(gate, EllipseGate):
        n = len(gate.channels)
        if len(gate.mean) != n or len(gate.covariance) != n or any(len(row) != n for row in gate.covariance):
            return [f"has {n} channels, but mean or covariance of another size"]
        if not _positive_definite(gate.covariance):
            return ["has a covariance matrix that is not symmetric positive definite"]
    return []


def _far_numbers(gate: Gate) -> list[str]:
    """Numbers that no place on the panel scale can have: raw units, or a slip of the pen."""
    numbers: list[float | None] = []
    if isinstance(gate, CutGate):
        if gate.units == "raw":
            far = max(abs(value) for value in (*gate.bounds, gate.fallback)) > FARTHEST_RAW
            return [f"has raw units beyond {FARTHEST_RAW:g}"] if far else []
        numbers = [*gate.bounds, gate.fallback, *gate.tilt.values(), *(gate.window_decades or ())]
    elif isinstance(gate, RectangleGate):
        numbers = [end for ends in gate.ranges.values() for end in ends]
    elif isinstance(gate, PolygonGate):
        numbers = [place for corner in gate.vertices for place in corner]
    elif isinstance(gate, EllipseGate):
        numbers = [*gate.mean, *(value for row in gate.covariance for value in row)]
    far_ones = [value for value in numbers if value is not None and abs(value) > FARTHEST]
    if not far_ones:
        return []
    hint = "; for raw units write 'units: raw'" if isinstance(gate, CutGate) else ""
    return [f"has the number {far_ones[0]:g}: values lie between about -0.5 and 1.5 on the panel scale{hint}"]


def _cut_problems(gate: CutGate) -> list[str]:
    problems = []
    low, high = gate.bounds
    if not low < high:
        problems.append(f"has bounds {low}..{high}: the first must be smaller")
    elif not low <= gate.fallback <= high:
        problems.append(f"has fallback {gate.fallback} outside its bounds {low}..{high}")
    if gate.estimator == "negative_quantile" and gate.negative is None:
        problems.append("uses negative_quantile without naming a negative population")
    if gate.units == "raw" and gate.tilt:
        problems.append("has bounds in raw units and leans: a leaning cut has no raw units")
    if gate.channel in gate.tilt:
        problems.append(f"leans with its own channel {gate.channel}")
    if gate.window_decades is not None:
        first, last = gate.window_decades
        if not first < last:
            problems.append(f"has the window {first}..{last}: the first must be smaller")
        if gate.relative_to is None:
            problems.append("has a window without relative_to, the gate it is measured from")
    return problems


def _too_many(gates: tuple[Gate, ...]) -> list[str]:
    problems = []
    n_helpers, n_routes = sum(gate.helper for gate in gates), sum(gate.route for gate in gates)
    if len(gates) - n_helpers > MAX_GATES:
        problems.append(
            f"{len(gates) - n_helpers} gates, more than the {MAX_GATES} that fit the stored bit column; mark some that "
            "others are made of as 'helper: true'"
        )
    if n_helpers > MAX_GATES:
        problems.append(f"{n_helpers} helper gates, more than {MAX_GATES}")
    if n_routes > MAX_ROUTES:
        problems.append(f"{n_routes} routes, more than the {MAX_ROUTES} that fit the stored bit column")
    return problems


def _area(corners: tuple[tuple[float, float], ...]) -> float:
    """Area of a simple polygon."""
    closed = zip(corners, (*corners[1:], corners[0]), strict=True)
    return abs(sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in closed)) / 2


def polygon_crosses_itself(corners: tuple[tuple[float, float], ...]) -> bool:
    """Whether two edges of a polygon properly cross. Repeated corners and edges that touch do not count."""
    edges = list(zip(corners, (*corners[1:], corners[0]), strict=True))

    def turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
        return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])

    for i, (a, b) in enumerate(edges):
        for c, d in edges[i + 1 :]:
            if turn(a, b, c) * turn(a, b, d) < 0 and turn(c, d, a) * turn(c, d, b) < 0:
                return True
    return False


def _positive_definite(matrix: tuple[tuple[float, ...], ...]) -> bool:
    values = np.array(matrix, dtype=np.float64)
    if not np.isfinite(values).all() or not np.allclose(values, values.T, rtol=1e-9, atol=0.0):
        return False
    return bool(np.linalg.eigvalsh(values).min() > 0)
