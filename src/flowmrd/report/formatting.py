"""Numbers and identifiers as people read them."""

from __future__ import annotations

import math
import re

from flowmrd import units

__all__ = [
    "NOT_AVAILABLE",
    "clip",
    "count",
    "level",
    "moment",
    "number",
    "percent",
    "readable",
    "scientific",
    "short_hash",
    "superscript",
    "within",
]

NOT_AVAILABLE = "not available"
_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def count(value: float | None) -> str:
    """Whole number with thin spaces between thousands: ``278 793``."""
    return NOT_AVAILABLE if value is None else f"{round(value):,}".replace(",", "\u202f")


def number(value: float | None, digits: int = 3) -> str:
    """Number with so many significant digits, without exponent between 1e-4 and 1e6."""
    if value is None or not math.isfinite(value):
        return NOT_AVAILABLE
    if value == 0:
        return "0"
    if 1e-4 <= abs(value) < 1e6:
        text = f"{value:.{units.decimals(value, digits)}f}"
        return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", "−")
    return scientific(value, digits)


def percent(fraction: float | None, digits: int = 2) -> str:
    """Fraction as a percentage with so many significant digits: ``0.012 %``."""
    if fraction is None or not math.isfinite(fraction):
        return NOT_AVAILABLE
    return units.percent(fraction, digits).replace("-", "−")


def level(fraction: float | None, digits: int = 2) -> str:
    """A level as it is written everywhere: percentage, with the power of ten in brackets below 0.1 %."""
    if fraction is None or not math.isfinite(fraction):
        return NOT_AVAILABLE
    return units.level(fraction, digits).replace("-", "−")


def scientific(value: float | None, digits: int = 2) -> str:
    """Number as a power of ten for people: ``1.2 × 10⁻⁴``."""
    if value is None or not math.isfinite(value):
        return NOT_AVAILABLE
    if value == 0:
        return "0"
    return units.scientific(value, digits).replace("-", "−")


def short_hash(value: str | None) -> str:
    """First 12 digits of a digest."""
    return NOT_AVAILABLE if not value else value[:12]


def clip(text: object, limit: int = 300) -> str:
    """Text cut to a length that fits a table cell; the full text is in the JSON file beside the page.

    It is cut after a part of a sentence or a word, where one ends in its last 40 %.
    """
    plain = str(text)
    if len(plain) <= limit:
        return plain
    cut, least = plain[: limit - 1], 0.6 * limit
    for ends in ((", ", "; ", ". "), (" ",)):
        at = max(cut.rfind(end) for end in ends)
        if at >= least:
            return cut[:at].rstrip(",;:( ") + "…"
    return cut + "…"


def superscript(value: int) -> str:
    """Whole number as superscript digits."""
    return str(value).translate(_SUPERSCRIPTS)


def within(title: str) -> str:
    """A title inside a sentence: ``Mature B cells`` becomes ``mature B cells``, ``B cells`` and ``CD19+`` stay."""
    return title[:1].lower() + title[1:] if title[1:2].islower() else title


def moment(text: str) -> str:
    """An ISO 8601 time as people write it: ``2026-01-02 03:04:05 UTC``; any other text is returned as it is."""
    found = re.fullmatch(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d(?::\d\d)?)(?:\.\d+)?(Z|[-+]\d\d:\d\d)", text)
    if found is None:
        return text
    day, time, zone = found.groups()
    zone = "UTC" if zone in ("Z", "+00:00") else f"UTC{zone}".replace("-", "−")
    return f"{day} {time} {zone}"


_EXPONENT = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)e([-+]?\d{1,3})(?!\w|\.\d)")
_MINUS = re.compile(r"(?<![\w.)-])-(?=\d)")
_PERCENT = re.compile(r"(?<=\d)%")
_THOUSANDS = re.compile(r"(?<![\d,.])\d{1,3}(?:,\d{3})+(?![\d,])")


def readable(text: str) -> str:
    """Numbers inside a message as people write them.

    ``6.2e-05`` becomes ``6.2 × 10⁻⁵``, ``300,000`` ``300 000``, ``-2.25 decades`` ``−2.25 decades``, ``22.3%``
    ``22.3 %``.
    """

    def power(found: re.Match[str]) -> str:
        mantissa, exponent = found.group(1), superscript(int(found.group(2)))
        return f"10{exponent}" if float(mantissa) == 1 else f"{mantissa} × 10{exponent}"

    plain = _THOUSANDS.sub(lambda found: found.group().replace(",", "\u202f"), str(text))
    return _PERCENT.sub(" %", _MINUS.sub("−", _EXPONENT.sub(power, plain)))
