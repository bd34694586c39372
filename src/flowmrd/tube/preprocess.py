"""Preprocessing one tube: compensation, transform to the 0..1 scale, quality masks. No event is removed."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from flowmrd.config.run import RunConfig
from flowmrd.errors import TransformError
from flowmrd.panel.gates import ROOT, SingletGate
from flowmrd.panel.model import PanelModel
from flowmrd.preprocess.compensation import Spillover
from flowmrd.preprocess.compensation.evidence import SAMPLE, judge_values
from flowmrd.preprocess.quality import saturated_share
from flowmrd.preprocess.quality.masks import attrition, build_masks
from flowmrd.preprocess.quality.offscale import OffScale, censored_channels, find_offscale, placed_offscale
from flowmrd.preprocess.quality.pulses import check_pulses, exchange_names
from flowmrd.preprocess.quality_record import (
    SAMPLED_EVENTS,
    channel_medians,
    compensation_record,
    offscale_record,
    residual_spillover,
    time_record,
)
from flowmrd.preprocess.scaling import (
    FLUORESCENT,
    CompensatedTube,
    choose_scales,
    compensate_tube,
    find_spillover,
    fluorescence,
    stored_ranges,
)
from flowmrd.preprocess.stored_values import refuse_dead_detectors
from flowmrd.preprocess.transform import ChannelScale
from flowmrd.preprocess.tube_flags import compensation_flags, event_flags, pulse_flags, residual_flags, scale_flags
from flowmrd.records.base import FlagEntry
from flowmrd.records.quality import AnalysableEntry, QualityFile
from flowmrd.records.references import FrozenScale
from flowmrd.threads import one_thread
from flowmrd.tube.thresholds import TubeThresholds
from flowmrd.tube.tube import Tube, require_tube

__all__ = ["QC_SCHEMA_VERSION", "preprocess", "singlet_gate"]

QC_SCHEMA_VERSION = 1

Float32 = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


@one_thread()
def preprocess(
    tube: Tube,
    config: RunConfig | None = None,
    *,
    transforms: Mapping[str, FrozenScale] | None = None,
    spillover: Path | None = None,
    batch: str | None = None,
    base: Path | None = None,
    estimate_width: bool | None = None,
    placed: TubeThresholds | None = None,
    overwrite: bool = False,
) -> Tube:
    """Compensate, transform and mask a tube that has been read.

    Parameters
    ----------
    tube
        With ``facts`` and ``raw``.
    config
        Settings of compensation, transform and quality; the defaults where absent.
    transforms
        Scaling learned from the controls: ``channels`` of ``transform.json``.
    spillover
        CSV with the matrix; it replaces the source that the configuration names.
    batch
        Batch of the tube, for the configuration's spillover CSVs.
    base
        Folder that the configuration's CSV paths are relative to.
    estimate_width
        Estimate W from this tube where neither panel nor ``transforms`` gives it; where absent, as
        ``transform.width`` says with controls, and always without.
    placed
        Thresholds of another tube (:attr:`Tube.placed`). Its matrix, scales and masks are applied to these events as
        they are: nothing is estimated, all other settings are ignored, and ``qc`` stays empty. For the mask of unstable
        stretches, event ``i`` is treated as acquired at row ``positions[i]`` of that tube.
    overwrite
        Whether the columns may overwrite the memory of ``raw``, which must not be used afterwards. This halves the
        memory.

    Returns
    -------
    Tube
        With ``columns`` (float32, 0..1, shape (n_events,)), ``scales``, ``masks``, ``quality`` and ``qc`` as well.

    Raises
    ------
    CompensationError
        If the matrix is missing, malformed or singular, or does not fit these values.
    FcsError
        If a required channel has one value for all events.
    TransformError
        If the values were transformed before the export, or more events than ``quality.nonfinite_max`` hold NaN or
        infinity.
    """
    require_tube(tube, "preprocess_tube")
    settings = config or RunConfig(panel=tube.panel.name, samples="")
    own = settings.for_tube(tube.name)
    if own is not settings:  # a matrix of the tube's own replaces that of the controls
        settings, spillover = own, None
    if placed is not None:
        return _as_placed(tube, _columns_of(tube, overwrite=overwrite), placed)
    pulses = check_pulses(tube.raw)
    tube = _named_by_value(tube, exchange_names(pulses))
    raw = _columns_of(tube, overwrite=overwrite)
    where = tube.where or tube.name
    n = tube.n_events
    matrix = find_spillover(tube.facts, settings, where=where, batch=batch, csv=spillover, base=base)
    looked_at = {column: values[:: max(n // SAMPLE, 1)] for column, values in raw.items()}
    refuse_dead_detectors(looked_at, tube.panel, where=where)
    left = judge_values(looked_at, tube.facts, matrix, where=where)
    stride = max(n // SAMPLED_EVENTS, 1)
    thinned = {column: values[::stride].copy() for column, values in raw.items()}
    offscale = find_offscale(_detectors(raw, tube.panel, matrix), stored_ranges(tube.facts.channels))
    compensated = compensate_tube(raw, tube.facts, tube.panel, matrix)
    if estimate_width is None:
        estimate_width = settings.transform.width == "sample" or (
            transforms is None and settings.transform.width != "fixed"
        )
    frozen = None if settings.transform.width == "sample" else transforms
    scales = choose_scales(compensated, settings, frozen, estimate=estimate_width)
    saturation = {channel: saturated_share(thinned[channel], scale.T) for channel, scale in scales.items() if n}
    del thinned
    flags = compensation_flags(compensated, settings, left) + scale_flags(compensated, scales, transforms, settings)
    residuals = residual_spillover(compensated, scales, offscale=offscale.any)
    censored, bits = _censored(offscale, compensated, scales)
    columns = _to_scale(compensated, scales)
    kinds = {channel: entry.kind for channel, entry in compensated.channels.items()}
    nonfinite = _nonfinite(columns, n)
    _refuse_nonfinite(where, nonfinite, settings.quality.nonfinite_max)
    masks = build_masks(columns, kinds, nonfinite, settings.quality, singlets=singlet_gate(tube.panel))
    flags += [
        *pulse_flags(pulses),
        *masks.flags,
        *event_flags(n, nonfinite, saturation, offscale, settings),
        *residual_flags(residuals, tube.panel.features),
    ]
    qc = QualityFile(
        schema_version=QC_SCHEMA_VERSION,
        sample=tube.name,
        panel=tube.panel.name,
        panel_version=tube.panel.version,
        events=n,
        analysable=AnalysableEntry(
            with_time_mask=int(masks.analysable(with_time=True).sum()),
            without_time_mask=int(masks.analysable(with_time=False).sum()),
            time_mask_applied=settings.quality.time_mask,
        ),
        attrition=attrition(masks),
        flags=tuple(map(FlagEntry.of, flags)),
        compensation=compensation_record(compensated, residuals),
        transforms={channel: scale.as_record() for channel, scale in scales.items()},
        saturation=saturation,
        offscale=offscale_record(offscale, censored, bits),
        time=time_record(masks),
        margins=dict(masks.margins),
        margin_singles=tuple(one.as_record() for one in masks.margin_singles),
        pulses={detector: check.as_record() for detector, check in pulses.items()},
        doublets=masks.doublets.as_record(),
        debris=masks.debris.as_record(),
        dyes=tuple(cut.as_record() for cut in masks.dyes),
        channels=tube.facts.channels,
        medians=channel_medians(columns, scales, masks),
        instrument=tube.facts.instrument,
        acquisition=tube.facts.acquisition,
    )
    return replace(
        tube,
        raw={} if overwrite else tube.raw,
        columns=columns,
        scales=scales,
        masks=masks.masks | _offscale_masks(offscale, bits),
        censored_names=bits,
        censored=censored,
        quality=settings.quality,
        qc=qc,
    )


def _as_placed(tube: Tube, raw: Mapping[str, Float32], placed: TubeThresholds) -> Tube:
    """Put events through matrix, scales and masks of another tube."""
    offscale = placed_offscale(_detectors(raw, tube.panel, placed.spillover), placed.offscale)
    compensated = compensate_tube(raw, tube.facts, tube.panel, placed.spillover)
    censored, bits = _censored(offscale, compensated, placed.scales)
    columns = _to_scale(compensated, placed.scales)
    masks = placed.masks.apply(columns, _nonfinite(columns, tube.n_events), tube.positions)
    masks |= _offscale_masks(offscale, bits)
    return replace(tube, columns=columns, scales=placed.scales, masks=masks, censored_names=bits, censored=censored)


def _named_by_value(tube: Tube, names: Mapping[str, str]) -> Tube:
    """The tube with pulse height and width under their own names; columns stay in the file's order."""
    if not names:
        return tube
    raw = {names.get(column, column): values for column, values in tube.raw.items()}
    channels = tuple(
        entry.model_copy(
            update={
                "column": names.get(entry.column, entry.column),
                "marker": None if entry.marker is None else names.get(entry.marker, entry.marker),
            }
        )
        for entry in tube.facts.channels
    )
    return replace(tube, raw=raw, facts=tube.facts.model_copy(update={"channels": channels}))


