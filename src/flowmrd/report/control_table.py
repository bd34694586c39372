"""Table of the controls: findings, decision and by whom, instrument, reagent lots and their expiry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flowmrd.records.references import JudgedControl
from flowmrd.report import formatting


@dataclass(frozen=True)
class ControlFacts:
    """Facts about one control from the sheet and the file; empty where unknown."""

    sample: str
    panel: str
    date: str = ""
    instrument: str = ""
    lots: str = ""
    expiry: str = ""

    @property
    def expired(self) -> bool:
        """Whether the control was acquired after its reagents' day of expiry."""
        return bool(self.date and self.expiry and self.date[:10] > self.expiry[:10])


def control_rows(
    facts: Sequence[ControlFacts], judged: Mapping[str, JudgedControl], accepted: Mapping[str, str]
) -> list[dict[str, object]]:
    """Rows of the table of controls, in the order of the sheet.

    Parameters
    ----------
    judged
        By sample: judgements of ``reference.json``.
    accepted
        The laboratory's reasons for keeping odd controls (``controls.accepted``).
    """
    return [
        {
            "facts": one,
            "state": _state(judged.get(one.sample)),
            "why": _why(judged.get(one.sample), accepted.get(one.sample, "")),
        }
        for one in facts
    ]


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
