"""Faults of stored values that no working detector has: few events, one value for all events, NaN, a wrong range."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from flowmrd.config.run import QualityConfig
from flowmrd.errors import FcsError
from flowmrd.panel.model import ChannelKind, PanelModel
from flowmrd.preprocess.scaling import FLUORESCENT, stored_ranges
from flowmrd.preprocess.transform import choose_top, upper_value
from flowmrd.records.ingest import Facts

__all__ = ["ValueFault", "refuse_dead_detectors", "value_faults"]

Values = npt.NDArray[np.floating[Any]]

LEAST_EVENTS: Final = 100
"""With fewer events than this, one value for all of them says nothing about the detector."""


@dataclass(frozen=True)
class ValueFault:
    """Something wrong with the stored values of a tube.

    Attributes
    ----------
    found, expected, todo
        As of :class:`flowmrd.errors.InputError`.
    grave
        Whether the tube cannot be evaluated; else a run goes on and says so.
    """

    found: str
    expected: str
    todo: str
    grave: bool


def value_faults(
    columns: Mapping[str, Values], facts: Facts, panel: PanelModel, quality: QualityConfig, *, events: int
) -> list[ValueFault]:
    """What is wrong with the stored values of a tube.

    Parameters
    ----------
    columns
        All events or an even sample of them, as stored, by column; each of shape (n,).
    events
        Events of the whole file.
    """
    faults = []
    if events < quality.min_events:
        faults.append(
            ValueFault(
                f"{events:,} event{'' if events == 1 else 's'} in the file",
                f"at least {quality.min_events:,} (quality.min_events)",
                "acquire the tube again, or export all of its events",
                grave=True,
            )
        )
    dead = _dead(columns, panel, required=False)
    if dead:
        faults.append(
            ValueFault(
                f"one value for all events in the optional {', '.join(dead)}",
                "a detector that was in use",
                "export the tube without this channel if the antibody was not in it",
                grave=False,
            )
        )
    return [*faults, *_not_finite(columns, quality), *_ranges(columns, facts, panel)]


def refuse_dead_detectors(columns: Mapping[str, Values], panel: PanelModel, *, where: str) -> None:
    """Refuse a tube in which a required channel has one value for all events, as if the file lacked the channel.

    Parameters
    ----------
    columns
        All events or an even sample of them, as stored, by column; each of shape (n,).

    Raises
    ------
    FcsError
        If a dye, or forward or side scatter, has one value alone.
    """
    dead = _dead(columns, panel, required=True)
    if dead:
        raise FcsError(
            where,
            found=f"one value for all events in {', '.join(dead)}",
            expected="the signal of cells in every required channel",
            todo="look whether these detectors were in use and whether the file was exported whole, then export or "
            "acquire the tube again",
        )


def _dead(columns: Mapping[str, Values], panel: PanelModel, *, required: bool) -> list[str]:
    """Dyes and scatter areas with one value alone, of the required or of the optional channels."""
    looked_at = [
        channel.marker
        for channel in panel.channels
        if channel.required is required
        and channel.marker in columns
        and (channel.kind in FLUORESCENT or channel.marker in {"FSC-A", "SSC-A"})
    ]
    return [name for name in looked_at if len(columns[name]) >= LEAST_EVENTS and np.ptp(columns[name]) == 0]


def _not_finite(columns: Mapping[str, Values], quality: QualityConfig) -> list[ValueFault]:
    bad = {name: ~np.isfinite(values) for name, values in columns.items()}
    named = [name for name, where in bad.items() if where.any()]
    if not named:
        return []
    together = np.logical_or.reduce(list(bad.values()))
    count, seen = int(together.sum()), len(together)
    grave = count > quality.nonfinite_max * seen
    return [
        ValueFault(
            f"{count:,} of {seen:,} events with NaN or infinity, in {', '.join(named)}",
            "a number for every event" if not grave else f"at most {quality.nonfinite_max:.2%} of the events",
            "export the tube again; a run leaves these events out" if not grave else "export the tube again",
            grave=grave,
        )
    ]


def _ranges(columns: Mapping[str, Values], facts: Facts, panel: PanelModel) -> list[ValueFault]:
    """Channels whose ``$PnR`` is missing, impossible or below their own values, so that the scale needs another top."""
    stored = stored_ranges(facts.channels)
    channels = {channel.marker: channel for channel in panel.channels if channel.marker in columns}
    dyes = [name for name, channel in channels.items() if channel.kind in FLUORESCENT]
    upper = upper_value([columns[name] for name in dyes])
    guessed: dict[float, list[str]] = {}
    for name, channel in channels.items():
        if channel.kind is ChannelKind.TIME or channel.transform.T is not None or len(columns[name]) == 0:
            continue
        top, source = choose_top(stored.get(name), upper if name in dyes else upper_value([columns[name]]))
        if source != "file":
            guessed.setdefault(top, []).append(name)
    return [
        ValueFault(
            f"$PnR missing, not plausible or below the stored values in {', '.join(names)}",
            "the range of the instrument, for example 262144",
            f"correct the export; until then {top:.0f} is taken as the top of these scales (a channel's 'transform: T' "
            "in the panel fixes it)",
            grave=False,
        )
        for top, names in guessed.items()
    ]
