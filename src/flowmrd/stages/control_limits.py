"""Stage behind ``flowmrd reference limits``: lock the limits of the Levey-Jennings charts.

If the limits of a chart come from the tubes that it judges, a drift moves the limits too. Locked limits come from an
earlier run, whose controls the laboratory has checked. They stay until the laboratory locks new ones.
"""

from __future__ import annotations

from pathlib import Path

from flowmrd.config import Role, load_config, read_sheet
from flowmrd.errors import ConfigError
from flowmrd.records.control_limits import ChannelLimits, ControlLimitsFile, PanelLimits
from flowmrd.records.ingest import AcquisitionEntry
from flowmrd.records.quality import QualityFile
from flowmrd.records.read import read_if_there
from flowmrd.records.references import ReferenceFile
from flowmrd.report.batch import SD_FLOOR, BatchTube
from flowmrd.report.levey_jennings import MIN_CONTROLS, control_limits
from flowmrd.store import write_json

__all__ = ["lock_limits"]


def lock_limits(run_directory: Path, out: Path) -> ControlLimitsFile:
    """Compute limits from the controls that form the reference of a run, and write them.

    Raises
    ------
    ConfigError
        If no panel has :data:`~flowmrd.report.levey_jennings.MIN_CONTROLS` controls on one cytometer.
    """
    config = load_config(run_directory / "config" / "config.yaml")
    rows, _ = read_sheet(run_directory / config.samples)
    results = run_directory / "results"
    left_out = set(config.controls.excluded)
    for path in sorted((results / "reference").glob("*/reference.json")):
        reference = read_if_there(path, ReferenceFile)
        left_out |= {one.name for one in (() if reference is None else reference.control_judgements) if not one.used}
    groups: dict[tuple[str, str], list[BatchTube]] = {}
    for row in rows:
        quality = read_if_there(results / "samples" / row.sample / "qc.json", QualityFile)
        if row.role is not Role.CONTROL or quality is None or row.sample in left_out:
            continue
        tube = BatchTube(row.sample, row.patient, "control", quality.panel, None, quality, AcquisitionEntry())
        groups.setdefault((tube.panel, tube.instrument), []).append(tube)
    locked = [found for key, tubes in sorted(groups.items()) if (found := _limits(*key, tubes)) is not None]
    if not locked:
        raise ConfigError(
            str(results),
            found=f"at most {max((len(tubes) for tubes in groups.values()), default=0)} accepted controls of a panel",
            expected=f"at least {MIN_CONTROLS} accepted controls of one panel on one cytometer, better 20",
            todo="lock limits from a run with more control marrows",
        )
    record = ControlLimitsFile(limits=tuple(locked))
    write_json(out, record.model_dump(mode="json"))
    return record


def _limits(panel: str, instrument: str, tubes: list[BatchTube]) -> PanelLimits | None:
    if len(tubes) < MIN_CONTROLS:
        return None
    channels = {}
    for channel in dict.fromkeys(name for tube in tubes for name in tube.medians):
        values = [value for tube in tubes if (value := tube.medians.get(channel)) is not None]
        found = control_limits(values, floor=SD_FLOOR)
        if found is not None:
            channels[channel] = ChannelLimits(mean=round(found.mean, 6), sd=round(found.sd, 6), n=found.n)
    return PanelLimits(
        panel=panel, instrument=instrument, controls=tuple(tube.sample for tube in tubes), channels=channels
    )
