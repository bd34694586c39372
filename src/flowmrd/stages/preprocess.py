"""Stage ``preprocess``: compensate, bring to 0..1, mask. One row per event in file order, none removed.

``preprocessed.arrow``
    The panel's channels on the 0..1 scale (float32), time in seconds, and one boolean column ``mask_<step>`` per step
    of :data:`flowmrd.preprocess.quality.masks.STEPS` (True = masked). ``mask_offscale_<channel>`` and
    ``mask_offscale``: off scale in this, in any fluorescence detector; no event is left out for that. ``censored``
    uint32: bit i is set where channel i of the metadata key ``censored`` (a JSON list) is no measurement in this event.
    Metadata key ``transforms``: JSON, channel to its scale.

``qc.json`` (schema_version 1)::

    schema_version, sample, panel, panel_version, events
    analysable:   {with_time_mask, without_time_mask, time_mask_applied}
    attrition:    [{step, masked, removed, remaining}]     # first row: step "acquired"; masked = by this step alone
    flags:        [{code, level, message}]                  # level: info | warn | fail
    compensation: {source, condition, notes, channels, matrix, uncompensated,
                   residuals: [{source, target, ratio, slope, n_bright, state}]}   # ok|over|under|coexpressed|undecided
                  # source "none": condition null, channels, matrix and residuals empty
    transforms:   {channel: {kind, T, M, W, A, cofactor, T_source, W_source}}      # time is absent
    saturation:   {channel: share of events at the top of the range}               # scatter and fluorescence
    offscale:     {channel: {edge, how, events, share, censored}}                  # fluorescence, before compensation
                  # edge: raw units or null; how: range | pile | none; censored: events in which the channel is no
                  # measurement because some detector was off scale (flowmrd.preprocess.quality.offscale)
    time:         {checked, reason, limit, channels, steps_back,
                   bins: [{first, last, seconds, rate, score, worst, shift, shifted, bad,
                          medians: [per channel]}],         # at most 200; bad = masked
                   drift: [{channel, rho, range}]}          # seconds, rate null without a time channel
    doublets:     {kind, x, y, low, high, centre, spread, method, n_events, reason}  # quality.DoubletBand
    debris:       {fsc, ssc, cd45, anchor, method, reason}  # quality.DebrisCut
    dyes:         [{channel, value, masked_side, reason}]  # quality.DyeCut
    channels:     [{column, marker, kind, pnn, pns, range, voltage, ...}]               # as recorded by ingest
    medians:      {channel: median on 0..1 of analysable singlets, or null}             # for Levey-Jennings charts
    instrument, acquisition: as recorded by ingest
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from flowmrd.config.run import CompensationConfig, RunConfig
from flowmrd.config.sheet import Sample
from flowmrd.errors import TransformError
from flowmrd.flags import Flag, flag
from flowmrd.panel.gates import ROOT, SingletGate
from flowmrd.panel.model import PanelModel
from flowmrd.preprocess.compensation import Spillover
from flowmrd.preprocess.compensation.residuals import measure_residuals
from flowmrd.preprocess.quality import PILE_UP_WARN, saturated_share
from flowmrd.preprocess.quality.masks import MaskSet, attrition, build_masks
from flowmrd.preprocess.quality.offscale import OFFSCALE_WARN, OffScale, censored_channels, find_offscale
from flowmrd.preprocess.quality.sampling import sampled_rows
from flowmrd.preprocess.quality.time import LIMIT
from flowmrd.preprocess.transform import ChannelScale, choose_top
from flowmrd.preprocess.transform.logicle import logicle_table
from flowmrd.stages.scaling import (
    FLUORESCENT,
    CompensatedTube,
    choose_scales,
    compensate_tube,
    find_spillover,
    fluorescence,
    scales_as_text,
    stored_ranges,
)
from flowmrd.store import open_columns, read_json, write_columns, write_json

__all__ = ["SCHEMA_VERSION", "preprocess", "preprocess_file", "singlet_settings"]

SCHEMA_VERSION = 1
SIDE_SCATTER = frozenset({"SSC-A", "SSC-H", "SSC-W"})
"""Saturated side scatter is usual (granulocytes) and kept in the denominator: told, not warned about."""

SAMPLED_EVENTS = 50_000
"""Events that enter estimates which need no more; taken evenly over the run."""

Float32 = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


def preprocess(
    events: Path,
    record: Path,
    *,
    panel: PanelModel,
    config: RunConfig,
    transforms: Path | None,
    out: Path,
    qc: Path,
    sample: Sample | None = None,
    spillover: Path | None = None,
    base: Path | None = None,
    estimate_width: bool | None = None,
) -> None:
    """Compensate, transform and mask one tube.

    Parameters
    ----------
    events, record
        ``events.arrow`` and ``ingest.json`` of the tube.
    transforms
        ``transform.json`` of the panel's controls, or None where there are no controls.
    out, qc
        Files to write.
    sample
        The tube's row of the sheet (name and batch); a nameless tube without a batch where absent.
    spillover
        Matrix made from single-stain controls, or a CSV to use instead of the configuration's source.
    base
        Folder that the configuration's CSV paths are relative to (that of the sample sheet).
    estimate_width
        Estimate W from this tube where nothing else gives it; None: as ``transform.width`` says (only for ``sample``).

    Raises
    ------
    CompensationError
        If the matrix asked for is missing, malformed or singular.
    TransformError
        If more events than ``quality.nonfinite_max`` hold NaN or infinity.
    """
    facts = read_json(record)
    name = sample.sample if sample is not None else out.stem
    settings = Settings(
        name=name,
        where=name,
        batch=sample.batch if sample is not None else None,
        panel=panel,
        config=config,
        frozen=read_json(transforms)["channels"] if transforms is not None else None,
        spillover=spillover,
        base=base,
        estimate_width=config.transform.width == "sample" if estimate_width is None else estimate_width,
    )
    with open_columns(events) as store:
        _preprocess({column: store[column] for column in store}, facts, settings, out=out, qc=qc)


@dataclass(frozen=True)
class Settings:
    """What preprocessing one tube depends on besides its events."""

    name: str
    where: str
    batch: str | None
    panel: PanelModel
    config: RunConfig
    frozen: Mapping[str, Any] | None
    spillover: Path | None
    base: Path | None
    estimate_width: bool


def _preprocess(
    stored: Mapping[str, Float32], facts: Mapping[str, Any], settings: Settings, *, out: Path, qc: Path | None
) -> None:
    """Do the stage on columns in memory; writeable columns are overwritten, read-only ones are copied."""
    panel, config = settings.panel, settings.config
    n = len(next(iter(stored.values())))
    matrix = find_spillover(
        facts, config, where=settings.where, batch=settings.batch, csv=settings.spillover, base=settings.base
    )
    stride = max(n // SAMPLED_EVENTS, 1)
    thinned = {column: values[::stride].copy() for column, values in stored.items()}
    offscale = find_offscale(_detectors(stored, panel, matrix), stored_ranges(facts))
    tube = compensate_tube(stored, facts, panel, matrix)
    frozen = None if config.transform.width == "sample" else settings.frozen
    scales = choose_scales(tube, config, frozen, estimate=settings.estimate_width)
    saturation = {channel: saturated_share(thinned[channel], scale.T) for channel, scale in scales.items() if n}
    del thinned
    flags = _compensation_flags(tube, config) + _scale_flags(tube, scales, settings.frozen, config)
    residuals = _residuals(tube, scales)
    censored, bits = censored_channels(
        offscale,
        {name: tube.columns[name] for name in fluorescence(tube)},
        scales,
        matrix.names if matrix is not None else (),
        matrix.inverse() if matrix is not None else None,
    )
    columns = _to_scale(tube, scales)
    kinds = {channel: entry.kind for channel, entry in tube.channels.items()}
    nonfinite = _nonfinite(columns, n)
    _refuse_nonfinite(settings.where, nonfinite, config.quality.nonfinite_max)
    masks = build_masks(columns, kinds, nonfinite, config.quality, doublet_settings=singlet_settings(panel))
    flags += [*masks.flags, *_event_flags(n, nonfinite, saturation, offscale, config), *_residual_flags(residuals)]
    write_columns(
        out,
        {
            **columns,
            **{f"mask_{step}": mask for step, mask in masks.masks.items()},
            **{f"mask_offscale_{name}": offscale.masks[name] for name in bits},
            "mask_offscale": offscale.any,
            "censored": censored,
        },
        {"transforms": scales_as_text(scales), "censored": json.dumps(bits)},
    )
    if qc is None:
        return
    record = {
        "schema_version": SCHEMA_VERSION,
        "sample": settings.name,
        "panel": panel.name,
        "panel_version": panel.version,
        "events": n,
        "analysable": {
            "with_time_mask": int(masks.analysable(with_time=True).sum()),
            "without_time_mask": int(masks.analysable(with_time=False).sum()),
            "time_mask_applied": config.quality.time_mask,
        },
        "attrition": attrition(masks),
        "flags": [flag.as_record() for flag in flags],
        "compensation": _compensation_record(tube, residuals),
        "transforms": {channel: scale.as_record() for channel, scale in scales.items()},
        "saturation": saturation,
        "offscale": _offscale_record(offscale, censored, bits),
        "time": _time_record(masks),
        "doublets": masks.doublets.as_record(),
        "debris": masks.debris.as_record(),
        "dyes": [cut.as_record() for cut in masks.dyes],
        "channels": facts["channels"],
        "medians": _medians(columns, scales, masks),
        "instrument": facts["instrument"],
        "acquisition": facts["acquisition"],
    }
    write_json(qc, record)


def preprocess_file(
    fcs: Path,
    *,
    panel: PanelModel,
    config: RunConfig,
    out: Path,
    qc: Path | None = None,
    transforms: Path | None = None,
    spillover: Path | None = None,
    dataset: int | None = None,
) -> None:
    """Read and preprocess one file, outside of any run: the work of ``flowmrd preprocess FILE``.

    W is estimated from the file itself where neither panel nor ``transforms`` gives it. Everything happens in one
    copy of the events, and without the second reader and the hash that ``ingest`` adds for a run.

    Parameters
    ----------
    fcs
        FCS or LMD file.
    out
        Column file to write (columns named by marker, see :func:`preprocess`).
    qc
        Where to keep ``qc.json``; not kept where absent.
    transforms, spillover
        Frozen scaling, and a CSV to use instead of the file's matrix.
    dataset
        Data set of a file with several.

    Raises
    ------
    FcsError, ChannelError, CompensationError, TransformError
        As ingest and :func:`preprocess` raise them.
    """
    from flowmrd.stages.ingest import read_columns

    columns, facts = read_columns(fcs, panel=panel, dataset=dataset, others=spillover is not None)
    settings = Settings(
        name=fcs.stem,
        where=str(fcs),
        batch=None,
        panel=panel,
        config=config,
        frozen=read_json(transforms)["channels"] if transforms is not None else None,
        spillover=spillover,
        base=None,
        estimate_width=config.transform.width != "fixed",
    )
    _preprocess(columns, facts, settings, out=out, qc=qc)


def singlet_settings(panel: PanelModel) -> dict[str, Any]:
    """Settings of the panel's singlet gate at the root, so that the doublet mask and the gate agree."""
    for gate in panel.gates:
        if isinstance(gate, SingletGate) and gate.parent == ROOT:
            return {"area": gate.area, "partners": gate.partners, "n_mad": gate.n_mad, "min_events": gate.min_events}
    return {}