def singlet_gate(panel: PanelModel) -> SingletGate | None:
    """The panel's singlet gate at the root, which the doublet mask must agree with."""
    for gate in panel.gates:
        if isinstance(gate, SingletGate) and gate.parent == ROOT:
            return gate
    return None


def _detectors(stored: Mapping[str, Float32], panel: PanelModel, matrix: Spillover | None) -> dict[str, Float32]:
    """Fluorescence columns as stored: those of the panel, and others whose spill the matrix takes off."""
    dyes = [channel.marker for channel in panel.channels if channel.kind in FLUORESCENT]
    others = [] if matrix is None else [name for name in matrix.names if name not in dyes]
    return {name: stored[name] for name in (*dyes, *others) if name in stored}


def _censored(
    offscale: OffScale, tube: CompensatedTube, scales: Mapping[str, ChannelScale]
) -> tuple[npt.NDArray[np.uint32], tuple[str, ...]]:
    matrix = tube.spillover
    dyes = {name: tube.columns[name] for name in fluorescence(tube)}
    if matrix is None:
        return censored_channels(offscale, dyes, scales, (), None)
    return censored_channels(offscale, dyes, scales, matrix.names, matrix.inverse())


def _offscale_masks(offscale: OffScale, channels: tuple[str, ...]) -> dict[str, Mask]:
    return {f"offscale_{name}": offscale.masks[name] for name in channels} | {"offscale": offscale.any}


