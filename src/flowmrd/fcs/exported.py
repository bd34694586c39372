"""What an export program did to the values, as far as channel names and keywords show it.

A cytometer stores linear, uncompensated values. Analysis programs export compensated, unmixed or transformed values,
and each marks them in its own way. Where neither names nor keywords mark them, the values themselves are examined
(:mod:`flowmrd.preprocess.compensation.evidence`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flowmrd.fcs.layout import Parameter
from flowmrd.panel.names import says_compensated, starts_with_dye, tokens

__all__ = ["ExportState", "export_state"]

_YES = frozenset({"TRUE", "YES", "1", "ON", "Y"})
_DONE = frozenset({"APPLIED", "COMPENSATED", "UNMIXED", "DONE"})
_ASKS_FOR_DISPLAY = frozenset({"APPLYCOMPENSATION", "COMPENSATIONMODE"})
"""Settings of the acquisition screen (FACSDiva, MACSQuant): the stored values stay as measured."""

_SPECTRAL = ("AURORA", "NORTHERNLIGHTS", "ID7000", "SA3800", "SP6800", "FACSDISCOVER", "BIGFOOT", "XENITH", "MOSAIC")
"""Instruments whose channels bear the name of a dye only after unmixing."""

_TRANSFORM_WORDS = re.compile(r"ASINH|ARCSINH|LOGICLE|BIEX|HYPERLOG|LOG|CUSTOM|VSN|SQRT|ROOT")


@dataclass(frozen=True)
class ExportState:
    """What channel names and keywords say about the values.

    Attributes
    ----------
    compensated
        0-based channels whose values were compensated or unmixed before the export.
    by
        The evidence, for messages: names of keywords and naming conventions, never a value.
    transform
        Keyword that marks transformed values; empty where there is none.
    """

    compensated: tuple[int, ...] = ()
    by: str = ""
    transform: str = ""


def export_state(keywords: Mapping[str, str], described: Sequence[Parameter]) -> ExportState:
    """Find marks of compensation, unmixing or transformation in the channel names and keywords of a data set."""
    colours = [index for index, parameter in enumerate(described) if not parameter.time]
    transform = next((key for key in sorted(keywords) if _says_transformed(key, keywords[key])), "")
    key = next((key for key in sorted(keywords) if _says_all_compensated(key, keywords[key])), "")
    if key:
        return ExportState(tuple(colours), f"the keyword {key}", transform)
    named = [index for index in colours if says_compensated(described[index].pnn) or _labelled(described[index].pns)]
    if named:
        return ExportState(tuple(named), "the channel names", transform)
    typed = [index for index in colours if "UNMIXED" in _type(keywords, described[index].number)]
    if typed:
        return ExportState(tuple(typed), "$PnTYPE (unmixed)", transform)
    if any(word in re.sub(r"[^A-Z0-9]", "", keywords.get("$CYT", "").upper()) for word in _SPECTRAL):
        dyes = _dyes(described, colours)
        if dyes:
            return ExportState(
                tuple(dyes), "dye names on a spectral instrument, which has them only unmixed", transform
            )
    return ExportState(transform=transform)


def _dyes(described: Sequence[Parameter], colours: Sequence[int]) -> list[int]:
    """Channels that are named after a dye; a name that may be a dye's is one beside others that are."""
    dyes = [index for index in colours if _is_dye(described[index].pnn)]
    return [index for index in colours if index in dyes or _may_be_dye(described[index].pnn)] if dyes else []


def _labelled(pns: str | None) -> bool:
    """Whether ``$PnS`` begins with the mark of FlowJo or flowWorkspace (``Comp-PE-A :: CD22``)."""
    return pns is not None and re.match(r"\s*(?:FJ)?comp[-_:]", pns, re.IGNORECASE) is not None


def _type(keywords: Mapping[str, str], number: int) -> str:
    return (keywords.get(f"$P{number}TYPE") or keywords.get(f"P{number}TYPE") or "").upper()


def _says_all_compensated(key: str, value: str) -> bool:
    name, said = re.sub(r"[^A-Z]", "", key.upper()), value.strip().upper()
    if name in _ASKS_FOR_DISPLAY or not re.search(r"COMPENSAT|UNMIX|SPILLOVERAPPLIED", name):
        return False
    return said in _DONE or (said in _YES and re.search(r"COMPENSATED|APPLIED|UNMIXED", name) is not None)


def _says_transformed(key: str, value: str) -> bool:
    if "TRANSFORM" not in key.upper():
        return False
    return _TRANSFORM_WORDS.search(value.upper()) is not None


def _is_dye(pnn: str | None) -> bool:
    """Whether a detector is named after a dye: ``BV421-A``, not ``V1-A`` or ``CH05``."""
    words = tokens(pnn or "")
    return bool(words) and starts_with_dye(words[0]) and re.match(r"(FL|[VBRYGU]|UV|YG)\d", words[0]) is None


def _may_be_dye(pnn: str | None) -> bool:
    """Whether a name is that of a dye and could be that of a detector of the violet laser as well."""
    return (tokens(pnn or "") or [""])[0] in {"V450", "V500"}
