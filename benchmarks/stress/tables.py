"""The table of the page: one line per row, panel and mode."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from benchmarks.stress.rows import ROWS

Record = dict[str, Any]
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


def stress_table(records: list[Record]) -> str:
    """Markdown table: detected / negative / cannot tell at every level, denominator error, false events."""
    tubes = [record for record in records if record["setting"] != "diagnosis"]
    levels = sorted({record["level"] for record in tubes}, reverse=True)
    head = ["fault", "panel", "leukaemia", "diagnosis tube", *(_level(level) for level in levels)]
    head += ["denominator", "false events", "missed"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    keys = dict.fromkeys(map(_line_of, tubes))
    for key in keys:
        mine = [record for record in tubes if _line_of(record) == key]
        cells = [*key[:3], "yes" if key[3] == "with diagnosis" else "no"]
        for level in levels:
            cells.append(" / ".join(str(n) for n in answers(r for r in mine if r["level"] == level)))
        errors = _denominator_errors(mine)
        cells.append(f"{100 * max(errors, key=abs):+.1f} %" if errors else "none")
        cells.append(str(max(record["false"] for record in mine)))
        cells.append(str(sum(_missed(record) for record in mine)))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _line_of(record: Record) -> tuple[str, str, str, str]:
    """The line of the table that a record belongs to; older records do not name the kind of their leukaemia."""
    return record["row"], record["panel"], record.get("leukaemia", "-"), record["setting"]


def diagnosis_table(records: list[Record]) -> str:
    """Markdown table: leukaemic share of diagnosis tubes, true, in ``laip.json`` and in ``mrd.json``."""
    tubes = [record for record in records if record["setting"] == "diagnosis"]
    lines = ["| fault | panel | leukaemia | true | laip.json | mrd.json |", "|---|---|---|---|---|---|"]
    for record in tubes:
        shares = (record["true_share"], record["laip_share"], record["share"])
        names = " | ".join(_line_of(record)[:3])
        lines.append(f"| {names} | " + " | ".join(f"{100 * s:.1f} %" for s in shares) + " |")
    return "\n".join(lines)


def goals(records: list[Record]) -> str:
    """The goals of the issue that the rows can show, as lines with what was measured."""
    tubes = [record for record in records if record["setting"] != "diagnosis"]
    errors = np.abs(_denominator_errors(tubes))
    high = [
        record
        for record in tubes
        if record["level"] == 1e-3 and record["setting"] == "with diagnosis" and ROWS[record["row"]].sound
    ]
    near = [abs(r["hit"] + r["false"] - r["true"]) <= 0.2 * r["true"] for r in high]
    clean = [record for record in tubes if record["level"] == 0.0]
    sound = [record for record in clean if ROWS[record["row"]].sound]
    diagnosis = [record for record in records if record["setting"] == "diagnosis"]
    close = [abs(r["share"] - r["true_share"]) <= 0.1 * r["true_share"] for r in diagnosis]
    negative_sound = sum(r["mrd_negative"] is True for r in sound)
    lines = (
        f"negative with at least {LEAST} leukaemic cells in the file: {sum(_missed(r) for r in tubes)} of {len(tubes)}",
        f"denominator error: median {100 * np.median(errors):.1f} %, worst {100 * errors.max():.1f} %",
        "within 20 % of truth at 1e-3 with a diagnosis tube, antibodies and voltages as they should be: "
        f"{sum(near)} of {len(near)}",
        f"clean tubes that should still be negative: {negative_sound} of {len(sound)} are",
        f"clean tubes called: {sum(bool(r['detected']) for r in clean)} of {len(clean)}",
        f"diagnosis tubes within 10 % of truth: {sum(close)} of {len(close)}",
    )
    return "\n".join(f"* {line}" for line in lines)


def _denominator_errors(records: list[Record]) -> list[float]:
    """Relative errors of the nucleated count; a tube that is refused, or cannot have the count, has none."""
    counted = [record for record in records if record["nucleated"] is not None and record["class"] != "REFUSED"]
    return [record["nucleated"] / max(record["true_nucleated"], 1) - 1.0 for record in counted]


def _missed(record: Record) -> bool:
    return record["mrd_negative"] is True and record["true"] >= LEAST


def _level(level: float) -> str:
    return "clean" if level == 0 else f"{level:g}"
