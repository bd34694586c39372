"""Checking the controls: a control with findings that no other control has is left out of the reference.

Every control is classified like a follow-up tube without a diagnosis tube, with a reference made without it. A control
is *odd* in any of six cases: it has a group that marrow without leukaemia hardly ever shows; it has a heavy burden;
its staining lies outside that of the others; far fewer of its events are nucleated cells; its cells are not those of
the others (:data:`flowmrd.flags.ODD_IN_CONTROLS`: an unknown population, an antibody that stained nothing); or its
values are in doubt (its matrix is not that of its acquisition) while those of most others are not.
The worst control is left out and the others are checked again, because a leukaemic tube among the controls makes the
others look odd. The laboratory has the last word: it may accept an odd control or exclude another one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from flowmrd.classifier.candidate_cells import CandidateCells
from flowmrd.classifier.classification import Classification
from flowmrd.classifier.classifier import classify_tube
from flowmrd.classifier.normal_reference import ReferenceModel, build_reference, stages_of
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.flags import ODD_IN_CONTROLS, Flag, flag
from flowmrd.records.base import FlagEntry
from flowmrd.records.references import JudgedControl, JudgedGroup


@dataclass(frozen=True)
class ControlJudgement:
    """Result of the check of one control.

    Attributes
    ----------
    used
        Whether it is part of the reference.
    by
        Who decided this: the classifier, or the laboratory, whose reason is in ``note``.
    oddity
        Ratio of its worst finding to the limit; used for sorting only.
    groups
        Its groups as in ``classification.json``: events and call.
    """

    name: str
    verdict: Literal["CONTROL_CLEAN", "CONTROL_ODD"]
    reasons: tuple[Flag, ...]
    used: bool = True
    by: Literal["classifier", "laboratory"] = "classifier"
    note: str = ""
    oddity: float = 0.0
    groups: tuple[tuple[int, str], ...] = ()

    def as_record(self) -> JudgedControl:
        """The entry for ``reference.json``."""
        return JudgedControl(
            name=self.name,
            verdict=self.verdict,
            used=self.used,
            by=self.by,
            note=self.note,
            reasons=tuple(map(FlagEntry.of, self.reasons)),
            groups=tuple(JudgedGroup(events=events, call=call) for events, call in self.groups),
        )


def build_judged_reference(
    panel: str,
    controls: list[CandidateCells],
    *,
    parameters: ClassifierParameters,
    max_cells: int = 200_000,
    provisional: bool = False,
    accepted: Mapping[str, str] | None = None,
    excluded: Mapping[str, str] | None = None,
) -> tuple[ReferenceModel, tuple[ControlJudgement, ...]]:
    """Build the reference from the controls that agree with each other; return it with the result for every control.

    Parameters
    ----------
    controls
        At least one, under different names.
    accepted, excluded
        Controls that the laboratory keeps although they are odd, or leaves out, each with its reason.

    Returns
    -------
    reference, judgements
        Judgements by name.
    """
    accepted, excluded = accepted or {}, excluded or {}

    def build(tubes: list[CandidateCells]) -> ReferenceModel:
        return build_reference(panel, tubes, parameters=parameters, max_cells=max_cells, provisional=provisional)

    kept = [tube for tube in controls if tube.name not in excluded] or list(controls)
    most = int(parameters.odd_controls_most * len(kept))
    reference = build(kept)
    left_out: dict[str, ControlJudgement] = {}
    judged: dict[str, ControlJudgement] = {}
    while not provisional and len(kept) >= parameters.controls_judged_from:
        judged = {tube.name: judge_control(tube, reference, kept, parameters) for tube in kept}
        odd = [one for one in judged.values() if one.reasons and one.name not in accepted]
        if not odd or len(left_out) >= most:
            break
        worst = max(odd, key=lambda one: (one.oddity, one.name))
        left_out[worst.name] = replace(worst, used=False)
        kept = [tube for tube in kept if tube.name != worst.name]
        reference = build(kept)
    out = tuple(
        _with_ruling(name, left_out.get(name) or judged.get(name), accepted, excluded)
        for name in sorted(tube.name for tube in controls)
    )
    return replace(reference, judgements=tuple(one.as_record() for one in out)), out


def _with_ruling(
    name: str, found: ControlJudgement | None, accepted: Mapping[str, str], excluded: Mapping[str, str]
) -> ControlJudgement:
    """The judgement of a control after the laboratory's decision about it."""
    if name in excluded:
        said = flag("CONTROL_EXCLUDED", reason=excluded[name])
        return ControlJudgement(name, "CONTROL_ODD", (said,), used=False, by="laboratory", note=excluded[name])
    judged = found or ControlJudgement(name, "CONTROL_CLEAN", ())
    return replace(judged, by="laboratory", note=accepted[name]) if name in accepted else judged


