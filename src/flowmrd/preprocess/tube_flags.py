"""Flags of preprocessing: about a tube's matrix, its scales and its events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from flowmrd.config.run import CompensationConfig, RunConfig
from flowmrd.flags import Flag, flag
from flowmrd.preprocess.compensation.evidence import Pair
from flowmrd.preprocess.compensation.residuals import Residual
from flowmrd.preprocess.quality import PILE_UP_WARN
from flowmrd.preprocess.quality.offscale import OFFSCALE_WARN, OffScale
from flowmrd.preprocess.quality.pulses import PulseCheck
from flowmrd.preprocess.scaling import CompensatedTube, fluorescence
from flowmrd.preprocess.transform import ChannelScale, choose_top
from flowmrd.records.references import FrozenScale

__all__ = ["compensation_flags", "event_flags", "pulse_flags", "residual_flags", "scale_flags"]

Mask = npt.NDArray[np.bool_]

SIDE_SCATTER: Final = frozenset({"SSC-A", "SSC-H", "SSC-W"})
"""Saturated side scatter is usual (granulocytes) and kept in the denominator: told, not warned about."""

BEYOND_CONTROLS: Final = 0.05
"""Share of the events of one channel beyond the controls' range from which the numbers are those of another scale. A
tube whose file states another range for the same numbers has none."""


def compensation_flags(tube: CompensatedTube, config: RunConfig, left: Sequence[Pair] = ()) -> list[Flag]:
    """Flags about the spillover matrix: its condition number, missing dyes, implausible coefficients.

    Parameters
    ----------
    left
        Pairs of dyes with residual spillover (:func:`flowmrd.preprocess.compensation.evidence.judge_values`).
    """
    flags: list[Flag] = []
    if left:
        flags.append(flag("RESIDUAL_SPILLOVER", pairs=", ".join(map(str, left[:5]))))
    matrix = tube.spillover
    if matrix is None:
        return [*flags, flag("NOT_COMPENSATED")]
    settings = config.compensation
    limit = settings.max_condition if isinstance(settings, CompensationConfig) else CompensationConfig().max_condition
    if matrix.condition > limit:
        flags.append(flag("SPILLOVER_ILL_CONDITIONED", condition=matrix.condition, limit=limit))
    for note in matrix.notes:
        flags.append(flag("SPILLOVER_RESCALED", note=note))
    if tube.uncompensated:
        flags.append(flag("CHANNELS_NOT_IN_SPILLOVER", channels=", ".join(tube.uncompensated)))
    rows, targets = np.nonzero(np.abs(matrix.matrix - np.eye(len(matrix.names))) > 1.0)
    if len(rows):
        pairs = [f"{matrix.names[i]} into {matrix.names[j]}" for i, j in zip(rows, targets, strict=True)]
        flags.append(flag("SPILLOVER_ABOVE_ONE", pairs=", ".join(pairs[:5])))
    identity = np.allclose(matrix.matrix, np.eye(len(matrix.names)))
    if identity:
        flags.append(flag("SPILLOVER_IDENTITY"))
    return flags


def scale_flags(
    tube: CompensatedTube,
    scales: Mapping[str, ChannelScale],
    frozen: Mapping[str, FrozenScale] | None,
    config: RunConfig,
) -> list[Flag]:
    """Flags about the scales: guessed ranges, default widths, ranges and numbers that differ from the controls'."""
    flags: list[Flag] = []
    guessed = [name for name, scale in scales.items() if scale.T_source == "ladder"]
    if guessed:
        flags.append(flag("RANGE_NOT_SOUND", channels=", ".join(guessed), top=scales[guessed[0]].T))
    default = [name for name, scale in scales.items() if scale.W_source == "default"]
    if default:
        reason = "no controls to estimate it from" if frozen is None else "too few negative events in the controls"
        if config.transform.width == "sample":
            reason = "too few negative events in this tube"
        flags.append(flag("LOGICLE_WIDTH_DEFAULT", channels=", ".join(default), why=reason))
    if frozen is not None:
        own = {name: choose_top(tube.ranges[name], tube.upper)[0] for name in fluorescence(tube)}
        other = [name for name, top in own.items() if scales[name].T_source != "panel" and top != scales[name].T]
        if other:
            ranges = {"own": own[other[0]], "controls": scales[other[0]].T}
            share = max(_share_beyond(tube, name, scale.T) for name, scale in scales.items())
            if share > BEYOND_CONTROLS:
                flags.append(flag("SCALE_OF_ANOTHER_INSTRUMENT", share=share, **ranges))
            else:
                flags.append(flag("RANGE_DIFFERS_FROM_CONTROLS", channels=", ".join(other), **ranges))
    return flags


