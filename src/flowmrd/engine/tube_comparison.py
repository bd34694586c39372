"""What is wrong with tubes of a run taken together: one tube under two names, a marker on another tube's detector.

Nothing here reads a file: :class:`flowmrd.engine.headers.Look` holds what was seen of each tube. Of two tubes that
contradict each other only the laboratory knows which one is right, so both are refused, and the other tubes go on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flowmrd.config import Sample
from flowmrd.config.sheet import Role
from flowmrd.engine.headers import Look
from flowmrd.errors import InputError, SheetError

__all__ = ["Fault", "compare_tubes"]

LEAST_TUBES: Final = 2
"""Other tubes that must agree on a marker's detector before a tube that differs is the odd one."""


@dataclass(frozen=True)
class Fault:
    """One tube that others of the run contradict. ``refused``: it cannot be used; else it is a note."""

    sample: str
    error: InputError
    refused: bool


def compare_tubes(
    rows: Sequence[Sample], looks: Mapping[str, Look], panel_of: Mapping[str, str], sheet: Path
) -> list[Fault]:
    """Faults between the tubes of a run, in the order of the sheet.

    Parameters
    ----------
    rows
        Tubes whose files could be read.
    looks
        Sample to what was seen of its file.
    panel_of
        Sample to the name of its panel.
    sheet
        Sample sheet, for messages.
    """
    faults = [*_same_events(rows, looks, sheet), *_other_detectors(rows, looks, panel_of, sheet)]
    order = {row.sample: position for position, row in enumerate(rows)}
    return sorted(faults, key=lambda fault: order[fault.sample])


def _where(row: Sample, sheet: Path) -> str:
    return f"{sheet}, line {row.line} ({row.sample})"


def _same_events(rows: Sequence[Sample], looks: Mapping[str, Look], sheet: Path) -> list[Fault]:
    """Tubes that hold the same events, by the stored values and not by the name of the file."""
    seen: dict[str, list[Sample]] = {}
    for row in rows:
        for mark in looks[row.sample].marks:
            seen.setdefault(mark, []).append(row)
    twins: dict[str, dict[str, Sample]] = {}
    for sharing in seen.values():
        for row in sharing:
            twins.setdefault(row.sample, {}).update({one.sample: one for one in sharing if one.sample != row.sample})
    faults = []
    for row in rows:
        others = twins.get(row.sample)
        if not others:
            continue
        why = next((why for other in others.values() if (why := _contradiction(row, other))), "")
        names = ", ".join(f"{other.sample} (line {other.line}, {other.fcs.name})" for other in others.values())
        faults.append(
            Fault(
                row.sample,
                SheetError(
                    _where(row, sheet),
                    found=f"the same events in {row.fcs.name} as in {names}{why and ': '}{why}",
                    expected="one file per tube, and every tube once",
                    todo="find out whose tube it is and remove the other row(s); until then none of them is used"
                    if why
                    else "make sure that this is meant",
                ),
                refused=bool(why),
            )
        )
    return faults


def _contradiction(one: Sample, other: Sample) -> str:
    """Why two rows cannot both be right about the same events; empty where they can."""
    if one.role is Role.COMPENSATION and other.role is Role.COMPENSATION:
        return "" if (one.stain or "").casefold() == (other.stain or "").casefold() else "one tube for two stains"
    if one.role is not other.role:
        return f"one tube as {one.role.value} and as {other.role.value}"
    if one.role is Role.CONTROL:
        return "one control counted twice"
    if one.patient != other.patient:
        return f"one tube for the patients {one.patient} and {other.patient}"
    if one.timepoint != other.timepoint:
        return f"one tube for the timepoints {one.timepoint or 'none'} and {other.timepoint or 'none'}"
    return "one tube counted twice"


def _other_detectors(
    rows: Sequence[Sample], looks: Mapping[str, Look], panel_of: Mapping[str, str], sheet: Path
) -> list[Fault]:
    """Markers that stand on a detector which carries another marker in the run's other tubes of the panel."""
    faults: list[Fault] = []
    for panel in dict.fromkeys(panel_of[row.sample] for row in rows):
        tubes = [row for row in rows if panel_of[row.sample] == panel and row.role is not Role.COMPENSATION]
        for row in tubes:
            others = [one for one in tubes if one is not row]
            controls = [one for one in others if one.role is Role.CONTROL]
            if len(controls) >= LEAST_TUBES:
                others = controls
            faults += _against(row, [looks[one.sample].detectors for one in others], looks, sheet)
    return faults


def _against(row: Sample, others: Sequence[Mapping[str, str]], looks: Mapping[str, Look], sheet: Path) -> list[Fault]:
    own = looks[row.sample].detectors
    usual: dict[str, str] = {}
    for marker in own:
        counted = Counter(detectors[marker] for detectors in others if marker in detectors)
        if counted and counted.most_common(1)[0][1] > sum(counted.values()) / 2:
            usual[marker] = counted.most_common(1)[0][0]
    moved = [marker for marker, detector in own.items() if marker in usual and usual[marker] != detector]
    holders = {detector: marker for marker, detector in usual.items()}
    exchanged = [marker for marker in moved if own[marker] in holders and holders[own[marker]] != marker]
    shown = exchanged or moved
    if not shown:
        return []
    several = len(others) >= LEAST_TUBES
    text = "; ".join(f"{marker} on {own[marker]}, elsewhere on {usual[marker]}" for marker in shown[:6])
    error = SheetError(
        _where(row, sheet),
        found=f"{text}: another detector than in the other tubes of the run"
        + (f"; the labels of {' and '.join(exchanged[:4])} look exchanged" if exchanged else ""),
        expected="every marker of a panel on one detector in all tubes",
        todo="look at the worklist: correct the labels in the file, or give tubes that were stained in another way a "
        "panel of their own (column panel)",
    )
    return [Fault(row.sample, error, refused=bool(exchanged) and (several or row.role is not Role.CONTROL))]