def _columns_of(tube: Tube, *, overwrite: bool) -> dict[str, Float32]:
    if overwrite:
        for values in tube.raw.values():
            with suppress(ValueError):  # memory of a file, which is copied where it would be written to
                values.flags.writeable = True
        return dict(tube.raw)
    return {name: _read_only(values) for name, values in tube.raw.items()}


def _read_only(values: Float32) -> Float32:
    view = values.view()
    view.flags.writeable = False
    return view


def _to_scale(tube: CompensatedTube, scales: Mapping[str, ChannelScale]) -> dict[str, Float32]:
    """All columns on the 0..1 scale; compensated ones are overwritten in place, stored ones copied."""
    result: dict[str, Float32] = {}
    for name, values in tube.columns.items():
        if name not in scales:
            result[name] = values
        else:
            result[name] = scales[name].apply(values, out=values if values.flags.writeable else None)
    return result


def _nonfinite(columns: Mapping[str, Float32], n: int) -> Mask:
    bad = np.zeros(n, dtype=np.bool_)
    for values in columns.values():
        bad |= ~np.isfinite(values)
    return bad


def _refuse_nonfinite(name: str, nonfinite: Mask, limit: float) -> None:
    count = int(np.count_nonzero(nonfinite))
    if count > limit * len(nonfinite):
        raise TransformError(
            name,
            found=f"{count} of {len(nonfinite)} events with NaN or infinity",
            expected=f"at most {limit:.2%} of the events",
            todo="export the file again; if the instrument writes such values on purpose, raise quality.nonfinite_max",
        )
