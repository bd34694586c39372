"""Text of the reported level: a percentage where MRD was detected, else "below the limit of detection"."""

from __future__ import annotations

import math

from flowmrd.mrd.limits import Limits
from flowmrd.mrd.result import DETECTED_CLASSES, Level, Mrd, VerdictClass
from flowmrd.units import percent


def report_level(level: Level, kind: VerdictClass, limits: Limits | None, mrd_events: int) -> Mrd:
    """The block ``mrd`` of ``mrd.json``.

    Parameters
    ----------
    level
        Fraction and interval of what was counted.
    kind
        Class of the verdict; it alone says whether leukaemia was found.
    limits
        Limits of the tube, None where no background is known.
    """
    detected = kind in DETECTED_CLASSES
    return Mrd(**level.model_dump(), detected=detected, reported=_reported(level.fraction, kind, limits, mrd_events))


def _reported(fraction: float | None, kind: VerdictClass, limits: Limits | None, mrd_events: int) -> str:
    if fraction is None or kind is VerdictClass.NOT_EVALUABLE:
        return "not evaluable"
    if kind in DETECTED_CLASSES:
        return percent(fraction)
    if limits is None or not math.isfinite(limits.lod95):
        return f"not established (counted {percent(fraction)}, no limit of detection known)"
    if kind is VerdictClass.INDETERMINATE or mrd_events >= limits.min_detect_events:
        # No percentage: 50,000 B cells of a tube without its CD20 were a "counted 17 %". Their number stands among the
        # counts. "Below the limit of detection" would be wrong, because the cells of an open question are not counted.
        return "not established"
    return f"< {percent(limits.lod95)}"
