"""The parts of a page that a review changes: the answer, the next steps and the signatures.

Importing a review must not compute a tube again, so these parts stand between markers in the page and are replaced. The
page is then identical, byte for byte, to one that was built from the start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from jinja2 import Environment

from flowmrd.errors import InternalError
from flowmrd.mrd.result import MrdResult
from flowmrd.report import formatting, level_scale, verdict
from flowmrd.report.language import ENGLISH, Language
from flowmrd.report.page import environment
from flowmrd.report.report_file import StepRow

PARTS: Final = {"answer": "verdict.html.j2", "next": "next.html.j2", "signatures": "signatures.html.j2"}
"""Marker and template of each part."""


def context_of(
    result: MrdResult,
    *,
    notes: Sequence[Sequence[str]],
    steps: Sequence[StepRow],
    signatures: Sequence[Mapping[str, object]],
    signature_problem: str | None,
    required: int,
) -> dict[str, object]:
    """Names that the templates of these parts use.

    Parameters
    ----------
    notes
        (sentence, place) of further facts that the signer must see (:func:`flowmrd.report.verdict.banner_notes`).
    steps
        What to do next, before anybody signed.
    required
        Number of different persons who must accept the result.
    """
    review, rejected = verdict.review_state(signatures, required), verdict.rejected(signatures)
    return {
        "result": result,
        "wording": verdict.wording(result),
        "trial": verdict.trial_flag(result),
        "is_result": verdict.is_result(result),
        "review": review,
        "rejected": rejected,
        # Once a result is accepted or rejected, no step may still ask for the signature.
        "steps": [step for step in steps if not (step.signs and (rejected or review[0] == "pass"))],
        "notes": [tuple(note) for note in notes],
        "role_note": verdict.ROLE_NOTES.get(result.role, ""),
        "interval": verdict.span(result.mrd.ci95),
        "scale": scale(result),
        "signatures": signatures,
        "signature_problem": signature_problem,
        "required": required,
    }


def with_signatures(html: str, context: Mapping[str, object], language: Language = ENGLISH) -> str:
    """Replace the parts of a page that a review changes, in the language of the page.

    Raises
    ------
    InternalError
        If the page has no such part, or more than one.
    """
    for name, template in PARTS.items():
        start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        if html.count(start) != 1 or html.count(end) != 1:
            raise InternalError(f"the page has not exactly one part {name}: make it again with 'flowmrd report'")
        before, rest = html.split(start)
        after = rest.split(end)[1]
        source = f'{{% import "parts.html.j2" as parts %}}{{% include "{template}" %}}'
        html = before + start + language.page(_pages().from_string(source).render(context)) + end + after
    return html


@lru_cache(maxsize=1)
def _pages() -> Environment:
    return environment()


def scale(result: MrdResult) -> Mapping[str, object] | None:
    """A follow-up's result on a log scale beside the tube's limits; a level below detection has no mark.

    None for other tubes, which have no MRD.
    """
    if result.role != "followup":
        return None
    facts, detected = result.sensitivity, result.mrd.detected
    levels = level_scale.Levels(
        level=result.mrd.fraction if detected else None,
        interval=result.mrd.ci95 if detected else None,
        target=facts.target,
        lod=facts.lod95,
        loq=facts.loq,
        lod_nominal=facts.lod_nominal,
        absent=result.mrd.reported.partition(" (")[0],
    )
    interval = f"; 95 % interval {verdict.span(result.mrd.ci95)}" if detected else ""
    return {
        "drawing": level_scale.draw(levels),
        "narrow": level_scale.draw(levels, narrow=True),
        "summary": f"Logarithmic scale. MRD {result.mrd.reported}{interval}; target "
        f"{formatting.level(facts.target, 1)}; limit of detection {formatting.level(facts.lod95)} (95 % power); limit "
        f"of quantification {formatting.level(facts.loq)}.",
    }
