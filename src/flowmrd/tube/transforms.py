"""Scales learned from the control tubes of a panel, to be frozen for every tube of the run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from flowmrd.config.run import RunConfig
from flowmrd.errors import ArtefactError
from flowmrd.gating.reference import usual
from flowmrd.preprocess.compensation.evidence import SAMPLE
from flowmrd.preprocess.scaling import choose_scales, compensate_tube, find_spillover
from flowmrd.preprocess.transform import ChannelScale
from flowmrd.records.references import ControlScale, FrozenScale, LabelsEntry, TransformFile
from flowmrd.tube.labels import detectors_and_dyes, pattern_of_tube
from flowmrd.tube.tube import Tube, require_tube

__all__ = ["TRANSFORMS_SCHEMA_VERSION", "transforms_of_controls"]

TRANSFORMS_SCHEMA_VERSION = 1


def transforms_of_controls(
    tubes: Iterable[Tube],
    config: RunConfig | None = None,
    *,
    batches: Mapping[str, str | None] | None = None,
    spillover: Path | None = None,
    base: Path | None = None,
) -> TransformFile:
    """Learn T and W of every channel from control tubes that have been read.

    Parameters
    ----------
    tubes
        Controls of one panel, with ``facts`` and ``raw``; taken one after the other.
    config
        Settings of compensation and transform; the defaults where absent.
    batches
        Control's name to its batch, for the configuration's spillover CSVs.
    spillover, base
        As in :func:`flowmrd.tube.preprocess.preprocess`.

    Returns
    -------
    TransformFile
        The content of ``transform.json``; its ``channels`` are what ``preprocess`` takes as ``transforms``.

    Raises
    ------
    ArtefactError
        If there is no control tube.
    CompensationError
        If a control has no usable spillover matrix.
    """
    found: dict[str, dict[str, ChannelScale]] = {}
    labels: dict[str, LabelsEntry] = {}
    panel = None
    settings = config
    for tube in tubes:
        require_tube(tube, "transforms_of_controls")
        panel = tube.panel
        settings = settings or RunConfig(panel=panel.name, samples="")
        name = tube.name
        own = settings.for_tube(name)
        matrix = find_spillover(
            tube.facts,
            own,
            where=tube.where or name,
            batch=(batches or {}).get(name),
            csv=spillover if own is settings else None,
            base=base,
        )
        thinned = {column: values[:: max(tube.n_events // SAMPLE, 1)] for column, values in tube.raw.items()}
        labels_of_file = detectors_and_dyes(tube.facts.channels, panel)
        pattern = pattern_of_tube(thinned, tube.facts.channels, matrix)
        labels[name] = LabelsEntry(
            detectors=dict(labels_of_file.detectors),
            tags=dict(labels_of_file.tags),
            pattern=None if pattern is None else pattern.as_record(),
        )
        raw = {column: values.view() for column, values in tube.raw.items()}
        for values in raw.values():
            values.flags.writeable = False
        compensated = compensate_tube(raw, tube.facts, panel, matrix)
        found[name] = choose_scales(compensated, settings, None, estimate=settings.transform.width != "fixed")
    if panel is None or settings is None:
        raise ArtefactError(
            "scales of the controls",
            found="no control tube",
            expected="at least one",
            todo="add rows with role 'control' to the sample sheet, or run without a transform reference",
        )
    return TransformFile(
        schema_version=TRANSFORMS_SCHEMA_VERSION,
        panel=panel.name,
        panel_version=panel.version,
        controls=tuple(found),
        channels={
            channel.marker: _combine(channel.marker, found, settings)
            for channel in panel.channels
            if any(channel.marker in scales for scales in found.values())
        },
        labels=labels,
    )


def _combine(marker: str, found: Mapping[str, Mapping[str, ChannelScale]], config: RunConfig) -> FrozenScale:
    scales = {name: by_channel[marker] for name, by_channel in found.items() if marker in by_channel}
    first = next(iter(scales.values()))
    top = max(scales.values(), key=lambda scale: scale.T)
    combined = replace(first, T=top.T, T_source=top.T_source)
    if first.kind == "logicle" and first.W_source in ("sample", "default"):
        estimated = [scale.W for scale in scales.values() if scale.W_source == "sample"]
        combined = (
            replace(combined, W=float(np.median(usual(estimated))), W_source="controls")
            if estimated
            else replace(combined, W=config.transform.default_width, W_source="default")
        )
    per_control = {name: ControlScale(T=scale.T, W=scale.W) for name, scale in scales.items()}
    return FrozenScale(**dict(combined.as_record()), per_control=per_control)
