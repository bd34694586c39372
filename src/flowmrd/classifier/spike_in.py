"""In-silico spike-in: leukaemic cells are added to a copy of a tube, and the same search finds them or does not."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from flowmrd.classifier.added_cells import PassedCells, StepsToClassifier
from flowmrd.classifier.calibration import Calibration
from flowmrd.classifier.candidate_cells import Bools, Floats32, OffscaleCells
from flowmrd.classifier.classification import SpikedKind, SpikeInResult, SpikeStep
from flowmrd.classifier.found_groups import FoundGroups, find_groups
from flowmrd.classifier.leukaemia_kinds import DrawnCells, kinds_of_leukaemia
from flowmrd.classifier.mixture import Floats
from flowmrd.classifier.offscale_cells import join_offscale
from flowmrd.classifier.offscale_evidence import OffscaleRates
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.searched_phenotypes import SearchedPhenotypes, score_mixtures
from flowmrd.classifier.window_cells import WindowCells
from flowmrd.units import LOGICLE_M

OffscaleQuestions = Callable[[OffscaleCells, WindowCells], frozenset[str]]
"""Names the detectors whose off-scale cells, beside the cells of a window, are a question."""


@dataclass(frozen=True)
class SpikeOutcome:
    """The fate of spiked cells in the search.

    Attributes
    ----------
    recovered
        Number of spiked cells that are counted as MRD.
    noticed
        Number of spiked cells that are counted or lie in a group that is reported and not counted; such a group keeps a
        tube from being called negative.
    others
        Number of the tube's own cells that are counted as MRD.
    """

    recovered: int
    noticed: int
    others: int


def spike_in(
    search: SearchedPhenotypes,
    cells: WindowCells,
    calibration: Calibration,
    chain: StepsToClassifier | None = None,
    unstained: Collection[str] = (),
    offscale: OffscaleCells | None = None,
    rates: OffscaleRates | None = None,
    seen: FoundGroups | None = None,
    questions: OffscaleQuestions | None = None,
) -> SpikeInResult | None:
    """Put leukaemic cells into a copy of the tube at the target level and run the same search on it.

    A patient's own cells are spiked ``replicates`` times. Where the tube itself shows the place of the phenotype they
    are put there; otherwise first where they were at diagnosis and then with drift. The tube's own cells of the
    phenotype are taken out of the copy before: the question is whether the spiked cells alone would have been seen.
    Without a diagnosis tube every kind of leukaemia (:mod:`flowmrd.classifier.leukaemia_kinds`) is spiked once, with
    drift, and counts by the share of all leukaemias that it stands for.

    Parameters
    ----------
    chain
        Takes the cells from the raw file to the classifier; without it they start in the B-lineage window.
    unstained
        Markers whose antibody this tube lacks, as its own cells show; the spiked cells lack it too.
    offscale, rates
        The tube's own off-scale cells, and the rates at which cells are off scale. A patient's cells are spiked off
        scale as often as they were at diagnosis.
    seen
        What the search found in the tube itself; None takes no cell out.
    questions
        Off-scale cells that the tube would put before the reviewer. Those of a spiked leukaemia are noticed where they
        raise such a question and the tube's own do not; None notices none.
    """
    parameters = search.parameters
    expected = parameters.target * cells.denominator
    if cells.denominator == 0 or parameters.replicates == 0:
        return None
    rng = np.random.default_rng([parameters.seed, 7])
    one_patient = search.laip is not None
    placed = None
    if one_patient and seen is not None:
        placed = _placed(seen, parameters)
        cells = cells.only(~_explained(cells, seen))
    kinds = kinds_of_leukaemia(search, cells, placed)
    replicates = parameters.replicates if one_patient else len(kinds)
    chosen = [kinds[replicate % len(kinds)] for replicate in range(replicates)]
    # Drift in any direction moves cells away from the normal cells that they resemble. A patient's leukaemia may also
    # have stayed where it was, which is the hardest case to find.
    stayed = [one_patient and (placed is not None or replicate < len(kinds)) for replicate in range(replicates)]
    drifts = [0.0 if stays else parameters.spike_drift_sd for stays in stayed]
    drawn = [
        kind.draw_whole(int(rng.poisson(expected)), rng, drift) for kind, drift in zip(chosen, drifts, strict=True)
    ]
    passed = _passed(_bright(drawn, search, cells.features, chain), cells.features, chain, unstained)
    member = np.repeat(np.arange(replicates), [len(one.values) for one in drawn])
    called, noticed = np.zeros(len(member), dtype=np.bool_), np.zeros(len(member), dtype=np.bool_)
    asked = _asked(questions, offscale, cells)
    tried: list[SpikedKind] = []
    for replicate, kind in enumerate(chosen):
        mine = member == replicate
        counted, reported = _searched(search, cells, calibration, passed, mine, offscale, rates)
        reported |= _questioned(cells, passed, mine & ~counted, offscale, questions, asked)
        called |= counted
        noticed |= counted | reported
        noted = int((counted | reported).sum())
        tried.append(SpikedKind(kind.mixture, int(mine.sum()), int(counted.sum()), noted, kind.share))
    found = sum(one.recovered for one in tried)
    hits = [_is_found(one, parameters.detect_events, one_patient=one_patient) for one in tried]
    least_spiked, least_recovered = _least_part(tried, stayed)
    return SpikeInResult(
        level=parameters.target,
        replicates=replicates,
        expected=float(expected),
        recovered=_mean_recovered(tried),
        detected_replicates=sum(hits),
        detected=_are_enough(tried, hits, parameters, one_patient=one_patient),
        spiked_total=sum(one.spiked for one in tried),
        recovered_total=found,
        source=kinds[0].source,
        recovered_counts=tuple(one.recovered for one in tried),
        least_spiked=least_spiked,
        least_recovered=least_recovered,
        kinds=() if one_patient else tuple(tried),
        steps=_steps(passed, called if one_patient else noticed, len(member)),
    )


def _placed(seen: FoundGroups, parameters: ClassifierParameters) -> Floats | None:
    """Shift of the phenotype in this tube, shape (d,), where enough counted cells show it; None where they do not."""
    fit = seen.placed
    if fit is None or (fit.score >= seen.cut).sum() < parameters.group_events_least:
        return None
    return fit.shift


def _explained(cells: WindowCells, seen: FoundGroups) -> Bools:
    """Cells of the tube that are counted, or that the phenotype explains better than normal cells do, shape (n,)."""
    mine: Bools = score_mixtures(cells, [group.mixture for group in seen.counted])[0] >= seen.cut
    for fit in seen.fits:
        mine |= np.log(max(fit.share, 1e-9)) + fit.score > 0.0
    return mine


def _least_part(tried: Sequence[SpikedKind], stayed: Sequence[bool]) -> tuple[int, int]:
    """Spiked and counted cells of the replicates that stayed, or of all, whichever has the smaller part counted.

    A sensitivity that is true on average over drifts is no promise for a leukaemia that has not moved.
    """
    parts = [
        (sum(one.spiked for one in some), sum(one.recovered for one in some))
        for some in (tried, [one for one, stays in zip(tried, stayed, strict=True) if stays])
    ]
    return min((part for part in parts if part[0]), key=lambda part: part[1] / part[0], default=(0, 0))


def _bright(
    drawn: list[DrawnCells], search: SearchedPhenotypes, features: tuple[str, ...], chain: StepsToClassifier | None
) -> list[DrawnCells]:
    """The drawn cells of a patient, with the same share off scale in a detector as at diagnosis.

    Their distance beyond the range is not known; they are put at twice the range. Cells that do not start as raw events
    pass no detector and are not off scale.
    """
    rates = {} if search.laip is None or chain is None else search.laip.offscale
    rng = np.random.default_rng([search.parameters.seed, 7, 1])
    out = []
    for one in drawn:
        values = one.values.copy()
        for name, rate in rates.items():
            if name in features:
                values[rng.random(len(values)) < rate, features.index(name)] = LOGICLE_M + np.log10(2.0)
        out.append(replace(one, values=values))
    return out


def _passed(
    drawn: list[DrawnCells], features: tuple[str, ...], chain: StepsToClassifier | None, unstained: Collection[str]
) -> PassedCells:
    """All drawn cells after the steps before the classifier, in their order."""
    values = np.concatenate([one.values for one in drawn])
    if chain is None or len(values) == 0:
        return PassedCells({}, values)
    some = [one.others for one in drawn if len(one.values)]
    shared = sorted(set.intersection(*(set(others) for others in some)))
    return chain(
        values, features, {name: np.concatenate([others[name] for others in some]) for name in shared}, unstained
    )


def _searched(
    search: SearchedPhenotypes,
    cells: WindowCells,
    calibration: Calibration,
    passed: PassedCells,
    chosen: Bools,
    own: OffscaleCells | None = None,
    rates: OffscaleRates | None = None,
) -> tuple[Bools, Bools]:
    """Masks of the chosen cells that are counted and of those in a group that is reported, shape (n,) each."""
    left = chosen if not passed.kept else chosen & passed.kept["window"]
    far = np.zeros(len(chosen), dtype=np.bool_)
    if passed.offscale_rows is not None:
        far[passed.offscale_rows] = True
    rows = np.flatnonzero(left & ~far)
    spiked = cells.joined(passed.values[rows])
    found = find_groups(search, spiked, calibration)
    counted, reported = (
        [group.mixture for group in found.counted],
        [group.mixture for group in found.uncounted if group.call == "atypical"],
    )
    out: list[Bools] = []
    for mixtures, cut in ((counted, found.cut), (reported, search.parameters.group_cut)):
        score, label = score_mixtures(spiked, mixtures)
        inside = np.zeros(len(chosen), dtype=np.bool_)
        inside[rows] = score[len(cells.values) :] >= cut
        if passed.offscale is not None and passed.offscale_rows is not None:
            mine = left[passed.offscale_rows]
            added = passed.offscale.only(mine)
            known = rates if mixtures is counted else None
            # The tube's own off-scale cells are searched together with the added ones, as they are in the file.
            both = added if own is None or known is None else own.joined(added)
            counts = np.bincount(label[score >= cut], minlength=len(mixtures)) / max(spiked.denominator, 1)
            joined = join_offscale(both, mixtures, counts.tolist(), spiked, cut, known)[1] >= 0
            inside[passed.offscale_rows[mine]] |= joined[both.n - added.n :]
        out.append(inside)
    return out[0], out[1]


def _asked(questions: OffscaleQuestions | None, offscale: OffscaleCells | None, cells: WindowCells) -> frozenset[str]:
    """Detectors whose off-scale cells are a question in the tube itself."""
    return frozenset() if questions is None or offscale is None else questions(offscale, cells)


def _questioned(
    cells: WindowCells,
    passed: PassedCells,
    chosen: Bools,
    own: OffscaleCells | None,
    questions: OffscaleQuestions | None,
    asked: frozenset[str],
) -> Bools:
    """The chosen cells beyond the range of a detector whose off-scale cells become a question by them, shape (n,).

    Parameters
    ----------
    own
        Off-scale cells of the tube itself.
    asked
        Detectors whose off-scale cells are a question without the chosen ones.
    """
    noticed = np.zeros(len(chosen), dtype=np.bool_)
    if questions is None or passed.offscale is None or passed.offscale_rows is None:
        return noticed
    mine = (chosen & passed.kept["window"])[passed.offscale_rows]
    if mine.sum() < cells.parameters.excess_least:
        return noticed
    added = passed.offscale.only(mine)
    raised = questions(added if own is None else own.joined(added), cells) - asked
    columns = [added.detectors.index(name) for name in sorted(raised)]
    noticed[passed.offscale_rows[mine]] = added.off[:, columns].any(axis=1)
    return noticed


def _steps(passed: PassedCells, found: Bools, total: int) -> tuple[SpikeStep, ...]:
    """Cells before and after every step; the last step is the classifier's count, or what the reviewer is shown."""
    steps, before = [], total
    for step, kept in (*passed.kept.items(), ("counted", found)):
        after = int(np.count_nonzero(kept))
        steps.append(SpikeStep(step, before, after))
        before = after
    return tuple(steps)


