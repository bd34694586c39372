"""``gates.json`` of a tube: where each gate was put and why, and what the gates say about the marrow."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from flowmrd.records.base import Artefact, FlagEntry, TargetState

__all__ = [
    "BooleanShape",
    "ControlRange",
    "CurveEntry",
    "DilutionRow",
    "EllipseShape",
    "GateEntry",
    "GatesFile",
    "HaemodilutionEntry",
    "HalfPlaneShape",
    "LandmarkEntry",
    "MissingRoute",
    "OverrideUsed",
    "PolygonShape",
    "RectangleShape",
    "ReferenceUsed",
    "RegenerationEntry",
    "RoutesEntry",
    "ShapeEntry",
    "ShiftEntry",
    "StageEntry",
    "WholeShape",
    "channels_of",
]

Point = tuple[float, float]


class RectangleShape(Artefact):
    """Ranges of channels; null is an open end."""

    type: Literal["rectangle"]
    ranges: dict[str, tuple[float | None, float | None]]


class HalfPlaneShape(Artefact):
    """``x - slope * y - bend(y)`` above or below a threshold."""

    type: Literal["halfplane"]
    x: str
    y: str
    slope: float
    threshold: float
    side: Literal["above", "below"]
    bends: tuple[Point, ...] = ()


class PolygonShape(Artefact):
    """Inside of a polygon."""

    type: Literal["polygon"]
    x: str
    y: str
    vertices: tuple[Point, ...]


class EllipseShape(Artefact):
    """Inside a Mahalanobis distance."""

    type: Literal["ellipse"]
    channels: tuple[str, ...]
    mean: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    distance_squared: float


class BooleanShape(Artefact):
    """A combination of other gates."""

    type: Literal["boolean"]
    all_of: tuple[str, ...]
    any_of: tuple[str, ...]
    at_least: int
    none_of: tuple[str, ...]


class WholeShape(Artefact):
    """All events of the parent, or none."""

    type: Literal["everything", "nothing"]


ShapeEntry = Annotated[
    RectangleShape | HalfPlaneShape | PolygonShape | EllipseShape | BooleanShape | WholeShape,
    Field(discriminator="type"),
]
"""A gate's shape (:mod:`flowmrd.gating.shapes`)."""


def channels_of(shape: ShapeEntry) -> tuple[str, ...]:
    """Channels on which a shape is drawn; empty for a combination of gates."""
    match shape:
        case RectangleShape():
            return tuple(shape.ranges)
        case EllipseShape():
            return shape.channels
        case HalfPlaneShape() | PolygonShape():
            return (shape.x, shape.y)
    return ()


class CurveEntry(Artefact):
    """The density from which a cut was read."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    threshold: float
    bounds: tuple[float, ...]


class GateEntry(Artefact):
    """One gate as placed."""

    name: str
    title: str
    parent: str
    method: str
    population: bool
    route: bool
    helper: bool
    state: Literal["ok", "insufficient_parent", "unavailable"]
    source: Literal["sample", "reference", "sample-shift", "fallback", "default", "override"]
    how: str
    why: str
    shape: ShapeEntry
    parameters: dict[str, float]
    shift_decades: float
    at_bound: bool
    parent_events: int
    count: int | None = Field(description="null where the gate is unavailable.")
    analysable_count: int | None
    curve: CurveEntry | None


class ReferenceUsed(Artefact):
    """The frozen gates that were used for this tube."""

    label: str
    excluded: str | None = Field(description="Control left out because it is this tube.")


class OverrideUsed(Artefact):
    """A reviewer's gates."""

    file: str
    sha256: str
    gates: tuple[str, ...]


class LandmarkEntry(Artefact):
    """Place of the lymphocytes in scatter."""

    levels: dict[str, float] = Field(description="Channel to median of the lymphocytes.")
    factors: dict[str, float] = Field(description="Channel to factor to the panel's place of lymphocytes.")
    events: int
    why: str
    applied: dict[str, float] = Field(description="Channel to factor; with controls theirs, moved by the anchors.")


class ShiftEntry(Artefact):
    """Shift of a channel's anchor cells against those of the controls."""

    channel: str
    population: str
    events: int
    level: float | None
    reference: float | None
    measured_decades: float | None
    applied_decades: float
    at_bound: bool
    why: str


class MissingRoute(Artefact):
    """A route into the B lineage that this tube does not have."""

    route: str
    why: str


class RoutesEntry(Artefact):
    """Routes into the B lineage."""

    present: tuple[str, ...]
    missing: tuple[MissingRoute, ...]


class ControlRange(Artefact):
    """Share of a population in the controls."""

    low: float
    median: float
    high: float
    n: int


class DilutionRow(Artefact):
    """One population that dilution with blood changes."""

    population: str
    events: int
    of: str
    share: float | None
    limit: float
    met: bool | None
    controls: ControlRange | None


class HaemodilutionEntry(Artefact):
    """Whether the marrow was diluted with blood."""

    verdict: Literal["suspected", "possible", "not_suggested", "not_evaluable"]
    statement: str
    populations: tuple[DilutionRow, ...]


class StageEntry(Artefact):
    """A normal B stage: its cells, and how many other cells lie in its place."""

    population: str
    count: int | None = Field(description="Analysable cells, leukaemic ones included; null where it is unavailable.")
    expected_others: float | None = Field(description="Expected number of other cells; null where nothing tells it.")
    others_at_most: float | None = Field(description="Upper limit (95 %, one-sided) of the number of other cells.")
    state: Literal["present", "too_few", "not_evaluable", "unavailable"] = Field(
        description="present: more than other cells explain; too_few: too few to assess."
    )


class BLineageEntry(Artefact):
    """Whether the tube holds more cells of the B lineage than other cells can be."""

    verdict: Literal["assessed", "too_few", "not_evaluable"]
    count: int | None = Field(description="Analysable cells of the gate b_lineage, as in mrd.json.")
    stages: tuple[StageEntry, ...]
    statement: str


class RegenerationEntry(Artefact):
    """The haematogone spectrum, before MRD cells are left out."""

    verdict: Literal["increased", "present", "incomplete", "few", "not_evaluable"]
    statement: str
    share: float | None = None
    stages: dict[str, int]


class GatesFile(Artefact):
    """``gates.json``: where each gate of a tube was put and why, and what the gates say about the marrow."""

    schema_version: int
    panel: str
    panel_version: str
    events: int
    analysable: int
    reference: ReferenceUsed | None
    override: OverrideUsed | None
    landmark: LandmarkEntry
    shifts: tuple[ShiftEntry, ...]
    gates: tuple[GateEntry, ...]
    routes: RoutesEntry
    normal_b: dict[str, float] = Field(description="CD19 and CD22 of the controls' normal B lineage, panel scale.")
    targets: dict[str, TargetState] = Field(description="CD19 and CD22 of the window's cells by two routes or more.")
    b_lineage: BLineageEntry
    haemodilution: HaemodilutionEntry
    regeneration: RegenerationEntry
    nucleated_by: Literal["dye", "scatter"]
    flags: tuple[FlagEntry, ...]
