"""Stage ``transform-reference``: T and W of every channel learned from a panel's controls, then frozen.

Every tube of the panel is scaled with these numbers, so that a position on the 0..1 scale means the same in a control,
at diagnosis and at follow-up. A tube's own estimate would move with its composition.

``transform.json`` (schema_version 1)::

    schema_version, panel, panel_version, controls: [name]
    channels: {channel: {kind, T, M, W, A, cofactor, T_source, W_source, per_control: {name: {T, W}}}}

W of a channel is the median over the controls that have enough negative events (W_source ``controls``), else the
default width (``default``); T is the largest of the controls' (they agree where one instrument was used).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from flowmrd.config.run import RunConfig
from flowmrd.errors import ArtefactError
from flowmrd.panel.model import PanelModel
from flowmrd.preprocess.transform import ChannelScale
from flowmrd.stages.scaling import choose_scales, compensate_tube, find_spillover
from flowmrd.store import open_columns, read_json, write_json

__all__ = ["transform_reference"]

SCHEMA_VERSION = 1


def transform_reference(
    tubes: Mapping[str, tuple[Path, Path]],
    *,
    panel: PanelModel,
    config: RunConfig,
    out: Path,
    batches: Mapping[str, str | None] | None = None,
    spillover: Path | None = None,
    base: Path | None = None,
) -> None:
    """Learn the scaling from control tubes.

    Parameters
    ----------
    tubes
        Control's name to its ``events.arrow`` and ``ingest.json``.
    batches
        Control's name to its batch, for the configuration's spillover CSVs.
    spillover, base
        As in :func:`flowmrd.stages.preprocess.preprocess`.

    Raises
    ------
    ArtefactError
        If there is no control tube.
    CompensationError
        If a control has no usable spillover matrix.
    """
    if not tubes:
        raise ArtefactError(
            f"controls of panel {panel.name}",
            found="no control tube",
            expected="at least one",
            todo="add rows with role 'control' to the sample sheet, or run without a transform reference",
        )
    found: dict[str, dict[str, ChannelScale]] = {}
    for name, (events, record) in tubes.items():
        facts = read_json(record)
        matrix = find_spillover(facts, config, where=name, batch=(batches or {}).get(name), csv=spillover, base=base)
        with open_columns(events) as store:
            tube = compensate_tube({column: store[column] for column in store}, facts, panel, matrix)
            found[name] = choose_scales(tube, config, None, estimate=config.transform.width != "fixed")
    write_json(
        out,
        {
            "schema_version": SCHEMA_VERSION,
            "panel": panel.name,
            "panel_version": panel.version,
            "controls": list(tubes),
            "channels": {
                channel.marker: _combine(channel.marker, found, config)
                for channel in panel.channels
                if any(channel.marker in scales for scales in found.values())
            },
        },
    )


def _combine(marker: str, found: Mapping[str, Mapping[str, ChannelScale]], config: RunConfig) -> dict[str, Any]:
    scales = {name: by_channel[marker] for name, by_channel in found.items() if marker in by_channel}
    first = next(iter(scales.values()))
    top = max(scales.values(), key=lambda scale: scale.T)
    combined = replace(first, T=top.T, T_source=top.T_source)
    if first.kind == "logicle" and first.W_source in ("sample", "default"):
        estimated = [scale.W for scale in scales.values() if scale.W_source == "sample"]
        combined = (
            replace(combined, W=median(estimated), W_source="controls")
            if estimated
            else replace(combined, W=config.transform.default_width, W_source="default")
        )
    return combined.as_record() | {
        "per_control": {name: {"T": scale.T, "W": scale.W} for name, scale in scales.items()}
    }
