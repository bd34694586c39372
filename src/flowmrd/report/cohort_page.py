"""The page of all samples, and the table of all their numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from markupsafe import Markup

from flowmrd import __version__
from flowmrd.flags import Effect, Flag, flag
from flowmrd.mrd.result import MrdResult
from flowmrd.mrd.specimen import SpecimenResult
from flowmrd.records.control_limits import ControlLimitsFile
from flowmrd.report import formatting, svg, verdict
from flowmrd.report.batch import (
    BatchTube,
    carry_over,
    channel_charts,
    in_order,
    recorded_voltages,
    undated,
    voltage_changes,
)
from flowmrd.report.guidance import BY_CODE
from flowmrd.report.language import ENGLISH, Language
from flowmrd.report.levey_jennings import RULES
from flowmrd.report.page import read_asset, render_page

MAX_PANELS_OF_CHARTS: Final = 3
"""Panels whose charts are drawn; more are listed by their findings only, to keep the page small."""

REVIEW_WORDS: Final = {
    "not_reviewed": ("none", "not reviewed"),
    "signed_once": ("info", "first signature"),
    "accepted": ("pass", "accepted"),
    "rejected": ("fail", "rejected"),
    "commented": ("info", "commented"),
    "void": ("warn", "void"),
}

COUNTS: Final = ("total", "analysable", "singlets", "nucleated", "mononuclear", "b_lineage", "mrd_events")


@dataclass(frozen=True)
class CohortTube:
    """One sample of the cohort.

    Attributes
    ----------
    tube
        Its result and quality record; ``tube.result`` is ``None`` where the sample has none.
    review
        State of its review, and why a signature is void.
    """

    tube: BatchTube
    timepoint: str
    batch: str = ""
    problem: str = ""
    review: str = "not_reviewed"
    review_reason: str = ""


@dataclass
class CohortPage:
    """The rendered page and the table."""

    html: str
    table: str = field(repr=False)


def build_cohort(
    members: Sequence[CohortTube],
    *,
    review_problems: Sequence[str],
    laboratory: str,
    language: Language = ENGLISH,
    has_trial: bool,
    specimens: Sequence[SpecimenResult] = (),
    control_limits: ControlLimitsFile | None = None,
    controls: Sequence[Mapping[str, object]] = (),
) -> CohortPage:
    """Render the index of a run."""
    tubes = [member.tube for member in members]
    ordered, order_source = in_order([tube for tube in tubes if tube.result is not None])
    carried = carry_over(ordered)
    suspects = {entry.sample for entry in carried}
    charts = channel_charts(ordered, locked=control_limits)
    panels = list(dict.fromkeys(entry.panel for entry in charts))
    lines = _sparklines(members)
    rows = [_row(member, lines.get(member.tube.patient), suspects) for member in members]
    html = render_page(
        "cohort.html.j2",
        {
            "rows": rows,
            "flag_steps": _flag_steps(rows),
            "specimens": [_specimen_row(specimen) for specimen in specimens],
            "tiles": _tiles(members),
            "verdicts": [(kind.value, short) for kind, (_, short) in verdict.SHORT.items()],
            "reviews": [(key, text) for key, (_, text) in REVIEW_WORDS.items()],
            "roles": sorted({tube.role for tube in tubes}),
            "charts": [entry for entry in charts if entry.panel in panels[:MAX_PANELS_OF_CHARTS]],
            "chart_findings": [
                f"{entry.channel} ({entry.panel}): {sample} breaks {', '.join(rules)}"
                for entry in charts
                for sample, rules in entry.broken
            ],
            "rules": RULES,
            "controls": controls,
            "n_panels": len(panels),
            "order_source": order_source,
            "all_voltages": recorded_voltages(tubes),
            "voltages": [(row.panel, row.channel, row.usual, row.other) for row in voltage_changes(tubes)],
            "carry_over": carried,
            "undated": undated(ordered),
            "review_problems": review_problems,
            "laboratory": laboratory,
            "has_trial": has_trial,
            "version": __version__,
        },
        styles=[read_asset("cohort.css")],
        language=language,
    )
    return CohortPage(html, as_table(members, suspects))


def _row(member: CohortTube, line: Markup | None, suspects: set[str]) -> dict[str, object]:
    tube, result = member.tube, member.tube.result
    flags = _flags(tube, suspects)
    tone, text = REVIEW_WORDS.get(member.review, ("warn", member.review))
    row: dict[str, object] = {
        "sample": tube.sample,
        "link": f"../samples/{quote(tube.sample)}/report.html",
        "patient": tube.patient,
        "role": tube.role,
        "timepoint": member.timepoint,
        "batch": member.batch,
        "flags": flags,
        "line": line,
        "review": (tone, text, member.review_reason),
        "review_key": member.review,
        "problem": member.problem,
        "done": result is not None,
    }
    if result is None:
        return row | {"verdict": ("fail", "no result"), "verdict_key": "no_result"}
    kind = result.verdict.class_
    return row | {
        "verdict": ("none", "Rejected at review") if member.review == "rejected" else verdict.short(result),
        "verdict_key": kind.value,
        "fraction": result.mrd.fraction,
        "level": verdict.level(result),
        "interval": verdict.span(result.mrd.ci95) if result.mrd.detected else _events(result.counts.mrd_events),
        "events": result.counts.mrd_events,
        "denominator": result.denominator_count,
        "lod": result.sensitivity.lod95,
        # The tube's own page says it at length; this column has room for two words.
        "sensitivity": ("warn", "see reasons") if (found := verdict.sensitivity_state(result))[0] == "warn" else found,
        "is_result": verdict.is_result(result),
    }


def _events(number: int) -> str:
    """What stands for the interval where nothing was detected."""
    return f"{formatting.count(number)} event{'' if number == 1 else 's'}"


def _specimen_row(specimen: SpecimenResult) -> dict[str, object]:
    """The page's row about several tubes of one specimen."""
    limits, more = specimen.sensitivity, specimen.more_tubes_needed
    needed = "not reachable by more tubes" if more is None else "reached" if more == 0 else f"{more} more"
    return {
        "name": specimen.specimen_id,
        "verdict": verdict.SHORT[specimen.verdict.class_],
        "reported": specimen.mrd.reported,
        "interval": verdict.span(specimen.mrd.ci95) if specimen.mrd.detected else _events(specimen.mrd_events),
        "events": specimen.mrd_events,
        "denominator": specimen.denominator,
        "lod": limits.lod95,
        "target": limits.target,
        "needed": needed,
        "question": specimen.verdict.question or "",
        "reasons": [reason.message for reason in specimen.verdict.reasons[:3]],
        "probability": specimen.same_rate_probability,
        "tubes": [
            (
                tube.sample,
                f"../samples/{quote(tube.sample)}/report.html",
                tube.mrd_events,
                tube.denominator,
                tube.counted,
            )
            for tube in specimen.tubes
        ],
    }


