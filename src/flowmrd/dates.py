"""Reading dates as instruments, spreadsheets and people write them. A date that may mean two days is refused.

Accepted are named months in the languages of the usual instruments, ISO dates, and day.month.year with dots. With
slashes the order of day and month depends on the country: ``03/04/2024`` is refused, ``16/03/2024`` is read. Two-digit
years mean 1980 to 2079, because the FCS format dates from 1984.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from typing import Final

__all__ = ["DayError", "read_day"]

_MONTHS: Final[dict[str, int]] = {
    name: number
    for number, names in enumerate(
        (
            "jan january januar janvier janv ene enero gen gennaio janeiro sty januari",
            "feb february februar fevrier fevr fev febrero febbraio fevereiro lut februari",
            "mar march marz maerz mrz mars marzo marco mrt maart",
            "apr april avril avr abr abril aprile kwi",
            "may mai mayo mag maggio maio maj mei",
            "jun june juni juin junio giu giugno junho cze",
            "jul july juli juillet juil julio lug luglio julho lip",
            "aug august aout aou ago agosto sie augustus augusti",
            "sep sept september septembre septiembre set settembre setembro wrz",
            "oct october oktober okt octobre octubre ott ottobre out outubro paz",
            "nov november novembre noviembre novembro lis",
            "dec december dezember dez decembre dic diciembre dicembre dezembro gru",
        ),
        start=1,
    )
    for name in names.split()
}
_WEEKDAYS: Final = re.compile(r"^(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,?\s+", re.IGNORECASE)


class DayError(ValueError):
    """The text does not mean exactly one day; the message says why."""


def read_day(text: str) -> date:
    """Read a date.

    Raises
    ------
    DayError
        If the text is not a date, names a day that does not exist, is a spreadsheet's day number, or may mean two days.
    """
    bare = _WEEKDAYS.sub("", _plain(text))
    bare = re.sub(r"[T ]\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?(Z|[+-]\d{2}:?\d{2})?$", "", bare).strip()
    if (match := re.fullmatch(r"(\d{4})([-/.]?)(\d{1,2})\2(\d{1,2})", bare)) and (match[2] or len(bare) == 8):
        return _day(int(match[1]), int(match[3]), int(match[4]))
    if named := _named(bare):
        return named
    if match := re.fullmatch(r"(\d{1,2})\.\s*(\d{1,2})\.\s*(\d{4}|\d{2})", bare):
        return _day(_year(match[3]), int(match[2]), int(match[1]))
    if match := re.fullmatch(r"(\d{1,2})[-/](\d{1,2})[-/](\d{4})", bare):
        first, second, year = (int(part) for part in match.groups())
        if first > 12 >= second:
            return _day(year, second, first)
        if second > 12 >= first or first == second:
            return _day(year, first, second)
        raise DayError(f"may mean {year}-{second:02d}-{first:02d} or {year}-{first:02d}-{second:02d}")
    if re.fullmatch(r"\d{5}([.,]\d+)?", bare):
        raise DayError("looks like a spreadsheet's day number, which may count from 1900 or from 1904")
    raise DayError("is not a date in a known format")


def _plain(text: str) -> str:
    """Without accents, so that both Unicode forms of ``März`` and ``août`` are one."""
    split = unicodedata.normalize("NFKD", text.strip())
    return "".join(sign for sign in split if not unicodedata.combining(sign)).replace("\u00df", "ss")


def _named(bare: str) -> date | None:
    """A date whose month is a word."""
    words = [word for word in re.split(r"[\s,./\-]+|(?<=\d)(?=[A-Za-z])|(?<=[A-Za-z])(?=\d)", bare) if word]
    words = [word for word in words if word.lower() not in {"de", "of", "th", "st", "nd", "rd"}]
    months = [_MONTHS[word.lower()] for word in words if word.lower() in _MONTHS]
    numbers = [word for word in words if word.isdigit()]
    if len(words) != 3 or len(months) != 1 or len(numbers) != 2:
        return None
    if len(numbers[0]) == 4:
        return _day(int(numbers[0]), months[0], int(numbers[1]))
    return _day(_year(numbers[1]), months[0], int(numbers[0]))


def _year(text: str) -> int:
    year = int(text)
    return year if len(text) == 4 else 1900 + year if year >= 80 else 2000 + year


def _day(year: int, month: int, day: int) -> date:
    try:
        return date(year, month, day)
    except ValueError as error:
        raise DayError("is a day that does not exist") from error
