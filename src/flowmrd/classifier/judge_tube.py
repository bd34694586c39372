"""Classifying one gated tube: its leukaemic events, and the summary for ``classification.json``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from flowmrd.classifier.carry_over import early_events, name_carry_over, not_counted
from flowmrd.classifier.classification import Classification, SpikeInResult
from flowmrd.classifier.classification_record import summarise
from flowmrd.classifier.classifier import classify_tube
from flowmrd.classifier.excluded_cells import find_excluded
from flowmrd.classifier.laip_of_tubes import LEFT_OUT, FoundLaip
from flowmrd.classifier.library import Library
from flowmrd.classifier.normal_reference import FittedReference, ReferenceModel, model_of
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.patient_laip import PatientLaip
from flowmrd.classifier.phenotype_score import NO_SCORE
from flowmrd.classifier.spike_in_raw_events import RawChain
from flowmrd.classifier.tube_candidates import TubeCandidates, candidates
from flowmrd.config import PriorTherapy, RunConfig
from flowmrd.flags import Effect, Flag, flag
from flowmrd.panel import PanelModel
from flowmrd.panel.model import ChannelKind
from flowmrd.records.base import FlagEntry
from flowmrd.records.classification import SPIKE_IN_STEPS
from flowmrd.threads import one_thread
from flowmrd.tube import Tube

__all__ = ["classifier_parameters", "classify", "lossy_steps", "markers_after"]


def markers_after(panel: PanelModel, therapies: frozenset[str]) -> frozenset[str]:
    """Markers that the panel calls unreliable after any of these therapies."""
    return frozenset(channel.marker for channel in panel.channels if set(channel.unreliable_after) & therapies)


def classifier_parameters(panel: PanelModel, config: RunConfig, therapy: PriorTherapy) -> ClassifierParameters:
    """Parameters of the classifier, as set by the configuration and the therapy before the tube."""
    return ClassifierParameters(
        background_per_million=config.laip.background_per_million,
        target=config.mrd.target,
        detect_events=config.mrd.min_detect_events,
        replicates=config.mrd.spike_in_replicates,
        unreliable=markers_after(panel, therapy.targets),
        # Steroids are part of every course of B-ALL.
        shifted=markers_after(panel, frozenset({"steroid"})),
        seed=config.laip.seed,
    )


@one_thread()
def classify(
    tube: Tube,
    reference: ReferenceModel | FittedReference,
    *,
    laip: PatientLaip | FoundLaip | None = None,
    library: Sequence[PatientLaip] = (),
    patient: str = "",
    prior_therapy: PriorTherapy | str = PriorTherapy.NONE,
    config: RunConfig | None = None,
    parameters: ClassifierParameters | None = None,
) -> Tube:
    """Find leukaemic cells in a gated tube.

    Parameters
    ----------
    tube
        A gated tube.
    reference
        Normal marrow as learned from the controls: a fitted ``NormalReference`` or its ``model_``.
    laip
        What :func:`flowmrd.find_laip` found, or the phenotype itself; None where there is no diagnosis tube. Only the
        former can say that the diagnosis tubes were searched and gave none, which is then reported.
    library
        Phenotypes of other patients; the patient's own is ignored here.
    patient
        Patient of the tube.
    prior_therapy
        Therapy before the tube: ``none``, ``cd19``, ``cd22`` or ``cd19+cd22``.
    config, parameters
        Settings; ``parameters`` replaces those that follow from ``config`` and ``prior_therapy``.

    Returns
    -------
    Tube
        With ``mrd_score``, ``mrd``, ``cluster``, ``group``, ``excluded`` (shape (n_events,); masked events are judged
        too) and ``classification``, the part of ``classification.json`` that follows from the result.

    Raises
    ------
    GateError
        If the tube lacks the gates that every panel must define.
    NotFittedError
        If the reference has not been fitted.
    """
    reference = model_of(reference)
    learned = laip if isinstance(laip, FoundLaip) else FoundLaip(laip)
    no_phenotype = isinstance(laip, FoundLaip) and laip.laip is None
    laip = learned.laip
    settings = config or RunConfig(panel=tube.panel.name, samples="")
    chosen = parameters or classifier_parameters(tube.panel, settings, PriorTherapy(prior_therapy))
    found = candidates(tube, chosen)
    # A tube that was put together by hand has no record of its thresholds, so its spiked cells start in the window.
    chain = RawChain(tube, chosen) if tube.qc is not None and tube.gates is not None else None
    result = classify_tube(
        found.cells,
        reference,
        laip=laip,
        library=Library(tuple(library)).without(patient),
        parameters=chosen,
        chain=chain,
    )
    events = columns_of_events(result, found, tube.n_events)
    clock = _clock(tube)
    judged = name_carry_over(summarise(result, found.cells, reference, laip), events.group, clock, chosen)
    carried = not_counted(judged, events.group, early_events(clock, chosen))
    mrd, cluster = events.mrd & ~carried, np.where(carried, -1, events.cluster).astype(events.cluster.dtype)
    usable = events.group[tube.analysable()]
    uncounted = tuple(
        entry.model_copy(update={"cells": int(np.count_nonzero(usable == entry.id))}) for entry in judged.uncounted
    )
    raised = lossy_steps(result.spike_in, chosen)
    excluded_events: dict[str, int] = {}
    excluded = np.zeros(tube.n_events, dtype=bool)
    if result.tube_model is not None and result.places:
        swept = find_excluded(
            tube,
            result.features,
            result.places,
            result.tube_model,
            result.cut * float(np.log(10.0)),
            chosen,
            counted=int(np.count_nonzero(mrd & tube.analysable())),
        )
        excluded_events = dict(swept.events)
        excluded[swept.rows] = True
        if swept.total >= chosen.detect_events:
            why = ", ".join(f"{events:,} as {reason}" for reason, events in swept.events.items())
            raised.append(flag("EXCLUDED_PHENOTYPE", events=swept.total, why=why))
    told = {entry.code for entry in judged.flags}
    raised += [item for item in _as_control(tube.name, reference, settings) if item.code not in told]
    raised += _of_diagnosis(learned, settings, none_found=no_phenotype)
    classified = replace(
        tube,
        mrd_score=events.score,
        mrd=mrd,
        cluster=cluster,
        group=events.group,
        excluded=excluded,
    )
    raised += _disagreement(classified, learned, chosen)
    update = {
        "seen_without_cd19": learned.seen_without_cd19,
        "uncounted": uncounted,
        "flags": (*judged.flags, *map(FlagEntry.of, raised)),
        "excluded": excluded_events,
    }
    return replace(classified, classification=judged.model_copy(update=update))


@dataclass(frozen=True)
class EventColumns:
    """What the classifier says of every event of a tube; all of shape (n_events,), as in :class:`flowmrd.Tube`."""

    score: npt.NDArray[np.float32]
    mrd: npt.NDArray[np.bool_]
    cluster: npt.NDArray[np.int32]
    group: npt.NDArray[np.int32]


def columns_of_events(result: Classification, found: TubeCandidates, n_events: int) -> EventColumns:
    """The result for the candidate cells and the off-scale cells of a tube, at the rows of its events."""
    score = np.full(n_events, NO_SCORE, dtype=np.float32)
    mrd = np.zeros(n_events, dtype=bool)
    cluster = np.full(n_events, -1, dtype=np.int32)
    group = np.full(n_events, -1, dtype=np.int32)
    if result.group is not None:
        group[found.rows] = result.group
    if result.offscale_group is not None:
        group[found.offscale_rows] = result.offscale_group
    score[found.rows], mrd[found.rows], cluster[found.rows] = result.score, result.mrd, result.cluster
    if result.offscale_score is not None and result.offscale_cluster is not None:
        rows = found.offscale_rows
        score[rows], cluster[rows] = result.offscale_score, result.offscale_cluster
        mrd[rows] = result.offscale_cluster >= 0
    return EventColumns(score, mrd, cluster, group)


def _of_diagnosis(learned: FoundLaip, config: RunConfig, *, none_found: bool) -> list[Flag]:
    """What the search in the diagnosis tubes left open: tubes were left out, or no phenotype was found."""
    raised = [entry.flag for entry in learned.flags if entry.code in LEFT_OUT]
    if none_found and all(item.effect is Effect.REMARK for item in raised):
        raised.append(flag("NO_LAIP", least=config.laip.min_diagnosis_cells))
    return raised


def _disagreement(tube: Tube, learned: FoundLaip, parameters: ClassifierParameters) -> list[Flag]:
    """A flag if the diagnosis tube that gave the phenotype holds a different share of it than was learned."""
    if learned.laip is None or learned.diagnosis != tube.name or tube.mrd is None:
        return []
    nucleated = tube.gate_or_none("nucleated")
    usable = tube.analysable() if nucleated is None else tube.analysable() & nucleated
    counted = float(np.count_nonzero(tube.mrd & usable)) / max(int(np.count_nonzero(usable)), 1)
    share = learned.laip.share
    if abs(counted - share) <= parameters.diagnosis_disagreement * max(counted, share):
        return []
    return [flag("DIAGNOSIS_DISAGREES", learned=share, counted=counted)]


def _as_control(name: str, reference: ReferenceModel, config: RunConfig) -> list[Flag]:
    """Flags of a control: that it is odd, or that the laboratory excluded it; none for other tubes."""
    if name in config.controls.excluded:
        return [flag("CONTROL_EXCLUDED", reason=config.controls.excluded[name])]
    judged = [one for one in reference.judgements if one.name == name]
    found = [reason.flag for one in judged for reason in one.reasons]
    if name in config.controls.accepted:
        found.append(flag("CONTROL_ACCEPTED", reason=config.controls.accepted[name]))
    elif found:
        left_out = any(not one.used for one in judged)
        found += [flag("CONTROL_LEFT_OUT")] if left_out else []
    return found


def _clock(tube: Tube) -> npt.NDArray[np.float32] | None:
    """Time of every event, shape (n_events,); None where the panel or the file has no time channel."""
    times = [channel.marker for channel in tube.panel.channels if channel.kind is ChannelKind.TIME]
    return next((tube.columns[name] for name in times if name in tube.columns), None)


def lossy_steps(spike: SpikeInResult | None, parameters: ClassifierParameters) -> list[Flag]:
    """A message for every step that loses more than ``spike_step_loss`` of the spiked cells.

    Where many kinds of leukaemia are tried, those that the classifier misses are named one by one (``KINDS_MISSED``).
    """
    steps = () if spike is None else tuple(one for one in spike.steps if not (spike.kinds and one.step == "counted"))
    return [
        flag(
            "SPIKE_IN_STEP_LOSES",
            step=SPIKE_IN_STEPS[one.step],
            share=1.0 - one.kept / one.spiked,
            kept=one.kept,
            spiked=one.spiked,
        )
        for one in steps
        if one.spiked and one.kept < (1.0 - parameters.spike_step_loss) * one.spiked
    ]