def _detectors(stored: Mapping[str, Float32], panel: PanelModel, matrix: Spillover | None) -> dict[str, Float32]:
    """Fluorescence columns as stored: those of the panel, and others whose spill the matrix takes off."""
    dyes = [channel.marker for channel in panel.channels if channel.kind in FLUORESCENT]
    others = [] if matrix is None else [name for name in matrix.names if name not in dyes]
    return {name: stored[name] for name in (*dyes, *others) if name in stored}


def _offscale_record(
    offscale: OffScale, censored: npt.NDArray[np.uint32], bits: Sequence[str]
) -> dict[str, dict[str, Any]]:
    held = censored[censored != 0]
    counts = {name: int(np.count_nonzero(held >> np.uint32(place) & np.uint32(1))) for place, name in enumerate(bits)}
    return {name: top.as_record() | {"censored": counts.get(name)} for name, top in offscale.tops.items()}


def _to_scale(tube: CompensatedTube, scales: Mapping[str, ChannelScale]) -> dict[str, Float32]:
    """All columns on the 0..1 scale; compensated ones are overwritten in place, stored ones copied."""
    result: dict[str, Float32] = {}
    for name, values in tube.columns.items():
        if name not in scales:
            result[name] = values
        else:
            result[name] = scales[name].apply(values, out=values if values.flags.writeable else None)
    logicle_table.cache_clear()  # half a megabyte a channel that this process needs no more
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


