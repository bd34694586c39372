"""Gates learned from the control marrows and frozen: per control, pooled, and moved by anchors within bounds.

Pooled numbers are medians over controls. From four controls on, a control whose number lies far outside those of the
others (:func:`usual`) does not count in it, so that one odd control sets no gate. For a control itself the pooled
number is computed without it, so that its result is as honest as a patient's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from flowmrd.errors import ArtefactError
from flowmrd.gating.panel_scale import PanelScale
from flowmrd.gating.shapes import Columns
from flowmrd.gating.tree import FrozenGate, GateResult
from flowmrd.panel.gates import CutGate, DebrisGate, Gate, SingletGate
from flowmrd.records.gates import ShiftEntry
from flowmrd.records.references import ControlGatesEntry, GateReferenceFile, PooledGates
from flowmrd.units import LOGICLE_M

__all__ = [
    "SCHEMA_VERSION",
    "AnchorShift",
    "ControlGates",
    "GateReference",
    "anchor_levels",
    "anchored_shifts",
    "freeze",
    "moved_panel_scale",
]

SCHEMA_VERSION: Final = "2"
LEAST_CONTROLS: Final = 4
"""With fewer nobody can say which control is the odd one."""
FAR: Final = 10.0
"""Median absolute deviations beyond which a control is odd: 6.7 standard deviations of normally distributed values."""
SHARE_LEAST: Final = 1e-7
"""Smaller shares of nucleated cells are compared as if they were this large."""


@dataclass(frozen=True)
class ControlGates:
    """Gates and levels of one control.

    Attributes
    ----------
    parameters
        Estimated numbers by gate, thresholds on the panel scale (:mod:`flowmrd.gating.panel_scale`); gates that this
        control could not estimate are left out.
    anchors
        Channel to median level in its anchor population, panel scale.
    levels
        Population to channel to median level on the panel scale, for target status and haemodilution.
    fractions
        Share of nucleated cells by population; those for haemodilution as :mod:`flowmrd.gating.haemodilution` computes
        them.
    factors
        Scatter channel to the factor that puts its lymphocytes where the panel has them; every colour to that of its
        brightness where the instrument's is another than the panel's.
    held_share
        Share of its cuts that ended at a bound; not stored.
    """

    name: str
    parameters: Mapping[str, Mapping[str, float]]
    anchors: Mapping[str, float]
    levels: Mapping[str, Mapping[str, float]]
    fractions: Mapping[str, float]
    factors: Mapping[str, float] = field(default_factory=dict)
    held_share: float = 0.0

    def as_record(self) -> ControlGatesEntry:
        """The control as ``gates.json`` of the reference holds it."""
        return ControlGatesEntry(
            name=self.name,
            parameters={gate: dict(values) for gate, values in self.parameters.items()},
            anchors=dict(self.anchors),
            levels={population: dict(values) for population, values in self.levels.items()},
            fractions=dict(self.fractions),
            factors=dict(self.factors),
        )


@dataclass(frozen=True)
class GateReference:
    """Frozen gates of a panel, learned from its control tubes."""

    panel: str
    panel_version: str
    controls: tuple[ControlGates, ...]

    @classmethod
    def from_record(cls, record: GateReferenceFile, where: str) -> GateReference:
        """The reference that a file holds.

        Raises
        ------
        ArtefactError
            If it is of another version.
        """
        if record.schema_version != SCHEMA_VERSION:
            raise ArtefactError(
                where,
                found=f"version {record.schema_version}",
                expected=f"a gate reference of version {SCHEMA_VERSION}",
                todo="delete it and rerun the gate-reference stage",
            )
        controls = tuple(
            ControlGates(one.name, one.parameters, one.anchors, one.levels, one.fractions, one.factors)
            for one in record.controls
        )
        return cls(record.panel, record.panel_version, controls)

    def as_record(self) -> GateReferenceFile:
        """The content of the file, the pooled numbers included for readers."""
        return GateReferenceFile(
            schema_version=SCHEMA_VERSION,
            panel=self.panel,
            panel_version=self.panel_version,
            pooled=PooledGates(parameters=self.parameters(), anchors=self.anchors(), factors=self.factors()),
            controls=tuple(control.as_record() for control in self.controls),
        )

    def leaving_out(self, name: str | None) -> GateReference:
        """The reference without one control."""
        kept = tuple(control for control in self.controls if control.name != name)
        return GateReference(self.panel, self.panel_version, kept)

    def parameters(self) -> dict[str, dict[str, float]]:
        """Gate to pooled numbers; a gate that no control could estimate is absent."""
        gates = dict.fromkeys(gate for control in self.controls for gate in control.parameters)
        return {gate: _pool([c.parameters[gate] for c in self.controls if gate in c.parameters]) for gate in gates}

    def anchors(self) -> dict[str, float]:
        """Channel to pooled anchor level."""
        return _pool([control.anchors for control in self.controls])

    def anchor_levels(self) -> dict[str, list[float]]:
        """Channel to the anchor levels of the usual controls."""
        channels = dict.fromkeys(channel for control in self.controls for channel in control.anchors)
        return {
            channel: usual([c.anchors[channel] for c in self.controls if channel in c.anchors]).tolist()
            for channel in channels
        }

    def factors(self) -> dict[str, float]:
        """Scatter channel to the pooled factor of its landmark."""
        return _pool([control.factors for control in self.controls])

    def level(self, population: str, channel: str) -> float | None:
        """Pooled median of a channel in a population on the panel scale, or None where no control has it."""
        values = [c.levels[population][channel] for c in self.controls if channel in c.levels.get(population, {})]
        return float(np.median(usual(values))) if values else None

    def fraction_range(self, population: str) -> tuple[float, float, float, int] | None:
        """Smallest, median and largest share of nucleated cells over the usual controls, and how many these are.

        Shares are compared as ratios: that of a rare population differs tenfold between marrows.
        """
        values = [c.fractions[population] for c in self.controls if population in c.fractions]
        if not values:
            return None
        kept = np.exp(usual(np.log(np.maximum(values, SHARE_LEAST))))
        kept[kept <= SHARE_LEAST * 1.001] = 0.0
        return float(kept.min()), float(np.median(kept)), float(kept.max()), len(kept)


def usual(values: Sequence[float] | npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Values (n,) less those further from the median than :data:`FAR` median absolute deviations, shape (n_kept,).

    All are kept where there are fewer than :data:`LEAST_CONTROLS`, or where most are equal, so that the deviations tell
    no scale. Of normally distributed values the median of those kept varies as the median of all does
    (``tests/gating/test_odd_control.py``).
    """
    found = np.asarray(values, dtype=np.float64)
    apart = np.abs(found - np.median(found)) if len(found) else found
    scale = float(np.median(apart)) if len(found) else 0.0
    if len(found) < LEAST_CONTROLS or scale <= 0.0:
        return found
    return found[apart <= FAR * scale]


