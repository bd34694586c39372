"""Counts, intervals, limits, the sensitivity check and the verdict of one judged tube."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from flowmrd import __version__
from flowmrd.config import RunConfig, Sample
from flowmrd.config.sheet import Role
from flowmrd.errors import ArtefactError
from flowmrd.flags import Flag, flag
from flowmrd.gating.b_lineage import is_present
from flowmrd.gating.haemodilution import STAGES, assess_regeneration
from flowmrd.gating.targets import MIN_CELLS, TARGETS, assess_targets, positive_shape
from flowmrd.mrd.calls import ReviewerCalls, called_groups, flags_of_calls, questions_left, with_calls
from flowmrd.mrd.counts import COUNTED_GATES, count_events, level
from flowmrd.mrd.groups import groups_of, questions
from flowmrd.mrd.reasons import covered_blind_spots, sort_flags
from flowmrd.mrd.reported import report_level
from flowmrd.mrd.result import (
    CellGroup,
    Cluster,
    Counts,
    Laip,
    MrdResult,
    Provenance,
    Regeneration,
    Target,
)
from flowmrd.mrd.sensitivity import (
    background_rate,
    judge_spike_in,
    partial_sensitivity,
    recovery_of_patient,
    sensitivity,
    tube_limits,
)
from flowmrd.mrd.verdict import PHENOTYPE_UNKNOWN, Evidence, decide
from flowmrd.records.classification import ClassificationFile, TubeJudgement
from flowmrd.records.gates import GatesFile
from flowmrd.records.ingest import IngestFile
from flowmrd.tube import Tube
from flowmrd.tube.labels import as_stained

__all__ = ["Digests", "quantify"]


Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Digests:
    """SHA-256 of everything that determined the result, besides the FCS file.

    Attributes
    ----------
    config, panel
        Of the configuration's keys that change a result, and of the panel file.
    reference, laip
        Of the normal reference and of the patient's phenotype; None without one.
    """

    config: str = ""
    panel: str = ""
    reference: str | None = None
    laip: str | None = None


@dataclass(frozen=True)
class _OnlyStored:
    """Facts that only the stored classification of a run holds; all None in a notebook."""

    library_sha256: str | None = None
    decisions_sha256: str | None = None


def quantify(
    tube: Tube,
    config: RunConfig | None = None,
    *,
    sample: Sample | None = None,
    digests: Digests | None = None,
    calls: ReviewerCalls | None = None,
) -> MrdResult:
    """Compute counts, intervals, limits and verdict of a judged tube.

    Parameters
    ----------
    tube
        After :func:`flowmrd.classifier.judge_tube.classify`, with ``facts``, ``qc``, ``gates`` and ``classification``.
    config
        Counting rules and the reportable denominator; the defaults where absent.
    sample
        The tube's row of the sheet: its patient, its role, and therapy before it. Where absent, the tube counts as a
        follow-up tube of a patient with the tube's name.
    digests
        Digests for the provenance of the result; empty where absent, as in a notebook.
    calls
        Reviewers' calls of the tube's groups. They decide which cells count, and the verdict names the reviewer.

    Returns
    -------
    MrdResult
        Everything that ``mrd.json`` holds: counts in events, fractions of the denominator with their exact Poisson
        intervals (95 %), limits, verdict and groups.

    Raises
    ------
    ArtefactError
        If the tube has not been through the steps before.
    """
    config = config or RunConfig(panel=tube.panel.name, samples="")
    sample = sample or Sample(tube.name, tube.name, Role.FOLLOWUP, Path(tube.where))
    digests = digests or Digests()
    qc, gates, classification = tube.qc, tube.gates, tube.classification
    if qc is None or gates is None or classification is None or tube.mrd is None:
        raise ArtefactError(
            f"tube {tube.name}",
            found="a tube that has not been preprocessed, gated and classified",
            expected="all three",
            todo="run these steps first",
        )
    stored = _stored(classification)
    calls = calls or ReviewerCalls()
    tube = with_calls(tube, calls)
    assert tube.mrd is not None  # noqa: S101 - looked at above
    counts, without_time = _count(tube, tube.mrd, config)
    chosen = config.mrd.denominator
    denominator = getattr(counts, chosen) or 0
    found = level(counts.mrd_events, denominator)
    background = background_rate(classification.background, counts.nucleated or 0, denominator)
    limits = None if background is None else tube_limits(denominator, background, config.mrd)
    spike_in = judge_spike_in(classification.spike_in, limits, config.mrd.power)
    groups = called_groups(groups_of(classification), calls, _cells_of_groups(tube, calls, config))
    by_classifier = [entry.flag for entry in classification.flags]
    raised = questions_left(by_classifier, classification, calls)
    least = None if limits is None else limits.detect_events
    of_calls = flags_of_calls(groups, calls, classification, counts.mrd_events, least)
    sorted_flags = sort_flags(
        [*_earlier_flags(tube), *raised, *questions(groups, raised), *of_calls],
        excused=covered_blind_spots(classification.seen_without_cd19),
        role=sample.role.value,
    )
    if counts.total < config.quality.min_events:
        few = flag("TOO_FEW_EVENTS_ACQUIRED", events=counts.total, least=config.quality.min_events)
        sorted_flags.failures += [] if few in sorted_flags.failures else [few]
    evidence = Evidence(
        mrd_events=counts.mrd_events,
        denominator=denominator,
        interval=found.ci95,
        limits=limits,
        target=config.mrd.target,
        spike_in_detected=None if spike_in is None else spike_in.detected,
        kinds_missed=partial_sensitivity(spike_in),
        recovery=recovery_of_patient(spike_in),
        role=sample.role.value,
        laip_found=classification.mode == "patient",
        phenotype_unknown=classification.mode in PHENOTYPE_UNKNOWN,
        counted_by_reviewer=calls.has_leukaemia,
        **vars(sorted_flags),
    )
    verdict = decide(evidence)
    return MrdResult(
        sample=sample.sample,
        patient=sample.patient,
        role=sample.role.value,
        timepoint=sample.timepoint,
        panel=tube.panel.name,
        counts=counts,
        denominator=chosen,
        mrd=report_level(found, verdict.class_, limits, counts.mrd_events),
        mrd_without_time_mask=level(without_time.mrd_events, getattr(without_time, chosen) or 0),
        sensitivity=sensitivity(
            limits,
            background,
            spike_in,
            config.mrd,
            overruled="PHENOTYPE_OVERRULED" in {item.code for item in of_calls},
        ),
        verdict=verdict,
        groups=groups,
        laip=_laip(classification, groups, calls),
        targets=_targets(tube, tube.mrd, gates, config, sample) or gates.targets,
        targets_b_lineage=gates.targets,
        regeneration=_regeneration(tube, tube.mrd, config),
        provenance=Provenance(
            fcs_sha256=_sha256(tube),
            config_sha256=digests.config,
            panel_sha256=digests.panel,
            reference_sha256=digests.reference,
            laip_sha256=digests.laip,
            library_sha256=stored.library_sha256,
            decisions_sha256=stored.decisions_sha256,
            review_sha256=calls.sha256,
            automatic_sha256=calls.automatic_sha256 if calls else None,
            flowmrd_version=__version__,
        ),
    )


def _earlier_flags(tube: Tube) -> list[Flag]:
    """What reading, preprocessing and gating said."""
    findings = tube.facts.findings if isinstance(tube.facts, IngestFile) else ()
    of_quality = () if tube.qc is None else tube.qc.flags
    of_gates = () if tube.gates is None else tube.gates.flags
    return [entry.flag for entry in (*findings, *of_quality, *of_gates)]


def _stored(judged: TubeJudgement) -> _OnlyStored:
    if not isinstance(judged, ClassificationFile):
        return _OnlyStored()
    return _OnlyStored(judged.library_sha256, judged.decisions_sha256)


def _sha256(tube: Tube) -> str:
    return tube.facts.sha256 if isinstance(tube.facts, IngestFile) else ""


def _count(tube: Tube, mrd: Mask, config: RunConfig) -> tuple[Counts, Counts]:
    """Counts as configured, and the same with events of unstable stretches of the run left in."""
    members = {name: tube.gate_or_none(name) for name in COUNTED_GATES}
    without_time = config.quality.model_copy(update={"time_mask": False})
    return (
        count_events(tube.analysable(config.quality), members, mrd),
        count_events(tube.analysable(without_time), members, mrd),
    )


def _targets(tube: Tube, mrd: Mask, gates: GatesFile, config: RunConfig, sample: Sample) -> dict[str, Target]:
    """State of CD19 and CD22 on the MRD cells; empty where there are too few of them to say anything."""
    cells = mrd & tube.analysable(config.quality)
    if np.count_nonzero(cells) < MIN_CELLS or not gates.gates:
        return {}
    return assess_targets(
        tube.measured,
        cells,
        {marker: positive_shape(gates.gates, marker) for marker in TARGETS},
        as_stained(tube.panel, tube.facts.channels),
        population="mrd",
        scales=tube.scales,
        normal=gates.normal_b,
        prior_therapy=sample.prior_therapy.value,
    )


def _regeneration(tube: Tube, mrd: Mask, config: RunConfig) -> Regeneration | None:
    """Haematogone spectrum without the events called MRD."""
    usable = tube.analysable(config.quality)
    nucleated = tube.gate_or_none("nucleated")
    if nucleated is None:
        return None
    normal = usable & ~mrd
    inside = {name: tube.gate_or_none(name) for name in STAGES}
    stages = {name: None if bits is None else int(np.count_nonzero(bits & normal)) for name, bits in inside.items()}
    others = {} if tube.gates is None else {one.population: one.others_at_most for one in tube.gates.b_lineage.stages}
    few = [
        name
        for name, count in stages.items()
        if count is not None and (most := others.get(name)) is not None and not is_present(count, most)
    ]
    cells = int(np.count_nonzero(nucleated & usable))
    found = assess_regeneration(stages, cells, too_few=few, leukaemic_left_out=True)
    return Regeneration(verdict=found.verdict, statement=found.statement)


def _cells_of_groups(tube: Tube, calls: ReviewerCalls, config: RunConfig) -> dict[int, int]:
    """Analysable cells of every group that a reviewer has called."""
    if not calls.calls or tube.group is None:
        return {}
    usable = tube.group[tube.analysable(config.quality)]
    return {one.group: int(np.count_nonzero(usable == one.group)) for one in calls.calls}


def _laip(judged: TubeJudgement, groups: Sequence[CellGroup], calls: ReviewerCalls) -> Laip:
    clusters = tuple(
        Cluster(
            id=one.id,
            events=one.events,
            nearest_normal=one.nearest_normal,
            markers=one.markers,
            medians=one.medians,
        )
        for one in judged.clusters
    )
    if calls.calls:
        called = {one.group for one in calls.calls}
        clusters = tuple(one for one in clusters if one.id not in called)
        clusters += tuple(
            Cluster(
                id=group.cluster,
                events=group.events,
                nearest_normal=group.nearest_normal,
                markers=group.markers,
                medians=group.medians,
            )
            for group in groups
            if group.cluster in called and group.call == "counted" and group.cluster is not None
        )
    return Laip(
        mode=judged.mode,
        markers=judged.markers,
        clusters=clusters,
    )