def _compensation_flags(tube: CompensatedTube, config: RunConfig) -> list[Flag]:
    flags: list[Flag] = []
    matrix = tube.spillover
    if matrix is None:
        return [flag("NOT_COMPENSATED")]
    settings = config.compensation
    limit = settings.max_condition if isinstance(settings, CompensationConfig) else CompensationConfig().max_condition
    if matrix.condition > limit:
        flags.append(flag("SPILLOVER_ILL_CONDITIONED", condition=matrix.condition, limit=limit))
    for note in matrix.notes:
        flags.append(flag("SPILLOVER_RESCALED", note=note))
    if tube.uncompensated:
        flags.append(flag("CHANNELS_NOT_IN_SPILLOVER", channels=", ".join(tube.uncompensated)))
    rows, targets = np.nonzero(np.abs(matrix.matrix - np.eye(len(matrix.names))) > 1.0)
    if len(rows):
        pairs = [f"{matrix.names[i]} into {matrix.names[j]}" for i, j in zip(rows, targets, strict=True)]
        flags.append(flag("SPILLOVER_ABOVE_ONE", pairs=", ".join(pairs[:5])))
    identity = np.allclose(matrix.matrix, np.eye(len(matrix.names)))
    if identity:
        flags.append(flag("SPILLOVER_IDENTITY"))
    return flags


