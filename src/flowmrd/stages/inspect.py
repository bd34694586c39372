"""``flowmrd inspect``: content of a file as stored; with a panel, the marker of each channel."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NotRequired, TypedDict

from flowmrd.errors import ChannelError, FcsError
from flowmrd.fcs.reader import DataSet, choose, read_fcs
from flowmrd.panel import PanelModel
from flowmrd.panel.match import MatchResult, match_channels

__all__ = ["InspectedDataSet", "InspectedFile", "inspect"]


class InspectedChannel(TypedDict):
    """A channel as stored; ``marker`` and ``by`` where it was matched to a panel."""

    pnn: str | None
    pns: str | None
    marker: NotRequired[str | None]
    by: NotRequired[str]


class ReadingNote(TypedDict):
    """A finding of the reader."""

    code: str
    message: str


class Misfit(TypedDict):
    """What a run would refuse the file for."""

    found: str
    todo: str


class PanelFit(TypedDict):
    """How a data set fits a panel; ``problem`` is None where it does."""

    name: str
    missing: list[str]
    notes: list[str]
    problem: Misfit | None


class InspectedDataSet(TypedDict):
    """One data set: ``sums`` and ``panel`` where they were wanted."""

    index: int
    chosen: bool
    version: str
    events: int
    channels: list[InspectedChannel]
    findings: list[ReadingNote]
    sums: NotRequired[list[float | str]]
    panel: NotRequired[PanelFit]


class InspectedFile(TypedDict):
    """Every list-mode data set of a file."""

    data_sets: list[InspectedDataSet]


def inspect(path: Path, sums: bool = False, panel: PanelModel | None = None) -> InspectedFile:
    """Describe every list-mode data set of a file.

    Parameters
    ----------
    sums
        Whether to add the sum of the stored values of every channel: integers after masking, before gain, log and time
        scaling. Not-a-number and infinity are the words ``NaN``, ``Infinity`` and ``-Infinity``.
    panel
        Also match the channels with this panel: every channel gets ``marker`` (or null) and ``by`` (``$PnS``, ``$PnN``,
        ``detector``), every data set ``panel``: ``{name, missing, notes, problem}``. ``problem`` is null if the file
        fits, and otherwise the reason for which a run would refuse it.

    Returns
    -------
    ``{"data_sets": [{index, chosen, version, events, channels: [{pnn, pns}], findings: [{code, message}], sums}]}``,
    ready for JSON. Channel names are as stored.

    Raises
    ------
    FcsError
        If the file can only be read by guessing.
    """
    data_sets = read_fcs(path)
    try:
        chosen = choose(data_sets).index
    except FcsError:  # several tubes in one file; each is shown
        chosen = None
    described = [_describe(one, sums, one.index == chosen) for one in data_sets]
    if panel is not None:
        for one, facts in zip(data_sets, described, strict=True):
            _match(one, facts, panel, str(path))
    return {"data_sets": described}


def _match(one: DataSet, facts: InspectedDataSet, panel: PanelModel, where: str) -> None:
    """Add the marker of every channel."""
    names = [(channel.pnn, channel.pns) for channel in one.channels]
    problem: Misfit | None = None
    matched: MatchResult | None = None
    try:
        matched = match_channels(panel, names, where)
    except ChannelError as error:
        problem = {"found": error.found, "todo": error.todo}
        optional = tuple(channel.model_copy(update={"required": False}) for channel in panel.channels)
        try:  # what can be told all the same
            matched = match_channels(panel.model_copy(update={"channels": optional}), names, where)
        except ChannelError:
            matched = None
    for index, channel in enumerate(facts["channels"]):
        entry = None if matched is None else matched.channels[index]
        channel["marker"] = None if entry is None else entry.marker
        channel["by"] = "" if entry is None else entry.by
    facts["panel"] = {
        "name": panel.name,
        "missing": [] if matched is None else list(matched.missing),
        "notes": [] if matched is None else list(matched.notes),
        "problem": problem,
    }


def _describe(one: DataSet, sums: bool, chosen: bool) -> InspectedDataSet:
    described: InspectedDataSet = {
        "index": one.index,
        "chosen": chosen,
        "version": one.version,
        "events": one.n_events,
        "channels": [{"pnn": channel.pnn, "pns": channel.pns} for channel in one.channels],
        "findings": [{"code": finding.code, "message": finding.message} for finding in one.findings],
    }
    if sums:
        described["sums"] = [_word(float(value)) for value in one.raw_sums()]
    return described


def _word(value: float) -> float | str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value
