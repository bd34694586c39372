"""``flowmrd inspect``: what a file holds, as stored, without a panel."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from flowmrd.errors import FcsError
from flowmrd.fcs.reader import DataSet, choose, read_fcs

__all__ = ["inspect"]


def inspect(path: Path, sums: bool = False) -> dict[str, Any]:
    """Describe every list-mode data set of a file.

    Parameters
    ----------
    sums
        Also give the sum of the stored values of every channel, integers masked, before gain, log and time scaling.
        Not-a-number and infinity are the words ``NaN``, ``Infinity`` and ``-Infinity``.

    Returns
    -------
    ``{"data_sets": [{index, chosen, version, events, channels: [{pnn, pns}], findings: [{code, message}], sums}]}``,
    ready for JSON. Channel names are as stored.

    Raises
    ------
    FcsError
        If the file cannot be read truthfully.
    """
    data_sets = read_fcs(path)
    try:
        chosen = choose(data_sets).index
    except FcsError:  # several tubes in one file; each is shown
        chosen = None
    return {"data_sets": [_describe(one, sums, one.index == chosen) for one in data_sets]}


def _describe(one: DataSet, sums: bool, chosen: bool) -> dict[str, Any]:
    described: dict[str, Any] = {
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
