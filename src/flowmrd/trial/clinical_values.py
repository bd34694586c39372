"""Typed cells of a clinical sheet. Each malformed cell becomes one problem with its line, and reading goes on."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from difflib import get_close_matches

from flowmrd.dates import DayError, read_day
from flowmrd.errors import InputError, SheetError, TrialError

DAY = re.compile(r"-?\d{1,5}")
MOST_DAYS = 20_000
"""Largest number of days since enrolment (54 years); a larger number is the day number of a spreadsheet, since 1900."""
YES = {"yes": True, "y": True, "1": True, "true": True, "no": False, "n": False, "0": False, "false": False}


def _is_day(value: str) -> bool:
    try:
        read_day(value)
    except DayError:
        return False
    return True


@dataclass
class SheetRow:
    """One row while it is read; ``problems`` collects its faults."""

    where: str
    row: Mapping[str, str]
    enrolled: date | None = None
    cutoff: date | None = None
    problems: list[InputError] = field(default_factory=list)

    def text(self, column: str, longest: int = 200) -> str | None:
        """Free text, or None where empty."""
        value = self.row.get(column, "")
        if len(value) > longest:
            self.bad(column, f"{len(value)} characters", f"at most {longest}", "shorten it")
            return None
        return value or None

    def choice(self, column: str, allowed: Sequence[str], required: bool = False) -> str | None:
        """One of ``allowed``, compared without case."""
        value = self.row.get(column, "")
        if not value:
            if required:
                self.bad(column, "an empty cell", f"one of {', '.join(allowed)}", "fill it in")
            return None
        for name in allowed:
            if name.lower() == value.lower():
                return name
        near = get_close_matches(value.lower(), [name.lower() for name in allowed], n=1)
        self.bad(
            column,
            repr(value[:80]),
            f"one of {', '.join(allowed)}",
            f"did you mean {near[0]}?" if near else "correct it",
        )
        return None

    def yes_no(self, column: str) -> bool | None:
        """``yes`` or ``no``; None where empty."""
        value = self.row.get(column, "").lower()
        if not value:
            return None
        if value not in YES:
            self.bad(column, repr(value[:80]), "yes or no", "correct it, or leave it empty where unknown")
        return YES.get(value)

    def number(self, column: str, low: float, high: float) -> float | None:
        """A number within ``low`` and ``high``; None where empty."""
        value = self.row.get(column, "")
        if not value:
            return None
        try:
            # 12,5 can only be a decimal comma; 1,234 may be one thousand and is not guessed
            decimal = re.fullmatch(r"[+-]?\d+,(\d{1,2}|\d{4,})", value)
            number = float(value.replace(",", ".") if decimal else value)
        except ValueError:
            hint = "write it with a decimal point" if "," in value else "correct it, or leave it empty where unknown"
            self.bad(column, repr(value[:80]), "a number", hint)
            return None
        if not (math.isfinite(number) and low <= number <= high):
            self.bad(column, value[:80], f"a number from {low:g} to {high:g}", "check the value and its unit")
            return None
        return number

    def origin(self, column: str) -> int | None:
        """Day of enrolment, which is always 0. The cell holds 0 or an ISO date, from which other dates of the row are
        counted.
        """
        value = self.row.get(column, "")
        if value == "0":
            return 0
        day = self._date(column, value)
        if day is None:
            if not value:
                self.bad(column, "an empty cell", "the date of enrolment, or 0", "fill it in")
            return None
        self.enrolled = day
        return 0

    def day(self, column: str, required: bool = False) -> int | None:
        """Days since enrolment, from an ISO date or a day number; None where empty."""
        value = self.row.get(column, "")
        if not value:
            if required:
                self.bad(column, "an empty cell", "a date (YYYY-MM-DD) or days since enrolment", "fill it in")
            return None
        if DAY.fullmatch(value) and not (self.enrolled is not None and int(value) > MOST_DAYS):
            return int(value)
        if self.enrolled is None and not DAY.fullmatch(value) and _is_day(value):
            self.bad(
                column,
                "a date, but the enrolment is not given as one",
                "days since enrolment",
                "give the date of enrolment, or write day numbers throughout",
            )
            return None
        found = self._date(column, value)
        return None if found is None or self.enrolled is None else (found - self.enrolled).days

    def _date(self, column: str, value: str) -> date | None:
        if not value:
            return None
        try:
            found = read_day(value)
        except DayError as error:
            expected = "a date as YYYY-MM-DD or days since enrolment"
            self.bad(column, f"{value[:80]!r}, which {error}", expected, "rewrite the date")
            return None
        if self.cutoff is not None and found > self.cutoff:
            self.contradiction(
                f"{column} after the data cut-off {self.cutoff.isoformat()}",
                "no date after the cut-off",
                "correct the date, or 'trial: cutoff:' in config.yaml",
            )
        return found

    def bad(self, column: str, found: str, expected: str, todo: str) -> None:
        """Note a malformed cell."""
        self.problems.append(SheetError(f"{self.where}, column {column}", found=found, expected=expected, todo=todo))

    def contradiction(self, found: str, expected: str, todo: str) -> None:
        """Note cells that contradict each other."""
        self.problems.append(TrialError(self.where, found=found, expected=expected, todo=todo))
