"""Haemodilution and regeneration, as far as the panel allows.

Haemodilution: populations that blood lacks (CD34+ myeloid progenitors, erythroblasts) against fixed limits and against
the control marrows. **Haematogones are never counted**: after anti-B-cell therapy they are missing because of the drug.
Without CD117 and CD16 mast cells and mature neutrophils cannot be measured, so the assessment is always called limited.

Regeneration: haematogones of all three stages in a continuous spectrum without one stage taking over, which is what
sets a hyperplasia apart from a leukaemia arrested at one stage (McKenna et al., Blood 2001;98:2498 for the spectrum and
the 5 % from which they are called increased).

Limits of haemodilution are general knowledge; they are not from a guideline.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from flowmrd.gating.reference import GateReference
from flowmrd.gating.tree import GateResult

__all__ = ["assess_haemodilution", "assess_regeneration"]

Mask = npt.NDArray[np.bool_]

MIN_NUCLEATED: Final = 10_000
"""Fewer nucleated cells than this give no share of a population as rare as CD34+ progenitors."""

LIMITS: Final = {"cd34_myeloid": 0.001, "erythroblasts": 0.02}
"""Shares of nucleated cells below which a marrow population is called low."""

STAGES: Final = ("haematogones_1", "haematogones_2", "haematogones_3")
MIN_HAEMATOGONES: Final = 50
LARGEST_STAGE: Final = 0.85
SMALLEST_STAGE: Final = 0.03
INCREASED: Final = 0.05
"""Share of nucleated cells from which haematogones are called increased (McKenna et al. 2001)."""


def assess_haemodilution(result: GateResult, analysable: Mask, reference: GateReference | None) -> dict[str, Any]:
    """Verdict ``suspected``, ``possible``, ``not_suggested`` or ``not_evaluable`` with the shares it rests on."""
    nucleated = int(np.count_nonzero(result.inside("nucleated") & analysable))
    rows: list[dict[str, Any]] = []
    for name, limit in LIMITS.items():
        if not result.available(name):
            continue
        count = int(np.count_nonzero(result.inside(name) & analysable))
        share = count / nucleated if nucleated else None
        normal = None if reference is None else reference.fraction_range(name)
        rows.append(
            {
                "population": name,
                "events": count,
                "share": None if share is None else round(share, 7),
                "limit": limit,
                "low": None if share is None else share < limit,
                "controls": None if normal is None else dict(zip(("low", "median", "high", "n"), normal, strict=True)),
            }
        )
    lacking = "The panel has neither CD117 nor CD16: mast cells and mature neutrophils are not measured."
    caution = "Missing B-cell precursors are no evidence, because anti-B-cell therapy removes them."
    if not rows or nucleated < MIN_NUCLEATED:
        why = f"{nucleated} nucleated cells" if rows else "none of the marrow populations could be gated"
        statement = f"Haemodilution cannot be assessed: {why}. {lacking}"
        return {"verdict": "not_evaluable", "statement": statement, "populations": rows}
    low = [row for row in rows if row["low"]]
    verdict = "not_suggested" if not low else "suspected" if len(low) == len(rows) else "possible"
    shares = ", ".join(
        f"{_TITLES[row['population']]} {100 * row['share']:.2f} % (low below {100 * row['limit']:g} %)" for row in rows
    )
    word = {"not_suggested": "not suggested", "possible": "possible", "suspected": "suspected"}[verdict]
    statement = f"Limited assessment: haemodilution is {word}. {shares}. {lacking} {caution}"
    return {"verdict": verdict, "statement": statement, "populations": rows}


_TITLES: Final = {"cd34_myeloid": "CD34+ myeloid progenitors", "erythroblasts": "erythroblasts"}


def assess_regeneration(result: GateResult, analysable: Mask, *, leukaemic: Mask | None = None) -> dict[str, Any]:
    """Haematogone spectrum: ``increased``, ``present``, ``incomplete``, ``few`` or ``not_evaluable``.

    Parameters
    ----------
    leukaemic
        Events called MRD, which are left out; before classification there are none, and the statement says so.
    """
    considered = analysable if leukaemic is None else analysable & ~leukaemic
    nucleated = int(np.count_nonzero(result.inside("nucleated") & analysable))
    missing = [name for name in STAGES if not result.available(name)]
    if missing or nucleated < MIN_NUCLEATED:
        why = f"{', '.join(missing)} unavailable" if missing else f"{nucleated} nucleated cells"
        return {"verdict": "not_evaluable", "statement": f"Regeneration cannot be assessed: {why}.", "stages": {}}
    counts: Mapping[str, int] = {name: int(np.count_nonzero(result.inside(name) & considered)) for name in STAGES}
    total = sum(counts.values())
    share = total / nucleated
    spread = "; ".join(
        f"stage {stage} {count}" for stage, count in zip(("I", "II", "III"), counts.values(), strict=True)
    )
    if leukaemic is None:
        spread += ". Cells with this phenotype may be leukaemic: read with the MRD result"
    if total < MIN_HAEMATOGONES:
        verdict, words = (
            "few",
            "too few for a spectrum, expected after anti-B-cell therapy; no evidence of haemodilution",
        )
    elif max(counts.values()) > LARGEST_STAGE * total or min(counts.values()) < SMALLEST_STAGE * total:
        verdict, words = "incomplete", "not the continuous spectrum of a regenerating marrow"
    elif share >= INCREASED:
        verdict, words = "increased", "a complete spectrum, increased: regenerating marrow"
    else:
        verdict, words = "present", "a complete spectrum, not increased"
    statement = f"Haematogones {100 * share:.3f} % of nucleated cells, {words} ({spread})."
    return {"verdict": verdict, "statement": statement, "share": round(share, 7), "stages": dict(counts)}
