"""Content of ``qc.json`` besides flags: residual spillover, matrix, stability over time, medians."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from flowmrd.preprocess.compensation.residuals import Residual, measure_residuals
from flowmrd.preprocess.quality.masks import MaskSet
from flowmrd.preprocess.quality.offscale import OffScale
from flowmrd.preprocess.quality.sampling import sampled_rows
from flowmrd.preprocess.quality.time import LIMIT
from flowmrd.preprocess.scaling import CompensatedTube, fluorescence
from flowmrd.preprocess.transform import ChannelScale
from flowmrd.records.quality import CompensationEntry, DriftEntry, OffScaleEntry, StretchEntry, TimeEntry

__all__ = [
    "SAMPLED_EVENTS",
    "channel_medians",
    "compensation_record",
    "offscale_record",
    "residual_spillover",
    "time_record",
]

SAMPLED_EVENTS: Final = 50_000
"""Events that enter estimates which need no more; evenly spaced over the file."""

Float32 = npt.NDArray[np.float32]


def residual_spillover(
    tube: CompensatedTube, scales: Mapping[str, ChannelScale], *, offscale: npt.NDArray[np.bool_]
) -> list[Residual]:
    """Residual spillover among the compensated columns, from about 30,000 evenly spaced events.

    Parameters
    ----------
    offscale
        Events that are off scale in any detector, shape (n_events,) or (0,). They are left out, because their true
        signal is unknown.
    """
    if tube.spillover is None:
        return []
    names = [name for name in fluorescence(tube) if name not in tube.uncompensated]
    if not names:
        return []
    stride = max(len(tube.columns[names[0]]) // 30_000, 1)
    thinned = {name: tube.columns[name][::stride].astype(np.float64) for name in names}
    usable = np.logical_and.reduce([np.isfinite(values) for values in thinned.values()])
    if len(offscale):
        usable &= ~offscale[::stride]
    thinned = {name: values[usable] for name, values in thinned.items()}
    return measure_residuals(thinned, {name: scales[name].T for name in names})


def compensation_record(tube: CompensatedTube, residuals: Sequence[Residual]) -> CompensationEntry:
    """The matrix that was applied and the residual spillover, as in ``qc.json``."""
    matrix = tube.spillover
    return CompensationEntry(
        source="none" if matrix is None else matrix.source,
        condition=None if matrix is None else matrix.condition,
        notes=() if matrix is None else tuple(matrix.notes),
        channels=() if matrix is None else tuple(matrix.names),
        matrix=() if matrix is None else matrix.matrix.tolist(),
        uncompensated=tube.uncompensated,
        residuals=tuple(one.as_record() for one in residuals),
    )


def time_record(masks: MaskSet) -> TimeEntry:
    """Stability over the acquisition by stretch, as in ``qc.json``."""
    time = masks.time
    names = list(time.medians)
    bins = []
    for i in range(len(time.edges) - 1 if len(time.mask) else 0):
        bins.append(
            StretchEntry(
                first=int(time.edges[i]),
                last=int(time.edges[i + 1]) - 1,
                seconds=round(float(time.seconds[i]), 3) if len(time.seconds) else None,
                rate=round(float(time.rate[i]), 2) if len(time.rate) else None,
                score=round(float(time.score[i]), 2),
                worst=time.worst[i],
                shift=round(float(time.shift[i]), 4),
                shifted=bool(time.shifted[i]),
                bad=bool(time.bad[i]),
                medians=tuple(_rounded(time.medians[name][i]) for name in names),
            )
        )
    return TimeEntry(
        checked=time.checked,
        reason=time.reason,
        limit=LIMIT,
        channels=tuple(names),
        steps_back=time.time_steps_back,
        bins=tuple(bins),
        drift=tuple(DriftEntry(channel=name, rho=rho, range=extent) for name, (rho, extent) in time.drift.items()),
    )


def offscale_record(
    offscale: OffScale, censored: npt.NDArray[np.uint32], bits: Sequence[str]
) -> dict[str, OffScaleEntry]:
    """By detector: where its scale ends and how many events are off scale or censored, as in ``qc.json``.

    Parameters
    ----------
    censored
        Shape (n_events,): bit i is set where the channel ``bits[i]`` is not measured.
    """
    held = censored[censored != 0]
    counts = {name: int(np.count_nonzero(held >> np.uint32(place) & np.uint32(1))) for place, name in enumerate(bits)}
    return {name: top.as_record(counts.get(name)) for name, top in offscale.tops.items()}


def channel_medians(
    columns: Mapping[str, Float32], scales: Mapping[str, ChannelScale], masks: MaskSet
) -> dict[str, float | None]:
    """Channel to its median on the 0..1 scale over analysable single cells; None where there are none.

    Parameters
    ----------
    columns
        Columns on the 0..1 scale, each of shape (n_events,).
    """
    cells = masks.analysable(with_time=True) & ~masks.masks["doublet"] & ~masks.masks["debris"]
    chosen = sampled_rows(len(cells), cells, SAMPLED_EVENTS)
    return {name: float(np.median(columns[name][chosen])) if len(chosen) else None for name in scales}


def _rounded(value: float) -> float | None:
    return None if not np.isfinite(value) else round(float(value), 4)
