"""Table of the controls: findings, decision and by whom, instrument, reagent lots and their expiry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from flowmrd.config import Sample
from flowmrd.records.references import JudgedControl
from flowmrd.report import formatting
from flowmrd.report.batch import BatchTube


def control_rows(
    controls: Iterable[tuple[Sample, BatchTube]], judged: Mapping[str, JudgedControl], accepted: Mapping[str, str]
) -> list[dict[str, object]]:
    """Rows of the table of controls, in the order given.

    Parameters
    ----------
    controls
        Row of the sheet and tube of each control.
    judged
        By sample: judgements of ``reference.json``.
    accepted
        The laboratory's reasons for keeping odd controls (``controls.accepted``).
    """
    rows: list[dict[str, object]] = []
    for row, tube in controls:
        date, expiry = tube.acquisition.date or "", row.expiry or ""
        rows.append(
            {
                "sample": row.sample,
                "panel": tube.panel,
                "date": date,
                "instrument": tube.instrument,
                "lots": row.lots or "",
                "expiry": expiry,
                "expired": bool(date and expiry and date[:10] > expiry[:10]),
                "state": _state(judged.get(row.sample)),
                "why": _why(judged.get(row.sample), accepted.get(row.sample, "")),
            }
        )
    return rows


def _state(control: JudgedControl | None) -> tuple[str, str]:
    """Tone and words."""
    if control is None:
        return "none", "not judged"
    if control.by == "laboratory":
        return ("info", "kept by the laboratory") if control.used else ("warn", "excluded by the laboratory")
    if not control.used:
        return "warn", "left out as odd"
    return ("warn", "odd, kept") if control.verdict == "CONTROL_ODD" else ("pass", "accepted")


def _why(control: JudgedControl | None, accepted: str) -> list[tuple[str, bool]]:
    """Sentences, and whether each is the laboratory's own, so that its reasons are shown as such."""
    if control is None:
        return [("No reference was built from it in this run.", False)]
    own = control.note or accepted
    found = [(formatting.readable(flag.message), False) for flag in control.reasons if flag.code != "CONTROL_EXCLUDED"]
    return [*([(own, True)] if own else []), *found]
