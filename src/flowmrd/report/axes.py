"""Axis ticks in the units of the instrument, whatever scale the axis is drawn on.

A stored column is on the 0..1 scale; a reader knows 10³ and 10⁴. The ticks are round raw values, placed where the
channel's own transform puts them (the inverse of what :mod:`flowmrd.preprocess.transform` did).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from flowmrd.preprocess.transform.scale import ChannelScale
from flowmrd.report.density import HIGH, LOW

ACROSS: Final = 0.075
UP: Final = 0.042
"""Smallest distance between two labels that do not touch: side by side, and one above the other."""

_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Axis:
    """One axis of a plot.

    Attributes
    ----------
    ticks
        Positions on the axis and their texts; an empty text is a minor tick.
    low, high
        Ends of the axis: those of the count grid for event plots.
    """

    channel: str
    label: str
    ticks: tuple[tuple[float, str], ...]
    low: float = LOW
    high: float = HIGH

    def to_json(self) -> dict[str, object]:
        """Plain data for the page's script."""
        return {
            "label": self.label,
            "at": [round(position, 5) for position, _ in self.ticks],
            "text": [text for _, text in self.ticks],
        }


def level_axis(label: str, low: int, high: int = 0, *, none: str = "") -> Axis:
    """Axis of levels as log10 of a fraction, one tick per decade.

    Parameters
    ----------
    low, high
        Ends, log10; a level beyond an end is drawn at that end.
    none
        Word for levels that were not detected, which stand at the lower end; empty where there are none.
    """
    ticks = []
    for power in range(low, high + 1):
        word = "1" if power == 0 else f"10{str(power).replace('-', '⁻').translate(_SUPERSCRIPTS)}"
        ticks.append((float(power), none if none and power == low else word))
    return Axis("level", label, tuple(ticks), float(low), float(high))


def make_axis(channel: str, label: str, scale: ChannelScale | None, *, room: float = ACROSS) -> Axis:
    """Axis of a channel on its scale.

    ``room`` is the smallest distance of two labels on the 0..1 scale: :data:`ACROSS`, or :data:`UP` upright.
    Without a scale the ticks are on the 0..1 scale and say so, instead of wrong units.
    """
    if scale is None:
        ticks: tuple[tuple[float, str], ...] = tuple((value / 5, f"{value / 5:.1f}") for value in range(6))
        return Axis(channel, f"{label} (0..1 scale)", ticks)
    if scale.kind == "linear":
        step = 10 ** math.floor(math.log10(scale.T / 2))
        step *= 5 if scale.T / step > 12 else 2 if scale.T / step > 5 else 1
        values = [index * step for index in range(math.floor(scale.T / step) + 1)]
        ticks = tuple((value / scale.T, _thousands(value)) for value in values)
    else:
        ticks = _decades(scale, room)
    return Axis(channel, label, tuple((at, text) for at, text in ticks if LOW <= at <= HIGH))


def _thousands(value: float) -> str:
    return f"{value / 1000:g}K" if value >= 1000 else f"{value:g}"


def _decades(scale: ChannelScale, room: float) -> tuple[tuple[float, str], ...]:
    """Ticks at 0 and ±10^k, with unlabelled ticks between; labels that would touch each other are left out."""
    top = scale.T
    exponents = range(2, math.floor(math.log10(top)) + 1)
    majors = [(0.0, "0")]
    majors += [
        (sign * 10.0**power, ("−" if sign < 0 else "") + "10" + str(power).translate(_SUPERSCRIPTS))
        for power in exponents
        for sign in (1, -1)
    ]
    minors = [(digit * 10.0**power, "") for power in exponents for digit in range(2, 10) if digit * 10.0**power <= top]
    everything = majors + minors
    places = scale.apply(np.array([value for value, _ in everything], dtype=np.float32))
    placed = [(float(at), text) for at, (_, text) in zip(places, everything, strict=True)]
    kept: list[tuple[float, str]] = []
    order = sorted(range(len(majors)), key=lambda index: (majors[index][0] != 0, -abs(majors[index][0])))
    shown: list[float] = []
    for index in order:
        at, text = placed[index]
        free = all(abs(at - other) >= room for other in shown)
        if free:
            shown.append(at)
        kept.append((at, text if free else ""))
    return tuple(sorted(kept + placed[len(majors) :]))
