"""Spillover matrix from single-stain controls: per detector, the slope of a line through negative and positive cells.

For the control of dye i, the coefficient into detector j is the least-squares slope of j on i through the medians of
the negative cells and of ten equally filled slices of the positive cells (weights: cells per median). Medians are used
because the tails of stained cells are not symmetric; slices are used so that the whole range of brightness determines
the slope. The method is that of Bagwell & Adams (Ann N Y Acad Sci 677:167-184, 1993), with medians for means.

Where the control has two populations, its own negative cells are used, so that autofluorescence is that of the same
kind of cell. They must lie within the scatter of the stained cells, because granulocytes have more autofluorescence
than lymphocytes. Otherwise the cells of the unstained control are used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from flowmrd.errors import CompensationError
from flowmrd.preprocess.compensation.matrix import Spillover, check_spillover

__all__ = ["MIN_POSITIVE", "StainControl", "spillover_from_controls"]

Values = npt.NDArray[np.floating[Any]]
Mask = npt.NDArray[np.bool_]

MIN_POSITIVE: Final = 100
SLICES: Final = 10
MIN_SEPARATION: Final = 0.5
"""Decades between the medians of positive and negative cells below which a control is refused."""

MIN_SEPARATION_UNSTAINED: Final = 1.0
"""The same against cells of the unstained tube, whose background may differ from that of the stained tube."""


@dataclass(frozen=True)
class StainControl:
    """Raw columns of one single-stain tube.

    Attributes
    ----------
    name
        Tube, for messages.
    stain
        Column of the tube's dye.
    columns
        Raw values by column, single intact cells or beads only; each of shape (n_events,).
    scatter
        Forward and side scatter of the same events, in any unit; may be empty.
    """

    name: str
    stain: str
    columns: Mapping[str, Values]
    scatter: Mapping[str, Values] = field(default_factory=dict)


def spillover_from_controls(
    controls: Sequence[StainControl], channels: Sequence[str], *, unstained: Mapping[str, Values] | None = None
) -> Spillover:
    """Compute the spillover matrix of ``channels`` from one control per channel.

    Parameters
    ----------
    controls
        One control for each channel, in any order.
    channels
        Columns of the matrix, in its order.
    unstained
        Raw columns of the unstained control, each of shape (n_events,); None where there is none.

    Raises
    ------
    CompensationError
        If a channel has no control, a control is too weak or has too few cells, or the matrix is singular.
    """
    by_stain: dict[str, StainControl] = {}
    for control in controls:
        if control.stain in by_stain:
            raise CompensationError(
                control.name,
                found=f"a second control for {control.stain} (the first is {by_stain[control.stain].name})",
                expected="one single-stain tube per channel",
                todo="leave one of the two out of the sample sheet",
            )
        by_stain[control.stain] = control
    missing = [name for name in channels if name not in by_stain]
    if missing:
        raise CompensationError(
            "single-stain controls",
            found=f"no control for {', '.join(missing)}",
            expected="one single-stain tube per fluorescence channel of the panel",
            todo="add rows with role 'compensation' and the channel's marker as 'stain'",
        )
    matrix = np.eye(len(channels))
    for row, name in enumerate(channels):
        matrix[row] = _coefficients(by_stain[name], channels, unstained)
    return check_spillover("single-stain controls", channels, matrix, source="controls")


def _coefficients(control: StainControl, channels: Sequence[str], unstained: Mapping[str, Values] | None) -> Values:
    on = control.columns[control.stain].astype(np.float64)
    if len(on) < MIN_POSITIVE or on.min() == on.max():
        raise _weak(control, f"{len(on)} usable events" if len(on) < MIN_POSITIVE else "the same value in every event")
    positive, negative = _populations(on)
    inside = negative is not None
    if negative is None and unstained is None:
        raise _weak(control, "one population only, and there is no unstained control")
    if negative is None and unstained is not None:
        # Without two populations the stained cells are those a decade brighter than unstained ones.
        background = unstained[control.stain]
        if len(background) < MIN_POSITIVE:
            raise _weak(control, f"one population only, and {len(background)} usable events in the unstained control")
        brighter = max(float(np.quantile(background, 0.999)), 10.0**MIN_SEPARATION_UNSTAINED * _floor(background))
        positive = on > brighter
    if int(positive.sum()) < MIN_POSITIVE:
        raise _weak(control, f"{int(positive.sum())} stained cells")
    if negative is not None:
        negative = _alike(control.scatter, positive, negative)
    dark = {
        name: float(np.median(control.columns[name][negative] if inside else (unstained or {})[name]))
        for name in channels
    }
    bright = float(np.median(on[positive]))
    if np.log10(max(bright, 1.0) / max(dark[control.stain], 1.0)) < MIN_SEPARATION:
        raise _weak(control, f"a stained median of {bright:.0f} above an unstained one of {dark[control.stain]:.0f}")
    rows = np.flatnonzero(positive)
    slices = np.array_split(rows[np.argsort(on[rows], kind="stable")], SLICES)
    weights = np.array([float(len(part)) for part in slices])
    x = np.array([float(np.median(on[part])) for part in slices]) - dark[control.stain]
    result = np.empty(len(channels))
    for column, name in enumerate(channels):
        values = control.columns[name]
        y = np.array([float(np.median(values[part])) for part in slices]) - dark[name]
        # The line passes through the negative cells, whose median is known far better than that of a slice.
        result[column] = float(np.sum(weights * x * y) / np.sum(weights * x * x))
    return result


def _populations(on: Values) -> tuple[Mask, Mask | None]:
    """Positive and negative cells of a control; no negative ones where it has one population.

    The cut is Otsu's (largest variance between the classes) on asinh(value / 100), or five robust standard deviations
    above the main peak where that finds no two populations; two populations are accepted where
    their medians differ by more than twice the sum of their robust standard deviations.
    """
    scale = np.arcsinh(on / 100.0)
    counts, edges = np.histogram(scale, bins=256)
    centres = 0.5 * (edges[:-1] + edges[1:])
    below = np.cumsum(counts).astype(np.float64)
    mass = np.cumsum(counts * centres)
    above = below[-1] - below
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (mass / below - (mass[-1] - mass) / above) ** 2
    cut = float(edges[1:][int(np.nanargmax(between[:-1]))])
    positive = scale > cut
    # The brightest cells may be saturated and the dimmest of the positive ones stained doublets with debris.
    few = min(int(positive.sum()), int((~positive).sum())) < 50
    if few or not _apart(scale[positive], scale[~positive]):
        # Otsu's cut overlooks a small share of stained cells (CD34): look beyond the flank of the main peak.
        mode = centres[int(np.argmax(np.convolve(counts, np.ones(7), mode="same")))]
        left = mode - scale[scale <= mode]
        positive = scale > mode + 5 * max(float(np.median(left)) / 0.6745, 1e-6)
        if int(positive.sum()) < MIN_POSITIVE or not _apart(scale[positive], scale[~positive]):
            return np.ones(len(on), dtype=np.bool_), None
    centre, spread = np.median(scale[positive]), _spread(scale[positive])
    return positive & (np.abs(scale - centre) < 3 * spread), ~positive


def _floor(values: Values) -> float:
    return max(float(np.median(values)), 1.0)


def _alike(scatter: Mapping[str, Values], positive: Mask, negative: Mask) -> Mask:
    """Negative cells with the scatter of the stained ones (10 to 90 %), if there are enough of them."""
    chosen = negative.copy()
    for values in scatter.values():
        low, high = np.quantile(values[positive], [0.1, 0.9])
        chosen &= (values >= low) & (values <= high)
    return chosen if int(chosen.sum()) >= MIN_POSITIVE else negative


def _apart(high: Values, low: Values) -> bool:
    return bool(np.median(high) - np.median(low) > 2.0 * (_spread(high) + _spread(low)))


def _spread(values: Values) -> float:
    return max(float(np.median(np.abs(values - np.median(values))) / 0.6745), 1e-6)


def _weak(control: StainControl, found: str) -> CompensationError:
    return CompensationError(
        f"single-stain control {control.name} ({control.stain})",
        found=found,
        expected=f"at least {MIN_POSITIVE} stained cells, half a decade brighter than unstained ones",
        todo="acquire the control again, or add an unstained tube (stain 'unstained')",
    )
