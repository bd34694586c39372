"""The table of the page: one line per row, panel and mode."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from benchmarks.stress.rows import ROWS

Record = dict[str, Any]
Key = tuple[str, ...]
LEVELS = (1e-3, 1e-4, 0.0)
"""Levels of the columns, as the tubes have them."""
WIDTH = 10
"""Cells of a line of the table of follow-up tubes; that of diagnosis tubes has :data:`DIAGNOSIS_WIDTH`."""
DIAGNOSIS_WIDTH = 6
LEAST = 20
"""Leukaemic cells in the file from which a negative answer is a failure."""


def answers(records: Iterable[Record]) -> tuple[int, int, int]:
    """How many tubes were detected, negative, and neither (no answer, or refused)."""
    detected = negative = neither = 0
    for record in records:
        if record["detected"]:
            detected += 1
        elif record["mrd_negative"] is True:
            negative += 1
        else:
            neither += 1
    return detected, negative, neither


def stress_lines(records: list[Record]) -> dict[Key, str]:
    """Key to line of the table: detected / negative / cannot tell by level, denominator error, false events, missed."""
    tubes = [record for record in records if record["setting"] != "diagnosis"]
    lines = {}
    for key in dict.fromkeys(map(_line_of, tubes)):
        mine = [record for record in tubes if _line_of(record) == key]
        cells = [*key[:3], "yes" if key[3] == "with diagnosis" else "no"]
        for level in LEVELS:
            cells.append(" / ".join(str(n) for n in answers(r for r in mine if r["level"] == level)))
        errors = _denominator_errors(mine)
        cells.append(f"{100 * max(errors, key=abs):+.1f} %" if errors else "none")
        cells.append(str(max(record["false"] for record in mine)))
        cells.append(str(sum(_missed(record) for record in mine)))
        lines[tuple(cells[:4])] = "| " + " | ".join(cells) + " |"
    return lines


def stress_table(lines: Iterable[str]) -> str:
    """Markdown table of these lines."""
    head = [
        "fault",
        "panel",
        "leukaemia",
        "diagnosis tube",
        *map(_level, LEVELS),
        "denominator",
        "false events",
        "missed",
    ]
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *lines])


def _line_of(record: Record) -> tuple[str, str, str, str]:
    """The line of the table that a record belongs to; older records do not name the kind of their leukaemia."""
    return record["row"], record["panel"], record.get("leukaemia", "-"), record["setting"]


def diagnosis_lines(records: list[Record]) -> dict[Key, str]:
    """Key to line: leukaemic share of diagnosis tubes, true, in ``laip.json`` and in ``mrd.json``."""
    lines: dict[Key, str] = {}
    for record in records:
        if record["setting"] == "diagnosis":
            shares = (record["true_share"], record["laip_share"], record["share"])
            key = _line_of(record)[:3]
            lines[key] = f"| {' | '.join(key)} | " + " | ".join(f"{100 * s:.1f} %" for s in shares) + " |"
    return lines


def diagnosis_table(lines: Iterable[str]) -> str:
    """Markdown table of these lines."""
    return "\n".join(
        ["| fault | panel | leukaemia | true | laip.json | mrd.json |", "|---|---|---|---|---|---|", *lines]
    )


def merged(page: str, made: dict[Key, str], width: int) -> list[str]:
    """Lines of a table of the page with those that were made anew in their place, in the order of the rows.

    Parameters
    ----------
    width
        Number of cells of a line; the first ones that are words are its key.
    """
    order = list(ROWS)
    lines: dict[Key, str] = {}
    for line in page.splitlines():
        cells = cells_of(line)
        if len(cells) == width and cells[0] in ROWS:
            lines[tuple(cells[: 4 if width == WIDTH else 3])] = line
    lines |= made
    return [lines[key] for key in sorted(lines, key=lambda key: order.index(key[0]))]


def cells_of(line: str) -> list[str]:
    """Cells of a line of a markdown table."""
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def goals(lines: list[str], diagnosis: list[str]) -> str:
    """The goals of the issue that the tables show, counted from their lines."""
    rows = [cells_of(line) for line in lines]
    counted = [[tuple(int(n) for n in cell.split("/")) for cell in row[4:7]] for row in rows]
    errors = [abs(float(row[7].split()[0])) for row in rows if row[7] != "none"]
    tubes = sum(sum(map(sum, row)) for row in counted)
    clean = [row[2] for row in counted]
    sound = [row[2] for row, cells in zip(counted, rows, strict=True) if ROWS[cells[0]].sound]
    close = 0
    for line in diagnosis:
        true, _, found = (float(cell.split()[0]) for cell in cells_of(line)[3:])
        close += abs(found - true) <= 0.1 * true
    told = (
        f"negative with at least {LEAST} leukaemic cells in the file: {sum(int(row[9]) for row in rows)} of {tubes}",
        f"denominator error, the largest of each line: median {np.median(errors):.1f} %, worst {max(errors):.1f} %",
        f"clean tubes that should still be negative: {sum(one[1] for one in sound)} of {sum(map(sum, sound))} are",
        f"clean tubes called: {sum(one[0] for one in clean)} of {sum(map(sum, clean))}",
        f"diagnosis tubes within 10 % of truth: {close} of {len(diagnosis)}",
    )
    return "\n".join(f"* {one}" for one in told)


def _denominator_errors(records: list[Record]) -> list[float]:
    """Relative errors of the nucleated count; a tube that is refused or not evaluable, or lacks the count, has none."""
    without = {"REFUSED", "NOT_EVALUABLE"}
    counted = [record for record in records if record["nucleated"] is not None and record["class"] not in without]
    return [record["nucleated"] / max(record["true_nucleated"], 1) - 1.0 for record in counted]


def _missed(record: Record) -> bool:
    return record["mrd_negative"] is True and record["true"] >= LEAST


def _level(level: float) -> str:
    return "clean" if level == 0 else f"{level:g}"
