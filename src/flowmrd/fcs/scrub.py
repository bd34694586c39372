"""Keywords that may be kept: settings of the instrument, never information about a person.

Two conditions must hold. The keyword must be on the list below, and its value must have the form that the list expects:
a number, a date, or words of a fixed vocabulary. A person's name typed into ``$CYT`` is therefore dropped, as ``$SRC``
always is. Serial numbers are kept as a short digest, which is enough to distinguish instruments.

Dates are kept to the day and times of day to the second, because the carry-over check and the Levey-Jennings charts
need the order of tubes. They are stored only in ``ingest.json`` under ``acquisition``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from flowmrd.dates import DayError, read_day

__all__ = ["acquisition", "instrument", "kept_keywords", "unreadable_dates"]

_NUMBER = r"[+-]?\d{1,12}(?:\.\d{1,9})?(?:[eE][+-]?\d{1,3})?"
_NUMERIC_KEYS = re.compile(
    r"\$P\d{1,5}[BRGVLOP]|\$TIMESTEP|\$TOT|\$PAR|\$VOL|\$ABRT|\$LOST|\$TR_LEVEL|FSC ASF|WINDOW EXTENSION"
    r"|LASER\d{1,2}(?:DELAY|ASF| DELAY| ASF)|P\d{1,5}MS|@P\d{1,5}(?:GAIN|VOLTAGE)|@HENELASER|@TARGETLASERPOWER"
)
_PAIR_KEYS = re.compile(r"\$P\d{1,5}E")
_SWITCH_KEYS = re.compile(
    r"P\d{1,5}BS|P\d{1,5}DISPLAY|APPLY COMPENSATION|AUTOBS|@COMPENSATIONMODE|\$BYTEORD|\$DATATYPE|\$MODE"
)
_SWITCHES = re.compile(r"TRUE|FALSE|ON|OFF|LIN|LOG|LOGICLE|YES|NO|[0-9]{1,3}|[1-8](?:,[1-8])*|[IFDAL]", re.IGNORECASE)
_STATUS_KEYS = re.compile(r"CST (?:SETUP|REGULATORY|PERFORMANCE) STATUS")
_STATUS = re.compile(
    r"(?:SUCCESS|PASS(?:ED)?|FAIL(?:ED|URE)?|WITH|WARNINGS?|EXPIRED|OK|RUO|IVD|CE|NONE|UNKNOWN|\s)+", re.IGNORECASE
)
_DAY_KEYS = re.compile(r"CST (?:SETUP|BASELINE) DATE|CYTOMETER CONFIG CREATE DATE")
_LOT_KEYS = re.compile(r"CST BEADS LOT ID")

_MODELS = (
    "FACSCANTO",
    "FACSCALIBUR",
    "FACSCAN",
    "FACSARIA",
    "FACSLYRIC",
    "FACSYMPHONY",
    "FACSVERSE",
    "FACSCELESTA",
    "FACSDISCOVER",
    "FACSMELODY",
    "FACSVANTAGE",
    "LSRFORTESSA",
    "LSRII",
    "LSR",
    "CANTO",
    "LYRIC",
    "ARIA",
    "FORTESSA",
    "ACCURI",
    "INFLUX",
    "NAVIOS",
    "GALLIOS",
    "CYTOFLEX",
    "DXFLEX",
    "AQUIOS",
    "FC500",
    "CYTOMICS",
    "EPICS",
    "CYAN",
    "MOFLO",
    "AURORA",
    "NORTHERNLIGHTS",
    "XP5",
    "MACSQUANT",
    "ATTUNE",
    "CYFLOW",
    "PARTEC",
    "GUAVA",
    "IQUE",
    "ZE5",
    "S3E",
    "SH800",
    "MA900",
    "ID7000",
    "SA3800",
    "SP6800",
    "NOVOCYTE",
    "OMNICYT",
    "STRATEDIGM",
    "FLOWMRD",
)


def kept_keywords(keywords: Mapping[str, str]) -> dict[str, str]:
    """Keywords that may be stored, in sorted order.

    Values are numbers, fixed words, dates to the day or lot numbers; everything else is dropped.
    """
    kept: dict[str, str] = {}
    for key in sorted(keywords):
        value = keywords[key].strip()
        allowed = (
            (_NUMERIC_KEYS.fullmatch(key) and re.fullmatch(_NUMBER, value))
            or (_PAIR_KEYS.fullmatch(key) and re.fullmatch(rf"{_NUMBER}\s*,\s*{_NUMBER}", value))
            or (_SWITCH_KEYS.fullmatch(key) and _SWITCHES.fullmatch(value))
            or (_STATUS_KEYS.fullmatch(key) and _STATUS.fullmatch(value))
            or (_LOT_KEYS.fullmatch(key) and re.fullmatch(r"\d{3,8}", value))
        )
        if allowed:
            kept[key] = value
        elif _DAY_KEYS.fullmatch(key) and (day := _day(re.split(r"[T ]", value)[0])):
            kept[key] = day
    return kept


def instrument(keywords: Mapping[str, str]) -> dict[str, str]:
    """Model of the instrument from a fixed list, and digests that distinguish instruments and their configurations."""
    found: dict[str, str] = {}
    words = re.sub(r"[^A-Z0-9]", "", keywords.get("$CYT", "").upper())
    model = next((name for name in _MODELS if name in words), None)
    if model is not None:
        found["model"] = model
    for name, key in (("serial_digest", "$CYTSN"), ("configuration_digest", "CYTOMETER CONFIG NAME")):
        value = keywords.get(key, "").strip()
        if value:
            found[name] = hashlib.sha256(f"flowmrd {name} {value}".encode()).hexdigest()[:12]
    return found


def acquisition(keywords: Mapping[str, str]) -> dict[str, str | float | None]:
    """Day (``date``, ISO) and times (``begin``, ``end``, seconds after midnight) of acquisition; ``None`` if unknown.

    Read from ``$DATE``, ``$BTIM``, ``$ETIM``, else ``$BEGINDATETIME`` and ``$ENDDATETIME`` of FCS 3.2.
    """
    begun = keywords.get("$BEGINDATETIME", "").split("T")
    ended = keywords.get("$ENDDATETIME", "").split("T")
    return {
        "date": _day(keywords.get("$DATE", "")) or _day(begun[0]),
        "begin": _seconds(keywords.get("$BTIM", "") or (begun[1] if len(begun) == 2 else "")),
        "end": _seconds(keywords.get("$ETIM", "") or (ended[1] if len(ended) == 2 else "")),
    }


def unreadable_dates(keywords: Mapping[str, str]) -> list[str]:
    """Date keywords whose value does not mean exactly one day."""
    day = keywords.get("$DATE", "").strip(), keywords.get("$BEGINDATETIME", "").strip()
    if acquisition(keywords)["date"] is not None:
        return []
    return [key for key, text in zip(("$DATE", "$BEGINDATETIME"), day, strict=True) if text]


def _day(text: str) -> str | None:
    """ISO day of a text, see :mod:`flowmrd.dates`; ``None`` where no single day can be read from it."""
    try:
        return read_day(text).isoformat()
    except DayError:
        return None


def _seconds(text: str) -> float | None:
    """Seconds after midnight of ``hh:mm:ss``, ``hh:mm:ss.cc`` or ``hh:mm:ss:tt`` (sixtieths, FCS 3.0)."""
    match = re.match(r"(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6})|:(\d{2}))?)?", text.strip())
    if match is None:
        return None
    hours, minutes, seconds = (int(part or 0) for part in match.group(1, 2, 3))
    if hours > 23 or minutes > 59 or seconds > 60:
        return None
    fraction = float(f"0.{match.group(4)}") if match.group(4) else int(match.group(5) or 0) / 60
    return hours * 3600 + minutes * 60 + seconds + round(fraction, 3)
