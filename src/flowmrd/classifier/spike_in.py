"""Leukaemic cells spiked in silico into a copy of a tube, and found or not by the same search."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from flowmrd.classifier.blast_prior import blast_prior, cluster_shape
from flowmrd.classifier.calibration import Calibration
from flowmrd.classifier.classification import SpikeInResult
from flowmrd.classifier.found_groups import find_groups
from flowmrd.classifier.search import Search, score_mixtures
from flowmrd.classifier.window_cells import WindowCells


def spike_in(search: Search, cells: WindowCells, calibration: Calibration) -> SpikeInResult | None:
    """Put leukaemic cells into a copy of the tube at the target level and run the same search on it.

    The source is the patient's own diagnosis cells, else cells of library leukaemias, else draws from the prior. Every
    replicate moves them by a drift of its own.
    """
    parameters = search.parameters
    expected = parameters.target * cells.denominator
    if cells.denominator == 0:
        return None
    rng = np.random.default_rng([parameters.seed, 7])
    counts, total = [], 0
    with_library = search.library.is_usable(parameters)
    source = "patient" if search.laip is not None else ("library" if with_library else "simulated")
    for replicate in range(parameters.replicates):
        count = int(rng.poisson(expected))
        extra = spike_cells(search, cells, count, rng, replicate)
        recovered, _ = spike_once(search, cells, calibration, extra)
        counts.append(recovered)
        total += count
    detected = sum(count >= parameters.detect_events for count in counts)
    return SpikeInResult(
        level=parameters.target,
        replicates=parameters.replicates,
        expected=float(expected),
        recovered=sum(counts) / parameters.replicates,
        detected_replicates=detected,
        detected=detected >= parameters.spike_detected_share * parameters.replicates,
        spiked_total=total,
        recovered_total=sum(counts),
        source=source,
        recovered_counts=tuple(counts),
    )


def spike_once(
    search: Search, cells: WindowCells, calibration: Calibration, extra: npt.NDArray[np.float32]
) -> tuple[int, int]:
    """Run the search on the tube with these cells added.

    Returns
    -------
    recovered, others
        Added cells called MRD, and cells of the tube itself called MRD.
    """
    spiked = cells.joined(extra)
    counted = find_groups(search, spiked, calibration).counted
    called = score_mixtures(spiked, [group.mixture for group in counted])[0] >= calibration.cut
    n = len(cells.values)
    return int(called[n:].sum()), int(called[:n].sum())


def spike_cells(
    search: Search, cells: WindowCells, count: int, rng: np.random.Generator, replicate: int
) -> npt.NDArray[np.float32]:
    """Cells to spike, shape (count, d), moved by a drift of their own."""
    d = len(cells.features)
    parameters = search.parameters
    drift = rng.normal(0.0, parameters.spike_drift_sd, d)
    entries = [search.laip] if search.laip is not None else list(search.library.entries)
    if search.laip is not None or search.library.is_usable(parameters):
        entry = entries[replicate % len(entries)]
        source = entry.select(cells.features).cells
        # A known patient's cells keep the staining of their tube in every second replicate and follow this tube's in
        # the others: which of the two real drift does is not known beforehand. Other patients' cells always follow.
        follow = search.laip is None or replicate % 2 == 1
        shift = cells.shift - entry.select(cells.features).staining if follow else np.zeros(d)
        picked = source[rng.integers(len(source), size=count)]
        return (picked + shift + drift).astype(np.float32)
    shape = cluster_shape(cells.features)
    prior = blast_prior(cells.features, cells.normal.normal_b + cells.shift, parameters)
    centre = rng.multivariate_normal(prior.mean[0], prior.covariance[0] - shape)
    return rng.multivariate_normal(centre, shape, size=count).astype(np.float32).reshape(count, d)