def _pool(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    keys = dict.fromkeys(key for row in rows for key in row)
    return {key: float(np.median(usual([row[key] for row in rows if key in row]))) for key in keys}


@dataclass(frozen=True)
class AnchorShift:
    """How far the anchor cells of this tube lie from those of the controls on one channel.

    Attributes
    ----------
    level, reference
        Median of the anchor cells here and in the controls, panel scale.
    linear
        True for channels on a linear scale, where a shift is a factor and moves the panel scale
        (:func:`moved_panel_scale`): a granulocyte that is a third brighter in side scatter goes with a lymphocyte that
        is a third brighter, not with one that is as much further to the right.
    applied
        AnchorShift used in decades, within the bound.
    measured
        AnchorShift found in decades, or None where the anchor population is too small.
    at_bound
        True where ``measured`` was larger than allowed.
    beyond_controls
        True where it is also larger than that of any usual control. The anchor cells of persons differ (CD10 of
        granulocytes by more than the bound), so only this is worth a flag.
    """

    channel: str
    population: str
    events: int
    level: float | None
    reference: float | None
    linear: bool
    measured: float | None
    applied: float
    at_bound: bool
    why: str
    beyond_controls: bool = False

    def as_record(self) -> ShiftEntry:
        """The shift as ``gates.json`` holds it."""
        return ShiftEntry(
            channel=self.channel,
            population=self.population,
            events=self.events,
            level=None if self.level is None else round(self.level, 6),
            reference=None if self.reference is None else round(self.reference, 6),
            measured_decades=None if self.measured is None else round(self.measured, 4),
            applied_decades=round(self.applied, 4),
            at_bound=self.at_bound,
            why=self.why,
        )


def anchor_levels(
    result: GateResult, gates: Sequence[Gate], columns: Columns, usable: Any, min_events: int, panel_scale: PanelScale
) -> dict[str, tuple[str, int, float | None]]:
    """Channel to (anchor population, events, median on the panel scale); None for fewer than ``min_events``."""
    levels: dict[str, tuple[str, int, float | None]] = {}
    for gate in gates:
        if not gate.anchors:
            continue
        rows = np.flatnonzero(result.inside(gate.name) & usable)
        for channel in gate.anchors:
            if channel not in columns:
                continue
            values = panel_scale.to_panel(channel, columns[channel][rows])
            median = float(np.median(values)) if len(rows) >= min_events else None
            levels[channel] = (gate.name, len(rows), median)
    return levels


def anchored_shifts(
    levels: Mapping[str, tuple[str, int, float | None]],
    reference: Mapping[str, float],
    *,
    max_decades: float,
    min_events: int,
    linear: Collection[str] = (),
    controls: Mapping[str, Sequence[float]] | None = None,
) -> dict[str, AnchorShift]:
    """Bounded shift per anchored channel.

    Parameters
    ----------
    linear
        Channels that are stored on a linear scale.
    controls
        Channel to its levels in the usual controls (:meth:`GateReference.anchor_levels`).
    """
    shifts = {}
    for channel, (population, events, level) in levels.items():
        expected = reference.get(channel)
        none = AnchorShift(channel, population, events, level, expected, channel in linear, None, 0.0, False, "")
        if expected is None:
            shifts[channel] = replace(none, why="the controls have no level of this anchor: no shift")
        elif level is None:
            shifts[channel] = replace(none, why=f"{events} anchor cells, fewer than {min_events}: no shift")
        elif none.linear and min(level, expected) <= 0:
            shifts[channel] = replace(none, why="anchor cells at or below 0: no shift")
        else:
            measured = _decades(level, expected, linear=none.linear)
            applied = float(np.clip(measured, -max_decades, max_decades))
            held = applied != measured
            why = f"held at the bound of {max_decades:g} decades" if held else "anchor cells against the controls"
            of_controls = [
                abs(_decades(one, expected, linear=none.linear))
                for one in (controls or {}).get(channel, ())
                if one > 0 or not none.linear
            ]
            beyond = held and abs(measured) > max(of_controls, default=0.0)
            shifts[channel] = replace(
                none, measured=measured, applied=applied, at_bound=held, why=why, beyond_controls=beyond
            )
    return shifts


def _decades(level: float, expected: float, *, linear: bool) -> float:
    """Distance of a level from the expected one, decades."""
    return float(np.log10(level / expected)) if linear else (level - expected) * LOGICLE_M


def moved_panel_scale(panel_scale: PanelScale, shifts: Mapping[str, AnchorShift]) -> PanelScale:
    """The panel scale with linear channels as the anchors have them, for all gates: fixed ones and polygons too."""
    moved = {s.channel: panel_scale.factors.get(s.channel, 1.0) / 10**s.applied for s in shifts.values() if s.linear}
    return replace(panel_scale, factors={**panel_scale.factors, **moved})


def freeze(
    gates: Sequence[Gate], reference: GateReference, shifts: Mapping[str, AnchorShift], label: str
) -> dict[str, FrozenGate]:
    """Pooled numbers of every estimated gate; cuts moved by the shift of their channel and kept within their bounds.

    Numbers of linear channels stay as they are, because :func:`moved_panel_scale` moves the scale they are on.
    """
    pooled = reference.parameters()
    frozen = {}
    for gate in gates:
        if gate.name not in pooled or not isinstance(gate, CutGate | SingletGate | DebrisGate):
            continue
        parameters = dict(pooled[gate.name])
        decades = 0.0
        if isinstance(gate, CutGate) and gate.estimator != "fixed" and gate.channel in shifts:
            shift, before = shifts[gate.channel], parameters["threshold"]
            decades = shift.applied
            if not shift.linear:
                parameters["threshold"] = float(np.clip(before + shift.applied / LOGICLE_M, *gate.bounds))
                decades = (parameters["threshold"] - before) * LOGICLE_M
        frozen[gate.name] = FrozenGate(parameters, decades, not isinstance(gate, CutGate), label)
    return frozen
