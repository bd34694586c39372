"""Leukaemic cells spiked in silico into a copy of a tube, and found or not by the same search."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flowmrd.classifier.calibration import Calibration
from flowmrd.classifier.candidate_cells import Floats32
from flowmrd.classifier.classification import SpikedKind, SpikeInResult
from flowmrd.classifier.found_groups import find_groups
from flowmrd.classifier.leukaemia_kinds import kinds_of_leukaemia
from flowmrd.classifier.search import Search, score_mixtures
from flowmrd.classifier.window_cells import WindowCells


@dataclass(frozen=True)
class SpikeOutcome:
    """What the search made of spiked cells.

    Attributes
    ----------
    recovered
        Spiked cells that are counted as MRD.
    noticed
        Spiked cells that are counted, or lie in a group that is reported and not counted: such a group keeps a tube
        from being called negative.
    others
        Cells of the tube itself that are counted as MRD.
    """

    recovered: int
    noticed: int
    others: int


def spike_in(search: Search, cells: WindowCells, calibration: Calibration) -> SpikeInResult | None:
    """Put leukaemic cells into a copy of the tube at the target level and run the same search on it.

    A patient's own cells are spiked ``replicates`` times. Without a diagnosis tube every kind of leukaemia
    (:mod:`flowmrd.classifier.leukaemia_kinds`) is spiked once.
    """
    parameters = search.parameters
    expected = parameters.target * cells.denominator
    if cells.denominator == 0:
        return None
    rng = np.random.default_rng([parameters.seed, 7])
    kinds = kinds_of_leukaemia(search, cells)
    one_patient = search.laip is not None
    replicates = parameters.replicates if one_patient else len(kinds)
    tried: list[SpikedKind] = []
    for replicate in range(replicates):
        kind = kinds[replicate % len(kinds)]
        count = int(rng.poisson(expected))
        outcome = spike_once(search, cells, calibration, kind.draw(count, rng, parameters.spike_drift_sd))
        tried.append(SpikedKind(kind.mixture, count, outcome.recovered, outcome.noticed))
    found = sum(one.recovered for one in tried)
    least = parameters.spike_detected_share if one_patient else parameters.spike_kinds_found_share
    detected = sum(_is_found(one, parameters.detect_events, one_patient=one_patient) for one in tried)
    return SpikeInResult(
        level=parameters.target,
        replicates=replicates,
        expected=float(expected),
        recovered=found / replicates,
        detected_replicates=detected,
        detected=detected >= least * replicates,
        spiked_total=sum(one.spiked for one in tried),
        recovered_total=found,
        source=kinds[0].source,
        recovered_counts=tuple(one.recovered for one in tried),
        kinds=() if one_patient else tuple(tried),
    )


def _is_found(one: SpikedKind, least: int, *, one_patient: bool) -> bool:
    """Whether spiked cells were found: counted, or without a diagnosis tube at least put before the reviewer."""
    return one.recovered >= least or (not one_patient and one.noticed >= least)


def spike_once(search: Search, cells: WindowCells, calibration: Calibration, extra: Floats32) -> SpikeOutcome:
    """Run the search on the tube with these cells added."""
    spiked = cells.joined(extra)
    found = find_groups(search, spiked, calibration)
    n = len(cells.values)
    called = score_mixtures(spiked, [group.mixture for group in found.counted])[0] >= calibration.cut
    reported = [group.mixture for group in found.uncounted]
    seen = score_mixtures(spiked, reported)[0] >= search.parameters.group_cut if reported else called
    return SpikeOutcome(int(called[n:].sum()), int((called | seen)[n:].sum()), int(called[:n].sum()))