def _flags(tube: BatchTube, suspects: set[str]) -> list[tuple[str, str, str]]:
    """(tone, code, message) of everything that a reviewer should see; minor remarks are only in the report."""
    result = tube.result
    usual = {"BELOW_DETECTION", "QUANTIFIED", "CONTROL_LIKE_OTHERS"}
    flags = [] if result is None else [reason for reason in result.verdict.reasons if reason.code not in usual]
    flags += [
        item
        for record in (() if tube.qc is None else tube.qc.flags)
        if (item := Flag(record.code, record.message)).kind.tone != "info"
    ]
    if result is not None and tube.qc is None:
        flags.append(flag("QC_MISSING"))
    if tube.sample in suspects:
        flags.append(flag("CARRY_OVER"))
    found = [("fail" if item.effect is Effect.FAILURE else "warn", item.code, item.message) for item in flags]
    return list({entry[1]: entry for entry in reversed(found)}.values())[::-1]


def _flag_steps(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, int, str]]:
    """(code, number of tubes, what to do) of the flags of follow-up tubes, most frequent first."""
    times = Counter(code for row in rows if row["role"] == "followup" for _, code, _ in row["flags"])
    return [(code, n, BY_CODE[code].text) for code, n in times.most_common() if code in BY_CODE]


def _sparklines(members: Sequence[CohortTube]) -> dict[str, Markup]:
    """One line per patient over the samples, in the order of the sheet; none for a single tube."""
    lines: dict[str, Markup] = {}
    for patient in dict.fromkeys(member.tube.patient for member in members):
        results = [
            member.tube.result
            for member in members
            if member.tube.patient == patient and member.tube.role in {"diagnosis", "followup"} and member.tube.result
        ]
        if len(results) < 2:
            continue
        lines[patient] = svg.sparkline(
            [result.mrd.fraction for result in results],
            [result.mrd.detected for result in results],
            target=results[0].sensitivity.target,
        )
    return lines