def _scale_flags(
    tube: CompensatedTube, scales: Mapping[str, ChannelScale], frozen: Mapping[str, Any] | None, config: RunConfig
) -> list[Flag]:
    flags: list[Flag] = []
    guessed = [name for name, scale in scales.items() if scale.T_source == "ladder"]
    if guessed:
        flags.append(flag("RANGE_NOT_SOUND", channels=", ".join(guessed), top=scales[guessed[0]].T))
    default = [name for name, scale in scales.items() if scale.W_source == "default"]
    if default:
        reason = "no controls to estimate it from" if frozen is None else "too few negative events in the controls"
        if config.transform.width == "sample":
            reason = "too few negative events in this tube"
        flags.append(flag("LOGICLE_WIDTH_DEFAULT", channels=", ".join(default), why=reason))
    if frozen is not None:
        own = {name: choose_top(tube.ranges[name], tube.upper)[0] for name in fluorescence(tube)}
        other = [name for name, top in own.items() if scales[name].T_source != "panel" and top != scales[name].T]
        if other:
            flags.append(
                flag(
                    "RANGE_DIFFERS_FROM_CONTROLS",
                    own=own[other[0]],
                    controls=scales[other[0]].T,
                    channels=", ".join(other),
                )
            )
    return flags


def _event_flags(
    n: int, nonfinite: Mask, saturation: Mapping[str, float], offscale: OffScale, config: RunConfig
) -> list[Flag]:
    flags: list[Flag] = []
    if n < config.quality.min_events:
        flags.append(flag("TOO_FEW_EVENTS_ACQUIRED", events=n, least=config.quality.min_events))
    bad = int(np.count_nonzero(nonfinite))
    if bad:
        flags.append(flag("NONFINITE_EVENTS", events=bad))
    high = {name: share for name, share in saturation.items() if share > PILE_UP_WARN and name not in offscale.tops}
    high |= {name: top.share for name, top in offscale.tops.items() if top.share > OFFSCALE_WARN}
    for code, chosen in (
        ("SIDE_SCATTER_SATURATED", [name for name in high if name in SIDE_SCATTER]),
        ("DETECTOR_SATURATED", [name for name in high if name not in SIDE_SCATTER]),
    ):
        if chosen:
            flags.append(flag(code, channels=", ".join(f"{name} {high[name]:.1%}" for name in chosen)))
    return flags