def judge_control(
    tube: CandidateCells, reference: ReferenceModel, others: list[CandidateCells], parameters: ClassifierParameters
) -> ControlJudgement:
    """Judge one control by the fold of the reference that it did not help to build.

    Parameters
    ----------
    others
        All controls of the reference.
    """
    untreated = replace(parameters, unreliable=frozenset[str](), replicates=0)
    own = next((record for record in reference.controls if record.name == tube.name), None)
    rest = [one for one in others if one.name != tube.name]
    if own is not None and rest:
        # The levels of normal populations come from the other controls, so that leukaemia in a control does not count
        # as normal.
        names, centres = stages_of(rest, reference.folds[own.fold], parameters)
        reference = replace(reference, stage_names=names, stage_centres=centres)
    result = classify_tube(tube, reference, laip=None, library=None, parameters=untreated)
    found = list(_odd_groups(result, tube, parameters))
    if result.novel:
        found.append((flag("CONTROL_STAINING", why=result.novelty_reason), result.novelty))
    found += [(item, 1.0) for item in result.flags if item.code in ODD_IN_CONTROLS]
    if sum(bool(one.doubts) for one in others) < len(others) / 2:
        found += [(item, 1.0) for item in tube.doubts]
    lost = lost_cells(tube, others, parameters)
    if lost is not None:
        share, usual = lost
        found.append((flag("CONTROL_CELLS_LOST", share=share, usual=usual), 1.0 + usual - share))
    return ControlJudgement(
        tube.name,
        "CONTROL_ODD" if found else "CONTROL_CLEAN",
        tuple(reason for reason, _ in found),
        oddity=max((oddity for _, oddity in found), default=0.0),
        groups=(
            *((int((result.mrd & (result.cluster == i)).sum()), "counted") for i in range(len(result.counted))),
            *((round(group.events), group.call) for group in result.uncounted),
        ),
    )


def _odd_groups(
    result: Classification, tube: CandidateCells, parameters: ClassifierParameters
) -> Iterator[tuple[Flag, float]]:
    """Groups that marrow without leukaemia hardly ever shows, each as a reason and its ratio to the limit."""
    for number, group in enumerate(result.counted):
        events = int((result.mrd & (result.cluster == number)).sum())
        rate = group.evidence.false_groups
        if group.source == "burden":
            share = events / max(tube.denominator, 1)
            yield flag("CONTROL_LEUKAEMIC", events=events, share=share), 100.0 + share
        elif events >= parameters.group_events_least and rate is not None:
            reason = flag("CONTROL_GROUP", events=events, tubes=1.0 / max(rate, 1e-6))
            yield reason, float(np.log(max(rate, 1e-12)) / np.log(parameters.false_groups_counted))
    for uncounted in result.uncounted:
        rate = uncounted.evidence.false_groups
        odd = uncounted.why in {"like_controls", "beyond_leukaemia", "few_cells"}
        if odd and rate is not None and rate < parameters.false_groups_odd:
            reason = flag("CONTROL_GROUP", events=round(uncounted.events), tubes=1.0 / max(rate, 1e-6))
            yield reason, float(np.log(rate) / np.log(parameters.false_groups_odd))


def lost_cells(
    tube: CandidateCells, controls: list[CandidateCells], parameters: ClassifierParameters
) -> tuple[float, float] | None:
    """Nucleated share of a control's events and the others' median, where it is far below all of them; else None.

    A loss of events between file and denominator is technical; the other controls show the usual share."""
    if tube.events == 0:
        return None
    shares = [one.denominator / one.events for one in controls if one.name != tube.name and one.events > 0]
    if not shares:
        return None
    own, usual = tube.denominator / tube.events, float(np.median(shares))
    return (own, usual) if own < parameters.lost_cells_ratio * min(shares) else None
