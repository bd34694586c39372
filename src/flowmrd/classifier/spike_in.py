"""Leukaemic cells spiked in silico into a copy of a tube, and found or not by the same search."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from flowmrd.classifier.blast_prior import blast_prior, cluster_shape
from flowmrd.classifier.classification import SpikeInResult
from flowmrd.classifier.search import Calibration, Search, find_targets, score_targets
from flowmrd.classifier.window_cells import WindowCells

SPIKE_DRIFT_SD = 0.15
"""Drift of spiked cells against where they came from, decades per marker."""
DISTINCT_DETECTION = 0.8
"""Share of spike-ins that must be detected for the check to pass."""


def spike_in(search: Search, cells: WindowCells, calibration: Calibration) -> SpikeInResult | None:
    """Put leukaemic cells into a copy of the tube at the target level and run the same search on it.

    The source is the patient's own diagnosis cells, else cells of library leukaemias, else draws from the prior. Every
    replicate moves them by a drift of its own.
    """
    settings = search.settings
    expected = settings.target * cells.denominator
    if cells.denominator == 0:
        return None
    rng = np.random.default_rng([settings.seed, 7])
    found, detected, total = 0, 0, 0
    gains = []
    source = "patient" if search.laip is not None else ("library" if search.library.usable else "simulated")
    for replicate in range(settings.replicates):
        count = int(rng.poisson(expected))
        extra = spike_cells(search, cells, count, rng, replicate)
        recovered, _, gain = spike_once(search, cells, calibration, extra)
        gains.append(gain)
        found += recovered
        total += count
        detected += recovered >= settings.detect_events
    return SpikeInResult(
        level=settings.target,
        replicates=settings.replicates,
        expected=float(expected),
        recovered=found / settings.replicates,
        detected_replicates=detected,
        detected=detected >= DISTINCT_DETECTION * settings.replicates,
        spiked_total=total,
        recovered_total=found,
        source=source,
        gains=tuple(gains),
    )


def spike_once(
    search: Search, cells: WindowCells, calibration: Calibration, extra: npt.NDArray[np.float32]
) -> tuple[int, int, float]:
    """Run the search on the tube with these cells added.

    Returns
    -------
    recovered, others, gain
        Added cells called MRD, cells of the tube itself called MRD, and the gain of what most added cells were called.
    """
    spiked = cells.joined(extra)
    targets = find_targets(search, spiked, calibration).targets
    score, label = score_targets(spiked, targets)
    called = score >= calibration.cut
    n = len(cells.values)
    recovered = called[n:]
    gain = targets[int(np.bincount(label[n:][recovered]).argmax())].gain if recovered.any() else 0.0
    return int(recovered.sum()), int(called[:n].sum()), gain


def spike_cells(
    search: Search, cells: WindowCells, count: int, rng: np.random.Generator, replicate: int
) -> npt.NDArray[np.float32]:
    """Cells to spike, shape (count, d), moved by a drift of their own."""
    d = len(cells.features)
    drift = rng.normal(0.0, SPIKE_DRIFT_SD, d)
    entries = [search.laip] if search.laip is not None else list(search.library.entries)
    if search.laip is not None or search.library.usable:
        entry = entries[replicate % len(entries)]
        source = entry.select(cells.features).cells
        # A known patient's cells keep the staining of their tube in every second replicate and follow this tube's in
        # the others: which of the two real drift does is not known beforehand. Other patients' cells always follow.
        follow = search.laip is None or replicate % 2 == 1
        shift = cells.shift - entry.select(cells.features).staining if follow else np.zeros(d)
        picked = source[rng.integers(len(source), size=count)]
        return (picked + shift + drift).astype(np.float32)
    shape = cluster_shape(cells.features)
    prior = blast_prior(cells.features, cells.normal.normal_b + cells.shift)
    centre = rng.multivariate_normal(prior.mean[0], prior.covariance[0] - shape)
    return rng.multivariate_normal(centre, shape, size=count).astype(np.float32).reshape(count, d)
