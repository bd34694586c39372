"""A gate tree as text: the condition of each gate, and the tree as indented lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from flowmrd.panel.gates import (
    ROOT,
    BooleanGate,
    CutGate,
    DebrisGate,
    EllipseGate,
    Gate,
    PolygonGate,
    RectangleGate,
    SingletGate,
)

__all__ = ["ordered", "roles", "rule", "tree_lines"]

_COMPARED: Final = {"above": ">", "below": "<"}


def ordered(gates: Sequence[Gate]) -> list[tuple[int, Gate]]:
    """Pairs (depth, gate) in the order of display: children directly below their parent, siblings in file order."""
    children: dict[str, list[Gate]] = {}
    for gate in gates:
        children.setdefault(gate.parent, []).append(gate)
    found: list[tuple[int, Gate]] = []

    def walk(parent: str, depth: int) -> None:
        for gate in children.get(parent, ()):
            found.append((depth, gate))
            walk(gate.name, depth + 1)

    walk(ROOT, 0)
    return found


def roles(gate: Gate) -> str:
    """Role of a gate: population, route or helper; empty for an intermediate gate."""
    named = [word for word, holds in (("population", gate.population), ("route", gate.route)) if holds]
    return ", ".join([*named, *(["helper"] if gate.helper else [])])


def rule(gate: Gate) -> str:
    """The condition of a gate in one line, with the numbers of the panel file."""
    if isinstance(gate, CutGate):
        return _cut(gate)
    if isinstance(gate, RectangleGate):
        return " and ".join(f"{channel} {_range(*ends)}" for channel, ends in gate.ranges.items())
    if isinstance(gate, PolygonGate):
        return f"polygon of {len(gate.vertices)} corners on {gate.x} and {gate.y}"
    if isinstance(gate, EllipseGate):
        return f"ellipse on {', '.join(gate.channels)}"
    if isinstance(gate, SingletGate):
        return f"{gate.area} against {' or '.join(gate.partners)} within the band of single cells"
    if isinstance(gate, DebrisGate):
        return "low forward and side scatter without CD45"
    return _combination(gate)


def _cut(gate: CutGate) -> str:
    channel = gate.channel + "".join(f" {-slope:+g} x {other}" for other, slope in gate.tilt.items())
    if gate.estimator == "fixed":
        return f"{channel} {_COMPARED[gate.side]} {gate.fallback:g}"
    if gate.estimator == "top":
        return f"{channel} clipped at the top of its range"
    low, high = gate.bounds
    seen = gate.negative if gate.estimator == "negative_quantile" else gate.estimate_in
    where = f" of {seen}" if seen else ""
    side = f"{channel} {_COMPARED[gate.side]} {gate.estimator}{where}"
    return f"{side}, between {low:g} and {high:g}, else {gate.fallback:g}"


def _range(low: float | None, high: float | None) -> str:
    if low is None:
        return "anywhere" if high is None else f"< {high:g}"
    return f">= {low:g}" if high is None else f"{low:g} to {high:g}"


def _combination(gate: BooleanGate) -> str:
    parts = []
    if gate.all_of:
        parts.append(" and ".join(gate.all_of))
    if gate.any_of:
        some = f"at least {gate.at_least} of" if gate.at_least > 1 else "any of"
        parts.append(gate.any_of[0] if len(gate.any_of) == 1 else f"{some} {', '.join(gate.any_of)}")
    parts += [f"not {name}" for name in (*gate.none_of, *gate.unless)]
    return "; ".join(parts)


def tree_lines(gates: Sequence[Gate], suffix: Callable[[Gate], str] | None = None) -> list[str]:
    """The tree as lines of text, indented by depth; ``suffix`` gives text to append to a gate's line."""
    lines = []
    for depth, gate in ordered(gates):
        role = roles(gate)
        head = f"{'  ' * depth}{gate.name}{f' ({role})' if role else ''}: {rule(gate)}"
        more = suffix(gate) if suffix is not None else ""
        lines.append(f"{head} [{more}]" if more else head)
    return lines