def _tiles(members: Sequence[CohortTube]) -> list[tuple[str, str, int]]:
    """(tone, words, count) of the follow-up tubes by verdict, of what has no result, and of what awaits review."""
    follow = [member for member in members if member.tube.role == "followup"]
    tiles = []
    for kind, (tone, short) in verdict.SHORT.items():
        n = sum(
            member.tube.result is not None and member.tube.result.verdict.class_ is kind and member.review != "rejected"
            for member in follow
        )
        if n:
            tiles.append((tone, short, n))
    rejected = sum(member.review == "rejected" for member in follow)
    if rejected:
        tiles.append(("none", "rejected at review", rejected))
    missing = sum(member.tube.result is None for member in members)
    if missing:
        tiles.append(("fail", "no result (all tubes)", missing))
    waiting = sum(
        member.tube.result is not None and member.review in {"not_reviewed", "void", "signed_once", "commented"}
        for member in follow
    )
    tiles.append(("info", "follow-ups awaiting review", waiting))
    return tiles


def as_table(members: Sequence[CohortTube], suspects: set[str]) -> str:
    """``mrd.tsv``: one row per sample, with every single number of ``mrd.json``."""
    header = [
        "sample", "patient", "role", "timepoint", "batch", "panel", "verdict", "mrd_negative", "denominator",
        *COUNTS, "fraction", "percent", "log10", "ci95_low", "ci95_high", "fraction_without_time_mask", "target",
        "background_per_million", "lob_events", "lod_nominal", "lod95", "loq", "sensitivity_achieved", "events_needed",
        "spike_in_level", "spike_in_recovery", "spike_in_detected", "laip_mode", "cd19_status", "cd19_percent_positive",
        "cd22_status", "cd22_percent_positive", "reasons", "flags", "review", "problem", "fcs_sha256", "config_sha256",
        "panel_sha256", "reference_sha256", "laip_sha256", "flowmrd_version", "detected", "reported", "question",
    ]  # fmt: skip
    lines = ["\t".join(header)]
    for member in members:
        values = _values(member, suspects)
        lines.append("\t".join(_cell(values.get(name)) for name in header))
    return "\n".join(lines) + "\n"


def _values(member: CohortTube, suspects: set[str]) -> Mapping[str, object]:
    tube, result = member.tube, member.tube.result
    values: dict[str, object] = {
        "sample": tube.sample,
        "patient": tube.patient,
        "role": tube.role,
        "timepoint": member.timepoint,
        "batch": member.batch,
        "panel": tube.panel,
        "flags": ",".join(code for _, code, _ in _flags(tube, suspects)),
        "review": member.review,
        "problem": member.problem,
        "verdict": "NO_RESULT",
    }
    return values if result is None else values | _result_values(result)


def _result_values(result: MrdResult) -> dict[str, object]:
    facts, spike = result.sensitivity, result.sensitivity.spike_in
    low, high = result.mrd.ci95 or (None, None)
    values: dict[str, object] = {name: getattr(result.counts, name) for name in COUNTS}
    values |= {
        "verdict": result.verdict.class_.value,
        "mrd_negative": result.verdict.mrd_negative,
        "denominator": result.denominator,
        "fraction": result.mrd.fraction,
        "percent": result.mrd.percent,
        "detected": result.mrd.detected,
        "reported": result.mrd.reported,
        "question": result.verdict.question,
        "log10": result.mrd.log10,
        "ci95_low": low,
        "ci95_high": high,
        "fraction_without_time_mask": result.mrd_without_time_mask.fraction,
        "target": facts.target,
        "background_per_million": facts.background_per_million,
        "lob_events": facts.lob_events,
        "lod_nominal": facts.lod_nominal,
        "lod95": facts.lod95,
        "loq": facts.loq,
        "sensitivity_achieved": facts.achieved,
        "events_needed": facts.events_needed,
        "laip_mode": result.laip.mode,
        "reasons": ",".join(reason.code for reason in result.verdict.reasons),
    }
    if spike is not None:
        values |= {
            "spike_in_level": spike.level,
            "spike_in_recovery": spike.recovery,
            "spike_in_detected": spike.detected,
        }
    for name, target in result.targets.items():
        values[f"{name.lower()}_status"] = target.status
        values[f"{name.lower()}_percent_positive"] = target.percent_positive
    return values | result.provenance.model_dump()


def _cell(value: Any) -> str:
    """A value as it stands in the table: empty for unknown, ``true`` / ``false``, shortest exact number."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else " ".join(str(value).split())
