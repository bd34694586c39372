"""Stage ``gate-reference``: gates of all controls together, frozen for the run.

``gates.json`` (schema_version 2)::

    schema_version, panel, panel_version
    pooled:   {parameters: {gate: {number: value}}, anchors: {channel: level}, factors: {channel: factor}}
              # medians over controls, thresholds and levels on the panel scale (flowmrd.gating.frame)
    controls: [{name, parameters, anchors, levels: {population: {channel: median}}, fractions: {population: share},
                factors}]
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import median

from flowmrd.config.run import RunConfig
from flowmrd.errors import GateError
from flowmrd.gating.masks import analysable_mask, panel_columns, stored_scales
from flowmrd.gating.reference import GateReference
from flowmrd.gating.sample import gate_control, tube_landmark
from flowmrd.panel.model import PanelModel
from flowmrd.store import open_columns, write_json

__all__ = ["gate_reference"]


def gate_reference(controls: Mapping[str, Path], *, panel: PanelModel, config: RunConfig, out: Path) -> None:
    """Learn the gates of a panel from its control tubes.

    Parameters
    ----------
    controls
        Sample name to ``preprocessed.arrow`` of every control of the panel.
    out
        ``results/reference/<panel>/gates.json``.

    Raises
    ------
    GateError
        If there is no control.
    """
    if not controls:
        raise GateError(
            f"gate reference of {panel.name}",
            found="no control tube",
            expected="at least one sample with role control",
            todo="add controls to the sample sheet, or gate without a reference",
        )
    landmarks: list[Mapping[str, float]] = []
    for name in sorted(controls):
        with open_columns(controls[name]) as store:
            columns, usable = panel_columns(store, panel), analysable_mask(store, config.quality)
            landmarks.append(tube_landmark(columns, panel, usable, stored_scales(store)).factors)
    # One factor for all, so that their thresholds can be pooled: they ran on one instrument.
    factors = {name: median(entry[name] for entry in landmarks) for name in panel.landmark}
    learned = []
    for name in sorted(controls):
        with open_columns(controls[name]) as store:
            columns, usable = panel_columns(store, panel), analysable_mask(store, config.quality)
            learned.append(
                gate_control(name, columns, panel, usable, config.gating, scales=stored_scales(store), factors=factors)
            )
    write_json(out, GateReference(panel.name, panel.version, tuple(learned)).as_record())
