"""Checks on the values themselves: linear or transformed, already compensated, and whether the matrix fits.

All checks use a sample of events in raw units. They assume stained leucocytes; single-stain tubes and beads are not
checked.

**Overcompensation.** For dye i and detector j with coefficient s, cells bright in i that lack antigen j must have the
level of the negative cells after compensation, whatever the biology. The measure is the share of bright cells that are
lower than that by more than :data:`TOO_LOW` times s times their own signal. It is 0 for the right matrix. It approaches
the share of cells without antigen j if the values were compensated before, or if the coefficient is far too large.

**Undercompensation.** Residual spillover gives a lower limit: no cell bright in i is lower in j than a fixed share of
its own signal. Such a limit differs from coexpression of two antigens in its shape: it is narrow (5th to 25th
percentile) and rises in proportion to the signal (slope 1 in logarithms).

**Linearity.** On a linear scale the dim cells lie close together near the lowest value: the dimmest fifth of the cells
lies within 7 % of the range from the lowest to the brightest value. The channels with the brightest cells show this
most clearly, so the lower quartile over the channels is used. In a marrow of T cells alone, most channels have no
bright cell (linear: at most 0.052, mostly 0.01; the same tubes on logarithmic scales 0.14 and more, logicle with W = 1
0.075). In addition, no linear scale of a cytometer ends at 50.

The limits were set on two real tubes, the simulated cohorts and their variants; ``python -m benchmarks.inputs`` counts
the false alarms and the misses again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from flowmrd.errors import CompensationError, TransformError
from flowmrd.preprocess.compensation.matrix import Spillover
from flowmrd.preprocess.compensation.source import DYES
from flowmrd.records.ingest import ChannelEntry, Facts

__all__ = [
    "SAMPLE",
    "Pair",
    "judge_compensation",
    "judge_values",
    "overcompensated_pairs",
    "refuse_transformed",
    "residual_pairs",
]

Values = npt.NDArray[np.floating[Any]]

TOO_LOW: Final = 0.6
"""A bright cell is too low if it lies below the negative cells by more than this part of the subtracted light."""
MOST_TOO_LOW: Final = 0.25
"""Share of bright cells that are too low from which the matrix is refused; right matrices: below 0.1."""

ON_SCALE: Final = 0.9
"""Share of the range up to which a detector is not full."""

LEAST_COEFFICIENT: Final = 0.02
"""Smallest spillover coefficient that is checked."""
LEAST_BRIGHT: Final = 60
"""Smallest number of bright cells by which a pair is judged."""
BRIGHT: Final = 0.02
"""Bright means above this share of the range."""

NEGATIVE: Final = 0.004
"""Cells count as negative up to this share of the range, as in :mod:`.residuals`."""

LEAST_FLOOR: Final = 0.04
"""Smallest residual spillover that counts, as a share of the signal: 5th percentile of bright cells."""

NARROW: Final = 0.3
"""Largest distance of the 5th from the 25th percentile, as a part of the latter, that may be residual spillover."""
SHARP: Final = 0.12
"""Largest such distance far above the noise: light is spread in one proportion, while two antigens that go together, as
CD24 and CD66b of granulocytes do, vary (0.2 to 0.3 in marrow of T cells with a few granulocytes)."""
PROPORTIONAL: Final = (0.7, 1.2)
"""Slope, in logarithms, of that edge against the signal: 1 where light is spread in one proportion."""
MOST_FOOT: Final = 0.07
"""Largest part of the range, from the lowest to the brightest value, that the dimmest fifth of the cells takes up on a
linear scale."""
MOST_CHANNELS: Final = 4096.0
"""Up to this top the values are probably channels of a display, and half of :data:`MOST_FOOT` is enough."""
LEAST_TOP: Final = 50.0
"""Smallest brightest value of a linear scale."""

SAMPLE: Final = 20_000
"""Events that are looked at: every few of a larger tube."""

UNCOMPENSATED: Final = 0.08
"""Residual spillover, as a share of the signal, from which it shows that nothing was compensated."""


@dataclass(frozen=True)
class Pair:
    """One pair of channels with residual spillover or overcompensation.

    Attributes
    ----------
    source, target
        Column of the bright dye, and column of the detector that it spills into.
    amount
        Share of the bright cells that are too low, or residual share of their signal.
    """

    source: str
    target: str
    amount: float

    def __str__(self) -> str:
        return f"{self.source} into {self.target} ({self.amount:.0%})"


def overcompensated_pairs(raw: Mapping[str, Values], spillover: Spillover, top: float) -> list[Pair]:
    """Pairs that the matrix overcompensates, the worst first.

    Parameters
    ----------
    raw
        Values before compensation of every channel of the matrix, each of shape (n_events,).
    top
        Top of the range.
    """
    names = spillover.names
    measured = np.column_stack([raw[name] for name in names]).astype(np.float64)
    return _too_low(measured, measured @ spillover.inverse(), names, spillover.matrix, top)


def _too_low(
    measured: Values, true: Values, names: Sequence[str], matrix: npt.NDArray[np.float64], top: float
) -> list[Pair]:
    places = [_negative(true[:, j], top) for j in range(len(names))]
    found = []
    for i, source in enumerate(names):
        bright = (true[:, i] > BRIGHT * top) & (measured[:, i] < 0.9 * top)
        if int(bright.sum()) < LEAST_BRIGHT:
            continue
        signal = true[bright, i]
        for j, target in enumerate(names):
            s, place = matrix[i, j], places[j]
            # what is subtracted must exceed the noise of the negative cells
            if i == j or s < LEAST_COEFFICIENT or place is None or s * float(np.median(signal)) < 4 * place[1]:
                continue
            share = float(np.mean((true[bright, j] - place[0]) < -TOO_LOW * s * signal))
            if share > MOST_TOO_LOW:
                found.append(Pair(source, target, share))
    return sorted(found, key=lambda pair: -pair.amount)


def residual_pairs(compensated: Mapping[str, Values], top: float) -> list[Pair]:
    """Pairs with residual spillover, the largest first.

    Parameters
    ----------
    compensated
        Compensated values in raw units, each of shape (n_events,).
    """
    found = []
    places = {name: _negative(values, top) for name, values in compensated.items()}
    for source, on in compensated.items():
        bright = (on > 1.5 * BRIGHT * top) & (on < 0.9 * top)
        if (
            int(bright.sum()) < 2 * LEAST_BRIGHT
        ):  # a few cells of one kind that carry both antigens are narrow by chance
            continue
        signal = on[bright].astype(np.float64)
        low, high = signal <= np.quantile(signal, 0.33), signal >= np.quantile(signal, 0.67)
        steps = float(np.log(np.median(signal[high]) / np.median(signal[low])))
        for target, values in compensated.items():
            place = places[target]
            if target == source or place is None or steps < 0.2:
                continue
            above = values[bright] - place[0]
            floor, quarter = np.quantile(above / signal, [0.05, 0.25])
            if floor < LEAST_FLOOR or floor * float(np.median(signal)) < 4 * place[1]:
                continue
            rise = np.log(max(np.quantile(above[high], 0.25), 1.0) / max(np.quantile(above[low], 0.25), 1.0)) / steps
            noise = place[1] / (floor * float(np.median(signal)))
            if (quarter - floor) / quarter < min(SHARP + noise, NARROW) and PROPORTIONAL[0] < rise < PROPORTIONAL[1]:
                found.append(Pair(source, target, float(floor)))
    return sorted(found, key=lambda pair: -pair.amount)


def _negative(values: Values, top: float) -> tuple[float, float] | None:
    """Place and robust standard deviation of the negative cells, if there are enough of them."""
    near = values[np.abs(values) <= NEGATIVE * top]
    if len(near) < max(100, 0.005 * len(values)):
        return None
    place = float(np.median(near))
    return place, 1.4826 * float(np.median(np.abs(near - place)))


def judge_compensation(raw: Mapping[str, Values], spillover: Spillover, *, where: str, top: float) -> None:
    """Refuse a matrix that contradicts the values.

    Parameters
    ----------
    raw
        Values before compensation of every channel of the matrix, each of shape (n_events,).
    spillover
        The matrix to be applied.
    where
        Name of the tube for messages.
    top
        Top of the range, raw units.

    Raises
    ------
    CompensationError
        If the matrix overcompensates; the message says whether the values as stored or the transposed matrix fit
        better.
    """
    worst = overcompensated_pairs(raw, spillover, top)
    if not worst:
        return
    shown = ", ".join(map(str, worst[:3]))
    found = f"cells far below zero after compensation (share of the bright cells): {shown}"
    names, measured = spillover.names, np.column_stack([raw[name] for name in spillover.names]).astype(np.float64)
    if _fits(measured, measured, names, spillover, top):
        found += "; the values look compensated already: before the matrix is applied nothing is left of its spillover"
        todo = "export stored values, or say 'compensation: none' in config.yaml (one file: --compensated)"
    else:
        try:
            turned = measured @ np.linalg.inv(spillover.matrix.T)
            swapped = not _too_low(measured, turned, names, spillover.matrix.T, top)
        except np.linalg.LinAlgError:
            swapped = False
        if swapped and not np.allclose(spillover.matrix, spillover.matrix.T, atol=0.01):
            found += "; the transposed matrix fits: rows and columns look exchanged"
        todo = "give the matrix of this acquisition (rows: dyes, columns: detectors)"
    raise CompensationError(where, found=found, expected="bright cells at the level of the negative cells", todo=todo)


def _fits(measured: Values, true: Values, names: Sequence[str], spillover: Spillover, top: float) -> bool:
    """Whether values hold no spillover of a matrix: for its large coefficients, the lowest bright cells are at zero."""
    free = seen = 0
    for i in range(len(names)):
        bright = (true[:, i] > BRIGHT * top) & (measured[:, i] < 0.9 * top)
        if int(bright.sum()) < LEAST_BRIGHT:
            continue
        for j in range(len(names)):
            s = spillover.matrix[i, j]
            place = _negative(true[:, j], top)
            if i == j or s < 0.05 or place is None:
                continue
            seen += 1
            free += bool(np.quantile((true[bright, j] - place[0]) / true[bright, i], 0.05) < 0.4 * s)
    return seen > 0 and free >= 0.8 * seen


def refuse_transformed(raw: Mapping[str, Values], *, where: str, keyword: str) -> None:
    """Refuse values that were transformed before the export.

    Parameters
    ----------
    raw
        Fluorescence columns of the panel in raw units, each of shape (n_events,).
    keyword
        Keyword that marks transformed values, if any. It is named in the message, and less evidence is then enough.

    Raises
    ------
    TransformError
        If the values are not linear; the message names the evidence.
    """
    feet, tops = [], []
    for values in raw.values():
        finite = values[np.isfinite(values)].astype(np.float64)
        lowest = finite.min() if len(finite) else 0.0
        cells = finite[finite > lowest] if len(finite) else finite  # many events at the lowest value were clipped there
        if len(cells) < 300:
            continue
        foot, dim, bright = np.quantile(cells, [0.005, 0.2, 0.999])
        if bright > foot:
            feet.append((dim - foot) / (bright - foot))
            tops.append(bright)
    if len(feet) < 3:
        return
    foot, top = float(np.quantile(feet, 0.25)), float(np.max(tops))
    named = f" (the keyword {keyword} says so too)" if keyword else ""
    if top < LEAST_TOP:
        found = (
            f"fluorescence of at most {top:.3g}{named}: transformed before the export (asinh, log or logicle), "
            "or rescaled"
        )
    elif foot > (MOST_FOOT / 2 if keyword or top <= MOST_CHANNELS else MOST_FOOT):
        found = (
            f"fluorescence spread as on a logarithmic scale up to {top:.4g} (the dimmest fifth of the cells takes up "
            f"{foot:.0%} of the range){named}: transformed before the export (channels, log, logicle or asinh), "
            "or not a stained tube (beads, no antibody)"
        )
    else:
        return
    raise TransformError(
        where,
        found=found,
        expected="linear values as the cytometer stores them",
        todo="export the original FCS file, not values of a display scale; logarithmic channels need $PnE",
    )


def judge_values(raw: Mapping[str, Values], record: Facts, spillover: Spillover | None, *, where: str) -> list[Pair]:
    """Refuse values that are not linear, or that contradict the matrix they are to be compensated with.

    Parameters
    ----------
    raw
        A sample of events as stored, by column, each of shape (n,): every column of the matrix and of the panel's dyes.
    record
        ``ingest.json``, or the part of it that can be read from the file's header.
    spillover
        Matrix to be applied; None where the configuration says ``none``.

    Returns
    -------
    Pairs of dyes with residual spillover although a matrix was applied, the largest first. They are reported, not
    refused.

    Raises
    ------
    TransformError
        If the values were transformed before the export.
    CompensationError
        If the matrix overcompensates, or if nothing was compensated and spillover is present.
    """
    channels = {channel.column: channel for channel in record.channels}
    dyes = [name for name, one in channels.items() if one.marker and one.kind in DYES and name in raw]
    if len(dyes) < 3:
        return []
    finite = np.logical_and.reduce([np.isfinite(raw[name]) for name in dyes])
    sample = {name: values[finite] for name, values in raw.items()}
    if int(finite.sum()) < 1000:
        return []
    refuse_transformed(
        {name: sample[name] for name in dyes},
        where=where,
        keyword=record.export.transform,
    )
    top = _top(sample, dyes, channels)
    sample = _on_scale(sample, dyes, top)
    compensated: Mapping[str, Values] = {name: sample[name] for name in dyes}
    if spillover is not None:
        judge_compensation(sample, spillover, where=where, top=top)
        true = np.column_stack([sample[name] for name in spillover.names]).astype(np.float64) @ spillover.inverse()
        compensated = {name: true[:, spillover.names.index(name)] for name in dyes if name in spillover.names}
    left = residual_pairs(compensated, top)
    most = 0.0 if spillover is None else float(np.abs(spillover.matrix - np.eye(len(spillover.names))).max())
    if most < LEAST_COEFFICIENT and left and left[0].amount >= UNCOMPENSATED:
        source = "no matrix" if spillover is None else "a matrix that is all but the identity"
        raise CompensationError(
            where,
            found=f"{source}, and values that hold spillover: {', '.join(map(str, left[:3]))} of the signal",
            expected="the spillover matrix of this acquisition, or values compensated before the export",
            todo="give the matrix in config.yaml ('compensation: csv:' or controls, or the right keyword as source; "
            "one file: --spillover)",
        )
    return left


def _on_scale(sample: Mapping[str, Values], dyes: Sequence[str], top: float) -> dict[str, Values]:
    """Events that are on scale in every detector; all events where these are too few to judge.

    The true signal of a full detector is not known. Compensation subtracts too little of it from the other detectors,
    so such a cell says nothing about the matrix. Half of a patient's blasts can be off scale.
    """
    kept = np.logical_and.reduce([sample[name] < ON_SCALE * top for name in dyes])
    return {name: values[kept] for name, values in sample.items()} if int(kept.sum()) >= 1000 else dict(sample)


def _top(sample: Mapping[str, Values], dyes: Sequence[str], channels: Mapping[str, ChannelEntry]) -> float:
    """Top of the range: the one that the file states if the values fit it, else a little above the largest values."""
    reached = max(float(np.quantile(sample[name], 0.999)) for name in dyes)
    stated = max((float(channels[name].range or 0) for name in dyes), default=0.0)
    return stated if reached <= stated <= 8 * reached else 1.1 * reached