def share_found(shares: Sequence[float], found: Sequence[bool]) -> float:
    """Share of the leukaemias whose kinds were found, 0 to 1; rounded, so that errors of summation decide no limit.

    Parameters
    ----------
    shares
        Share of all leukaemias that each kind stands for.
    found
        Whether the cells of each kind were found.
    """
    whole = sum(shares)
    told = sum(share for share, hit in zip(shares, found, strict=True) if hit)
    return round(told / whole, 6) if whole > 0.0 else 0.0


def _mean_recovered(tried: Sequence[SpikedKind]) -> float:
    """Counted cells of a replicate, or of a kind by the share of the leukaemias that it stands for, on average."""
    whole = sum(one.share for one in tried)
    return sum(one.share * one.recovered for one in tried) / whole if whole else 0.0


def _is_found(one: SpikedKind, least: int, *, one_patient: bool) -> bool:
    """Whether spiked cells were found: counted, or without a diagnosis tube at least put before the reviewer."""
    return one.recovered >= least or (not one_patient and one.noticed >= least)


def _are_enough(
    tried: Sequence[SpikedKind], hits: Sequence[bool], parameters: ClassifierParameters, *, one_patient: bool
) -> bool:
    """Whether enough replicates of a patient's cells, or kinds of leukaemia for enough patients, were found."""
    if one_patient:
        return sum(hits) >= parameters.spike_detected_share * len(tried)
    return share_found([one.share for one in tried], hits) >= parameters.spike_kinds_found_share


def spike_once(
    search: SearchedPhenotypes, cells: WindowCells, calibration: Calibration, extra: Floats32
) -> SpikeOutcome:
    """Run the search on the tube with these cells added."""
    spiked = cells.joined(extra)
    found = find_groups(search, spiked, calibration)
    n = len(cells.values)
    called = score_mixtures(spiked, [group.mixture for group in found.counted])[0] >= found.cut
    reported = [group.mixture for group in found.uncounted if group.call == "atypical"]
    seen = score_mixtures(spiked, reported)[0] >= search.parameters.group_cut if reported else called
    return SpikeOutcome(int(called[n:].sum()), int((called | seen)[n:].sum()), int(called[:n].sum()))