def _share_beyond(tube: CompensatedTube, name: str, top: float) -> float:
    """Share of the events of a column that lie beyond the top of a scale, raw units."""
    values = tube.columns[name]
    return float(np.count_nonzero(values > top)) / max(len(values), 1)


def event_flags(
    n: int, nonfinite: Mask, saturation: Mapping[str, float], offscale: OffScale, config: RunConfig
) -> list[Flag]:
    """Flags about the events: too few, not finite, at the top of a detector's range.

    Parameters
    ----------
    n
        Events of the tube.
    nonfinite
        True for events with NaN or infinity, shape (n_events,).
    saturation
        Channel to the share of its events at the top of its range.
    """
    flags: list[Flag] = []
    if n < config.quality.min_events:
        flags.append(flag("TOO_FEW_EVENTS_ACQUIRED", events=n, least=config.quality.min_events))
    bad = int(np.count_nonzero(nonfinite))
    if bad:
        flags.append(flag("NONFINITE_EVENTS", events=bad))
    high = {name: share for name, share in saturation.items() if share > PILE_UP_WARN and name not in offscale.tops}
    high |= {name: top.share for name, top in offscale.tops.items() if top.share > OFFSCALE_WARN}
    for code, chosen in (
        ("SIDE_SCATTER_SATURATED", [name for name in high if name in SIDE_SCATTER]),
        ("DETECTOR_SATURATED", [name for name in high if name not in SIDE_SCATTER]),
    ):
        if chosen:
            flags.append(flag(code, channels=", ".join(f"{name} {high[name]:.1%}" for name in chosen)))
    return flags


OVERCOMPENSATED_DOUBT: Final = -0.05
"""Residual, as a share of a neighbour's signal, from which a marker is overcompensated too far to be trusted. Right
matrices had no residual below -0.02, on real and simulated tubes. At this share a marker that the classifier uses would
lose a dim population."""


def residual_flags(residuals: Sequence[Residual], rests_on: Sequence[str]) -> list[Flag]:
    """Flags about undercompensated and overcompensated pairs.

    Parameters
    ----------
    rests_on
        Markers that the result depends on: the panel's features.
    """
    found: dict[str, list[str]] = {}
    measured = [(one.ratio, one) for one in residuals if one.ratio is not None]
    for ratio, item in sorted(measured, key=lambda one: -abs(one[0])):
        pair = f"{item.source} into {item.target} ({ratio:+.1%})"
        if item.state == "under":
            found.setdefault("UNDERCOMPENSATED", []).append(pair)
        elif item.state == "over":
            grave = item.target in rests_on and ratio < OVERCOMPENSATED_DOUBT
            found.setdefault("OVERCOMPENSATED_MARKERS" if grave else "OVERCOMPENSATED", []).append(pair)
    flags: list[Flag] = []
    for code, pairs in sorted(found.items()):
        flags.append(flag(code, pairs=", ".join(pairs[:5])))
    return flags


def pulse_flags(pulses: Mapping[str, PulseCheck]) -> list[Flag]:
    """A message where the names of pulse height and width are exchanged."""
    exchanged = [detector for detector, check in pulses.items() if check.exchanged]
    return [flag("HEIGHT_WIDTH_EXCHANGED", detectors=" and ".join(exchanged))] if exchanged else []
