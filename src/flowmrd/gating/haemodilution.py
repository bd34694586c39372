"""Assessing haemodilution and regeneration of a marrow.

Haemodilution: populations that blood lacks (CD34+ myeloid progenitors, erythroblasts), as shares of the nucleated cells
outside the B lineage, which a leukaemia does not dilute, against fixed limits and the control marrows; and the share of
granulocytes that are mature (CD10+), which blood is made of. **Haematogones are never counted**: after anti-B-cell
therapy they are missing because of the drug. Without CD117 and CD16 mast cells are not measured and granulocytic
maturity rests on CD10 alone, so the assessment is always called limited.

Regeneration: haematogones of all three stages in a continuous spectrum without one stage taking over, which is what
sets a hyperplasia apart from a leukaemia arrested at one stage (McKenna et al., Blood 2001;98:2498 for the spectrum and
the 5 % from which they are called increased).

Limits of haemodilution are general knowledge; they are not from a guideline.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from flowmrd.gating.tree import GateResult
from flowmrd.panel.gates import window_gate
from flowmrd.records.gates import ControlRange, DilutionRow, HaemodilutionEntry, RegenerationEntry

__all__ = [
    "MATURE",
    "STAGES",
    "assess_haemodilution",
    "assess_regeneration",
    "marrow_shares",
    "mature_granulocytes",
]

Mask = npt.NDArray[np.bool_]
Range = tuple[float, float, float, int]

MIN_NUCLEATED: Final = 10_000
"""Fewer nucleated cells than this give no share of a population as rare as CD34+ progenitors."""

MIN_GRANULOCYTES: Final = 500
"""Fewer granulocytes than this say nothing about their maturity."""

LIMITS: Final = {"cd34_myeloid": 0.001, "erythroblasts": 0.02}
"""Shares of the nucleated cells outside the B lineage below which a marrow population is called low."""

MATURE: Final = "mature_granulocytes"
MATURE_LIMIT: Final = 0.9
MATURE_MARGIN: Final = 0.1
"""Mature granulocytes above this share of all granulocytes suggest blood, if no control comes within the margin."""

STAGES: Final = ("haematogones_1", "haematogones_2", "haematogones_3")
ROMAN: Final = {"haematogones_1": "I", "haematogones_2": "II", "haematogones_3": "III"}
MIN_HAEMATOGONES: Final = 50
LARGEST_STAGE: Final = 0.85
SMALLEST_STAGE: Final = 0.03
INCREASED: Final = 0.05
"""Share of nucleated cells from which haematogones are called increased (McKenna et al. 2001)."""

BASE: Final = "Of the nucleated cells outside the B lineage"

_TITLES: Final = {
    "cd34_myeloid": "CD34+ myeloid progenitors",
    "erythroblasts": "erythroblasts",
    MATURE: "CD10+ of the granulocytes",
}


def marrow_shares(result: GateResult, analysable: Mask) -> dict[str, tuple[int, int]]:
    """Population of :data:`LIMITS` to its cells and the nucleated cells that its share is taken of.

    Parameters
    ----------
    analysable
        True for analysable events, shape (n_events,).
    """
    members = {name: result.inside(name) & analysable for name in LIMITS if result.available(name)}
    rest = result.inside("nucleated") & analysable & ~result.inside(window_gate(result.names))
    for inside in members.values():
        rest |= inside  # CD34+ progenitors are in the window of the B lineage, and no part of it
    base = int(np.count_nonzero(rest))
    return {name: (int(np.count_nonzero(inside)), base) for name, inside in members.items()}


def mature_granulocytes(result: GateResult, analysable: Mask) -> tuple[int, int] | None:
    """Granulocytes with CD10 and all granulocytes; None where the panel cannot tell or there are too few.

    Parameters
    ----------
    analysable
        True for analysable events, shape (n_events,).
    """
    if not (result.available("granulocytes") and result.available("cd10_pos")):
        return None
    cells = result.inside("granulocytes") & analysable
    n = int(np.count_nonzero(cells))
    return (int(np.count_nonzero(cells & result.inside("cd10_pos"))), n) if n >= MIN_GRANULOCYTES else None


def assess_haemodilution(result: GateResult, analysable: Mask, controls: Mapping[str, Range]) -> HaemodilutionEntry:
    """Verdict ``suspected``, ``possible``, ``not_suggested`` or ``not_evaluable`` with the shares it rests on.

    Parameters
    ----------
    controls
        Population to smallest, median and largest share in the control marrows and their number; empty without them.
    analysable
        True for analysable events, shape (n_events,).
    """
    rows: list[DilutionRow] = []
    nucleated = 0
    for name, (count, nucleated) in marrow_shares(result, analysable).items():
        limit = LIMITS[name]
        share = count / nucleated if nucleated else None
        met = None if share is None else share < limit
        rows.append(_row(name, count, "nucleated cells outside the B lineage", share, limit, met, controls.get(name)))
    mature = mature_granulocytes(result, analysable)
    if mature is not None:
        share, known = mature[0] / mature[1], controls.get(MATURE)
        # Where the CD10 cut falls on granulocytes depends on the staining: alone it is no evidence.
        met = None if known is None else share > MATURE_LIMIT and share > known[2] + MATURE_MARGIN
        rows.append(_row(MATURE, mature[0], "granulocytes", share, MATURE_LIMIT, met, known))
    lacking = "The panel has neither CD117 nor CD16: mast cells are not measured, granulocytic maturity only by CD10."
    caution = "Missing B-cell precursors are no evidence, because anti-B-cell therapy removes them."
    judged = [row.met for row in rows if row.met is not None]
    if not judged or nucleated < MIN_NUCLEATED:
        why = (
            f"{nucleated} nucleated cells outside the B lineage"
            if rows
            else "none of the marrow populations could be gated"
        )
        statement = f"Haemodilution cannot be assessed: {why}. {lacking}"
        return HaemodilutionEntry(verdict="not_evaluable", statement=statement, populations=tuple(rows))
    met_by = sum(judged)
    verdict: Literal["suspected", "possible", "not_suggested"]
    verdict = "suspected" if met_by >= min(2, len(judged)) else "possible" if met_by else "not_suggested"
    shares = "; ".join(_words(row) for row in rows)
    statement = (
        f"Limited assessment: haemodilution is {verdict.replace('_', ' ')}. {BASE}: {shares}. {lacking} {caution}"
    )
    return HaemodilutionEntry(verdict=verdict, statement=statement, populations=tuple(rows))


def _row(
    name: str, count: int, of: str, share: float | None, limit: float, met: bool | None, controls: Range | None
) -> DilutionRow:
    known = None
    if controls is not None:
        low, median, high, n = controls
        known = ControlRange(low=low, median=median, high=high, n=n)
    of_base = None if share is None else round(share, 7)
    return DilutionRow(population=name, events=count, of=of, share=of_base, limit=limit, met=met, controls=known)


def _words(row: DilutionRow) -> str:
    share = "unknown" if row.share is None else f"{100 * row.share:.2f} %"
    side = "high above" if row.population == MATURE else "low below"
    known = row.controls
    controls = "" if known is None else f", controls {100 * known.low:.2f} to {100 * known.high:.2f} %"
    return f"{_TITLES[row.population]} {share} ({side} {100 * row.limit:g} %{controls})"


def assess_regeneration(
    stages: Mapping[str, int | None],
    nucleated: int,
    *,
    too_few: Collection[str] = (),
    leukaemic_left_out: bool = False,
) -> RegenerationEntry:
    """Haematogone spectrum: ``increased``, ``present``, ``incomplete``, ``few`` or ``not_evaluable``.

    Parameters
    ----------
    stages
        Analysable events of each of :data:`STAGES`; None where the gate is unavailable.
    nucleated
        Analysable nucleated cells.
    too_few
        Stages that are no more than other cells in their place can be (:mod:`flowmrd.gating.b_lineage`): they complete
        no spectrum.
    leukaemic_left_out
        Whether events called MRD are already left out of ``stages``; before classification the statement says so.
    """
    missing = [name for name in STAGES if stages.get(name) is None]
    if missing or nucleated < MIN_NUCLEATED:
        why = f"{', '.join(missing)} unavailable" if missing else f"{nucleated} nucleated cells"
        statement = f"Regeneration cannot be assessed: {why}."
        return RegenerationEntry(verdict="not_evaluable", statement=statement, stages={})
    counts = {name: int(stages[name] or 0) for name in STAGES}
    total = sum(counts.values())
    share = total / nucleated
    spread = "; ".join(
        f"stage {stage} {count}" for stage, count in zip(("I", "II", "III"), counts.values(), strict=True)
    )
    if leukaemic_left_out:
        subject, regenerating = "Haematogones", "regenerating marrow"
        spread += "; MRD events left out"
    else:
        subject = "Cells with the phenotype of haematogones"
        regenerating = "a regenerating marrow or a leukaemia, which the MRD result has to tell"
    verdict: Literal["increased", "present", "incomplete", "few"]
    if total < MIN_HAEMATOGONES or all(name in too_few for name in STAGES):
        verdict, words = (
            "few",
            "too few for a spectrum, expected after anti-B-cell therapy; no evidence of haemodilution",
        )
    elif unassessable := [name for name in STAGES if name in too_few]:
        numbers = ", ".join(ROMAN[name] for name in unassessable)
        verdict, words = "incomplete", f"no complete spectrum: stage {numbers} too few to assess"
    elif max(counts.values()) > LARGEST_STAGE * total or min(counts.values()) < SMALLEST_STAGE * total:
        verdict, words = "incomplete", "not the continuous spectrum of a regenerating marrow"
    elif share >= INCREASED:
        verdict, words = "increased", f"a complete spectrum, increased: {regenerating}"
    else:
        verdict, words = "present", "a complete spectrum, not increased"
    statement = f"{subject}: {100 * share:.3f} % of nucleated cells, {words} ({spread})."
    return RegenerationEntry(verdict=verdict, statement=statement, share=round(share, 7), stages=counts)