def _residuals(tube: CompensatedTube, scales: Mapping[str, ChannelScale]) -> list[dict[str, Any]]:
    """Residual spillover among the compensated columns, from about 30,000 evenly spaced events."""
    if tube.spillover is None:
        return []
    names = [name for name in fluorescence(tube) if name not in tube.uncompensated]
    if not names:
        return []
    stride = max(len(tube.columns[names[0]]) // 30_000, 1)
    thinned = {name: tube.columns[name][::stride].astype(np.float64) for name in names}
    finite = np.logical_and.reduce([np.isfinite(values) for values in thinned.values()])
    thinned = {name: values[finite] for name, values in thinned.items()}
    return [item.as_record() for item in measure_residuals(thinned, {name: scales[name].T for name in names})]


def _residual_flags(residuals: Sequence[Mapping[str, Any]]) -> list[Flag]:
    flags: list[Flag] = []
    for state, code in (("over", "OVERCOMPENSATED"), ("under", "UNDERCOMPENSATED")):
        pairs = sorted((item for item in residuals if item["state"] == state), key=lambda item: -abs(item["ratio"]))
        if pairs:
            named = ", ".join(f"{item['source']} into {item['target']} ({item['ratio']:+.1%})" for item in pairs[:5])
            flags.append(flag(code, pairs=named))
    return flags


def _compensation_record(tube: CompensatedTube, residuals: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    matrix = tube.spillover
    return {
        "source": "none" if matrix is None else matrix.source,
        "condition": None if matrix is None else matrix.condition,
        "notes": [] if matrix is None else list(matrix.notes),
        "channels": [] if matrix is None else list(matrix.names),
        "matrix": [] if matrix is None else matrix.matrix.tolist(),
        "uncompensated": list(tube.uncompensated),
        "residuals": list(residuals),
    }


def _time_record(masks: MaskSet) -> dict[str, Any]:
    time = masks.time
    names = list(time.medians)
    bins = []
    for i in range(len(time.edges) - 1 if len(time.mask) else 0):
        bins.append(
            {
                "first": int(time.edges[i]),
                "last": int(time.edges[i + 1]) - 1,
                "seconds": round(float(time.seconds[i]), 3) if len(time.seconds) else None,
                "rate": round(float(time.rate[i]), 2) if len(time.rate) else None,
                "score": round(float(time.score[i]), 2),
                "worst": time.worst[i],
                "shift": round(float(time.shift[i]), 4),
                "shifted": bool(time.shifted[i]),
                "bad": bool(time.bad[i]),
                "medians": [_rounded(time.medians[name][i]) for name in names],
            }
        )
    return {
        "checked": time.checked,
        "reason": time.reason,
        "limit": LIMIT,
        "channels": names,
        "steps_back": time.time_steps_back,
        "bins": bins,
        "drift": [{"channel": name, "rho": rho, "range": extent} for name, (rho, extent) in time.drift.items()],
    }


def _medians(
    columns: Mapping[str, Float32], scales: Mapping[str, ChannelScale], masks: MaskSet
) -> dict[str, float | None]:
    cells = masks.analysable(with_time=True) & ~masks.masks["doublet"] & ~masks.masks["debris"]
    chosen = sampled_rows(len(cells), cells, SAMPLED_EVENTS)
    return {name: float(np.median(columns[name][chosen])) if len(chosen) else None for name in scales}


def _rounded(value: float) -> float | None:
    return None if not np.isfinite(value) else round(float(value), 4)
