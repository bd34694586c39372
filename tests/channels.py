"""Channels of a file, as tests make them."""

from __future__ import annotations

from typing import Any

from flowmrd.records.ingest import ChannelEntry


def channel(column: str, pnn: str, **given: Any) -> ChannelEntry:
    """An antibody's channel, matched by ``$PnS``; ``given`` says what is different."""
    usual = {
        "marker": column,
        "kind": "antibody",
        "matched_by": "pns",
        "pns": None,
        "range": None,
        "voltage": None,
        "gain": None,
        "log": None,
        "time": False,
        "compensated": False,
    }
    return ChannelEntry.model_validate({"column": column, "pnn": pnn, **usual, **given})
