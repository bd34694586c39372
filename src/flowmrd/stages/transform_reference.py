"""Stage ``transform-reference``: T and W of every channel learned from a panel's controls, then frozen.

Every tube of the panel is scaled with these numbers, so that a position on the 0..1 scale means the same in a control,
at diagnosis and at follow-up. A tube's own estimate would move with its composition.

``transform.json`` (schema_version 1)::

    schema_version, panel, panel_version, controls: [name]
    channels: {channel: {kind, T, M, W, A, cofactor, T_source, W_source, per_control: {name: {T, W}}}}
    labels: {name: {detectors, tags, pattern}}   # what tells exchanged labels of other tubes

W of a channel is the median over the usual controls (:func:`flowmrd.gating.reference.usual`) with enough negative
events (W_source ``controls``), else the default width (``default``); T is the largest of the controls' (they agree
where one instrument was used).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from flowmrd.config.run import RunConfig
from flowmrd.panel.model import PanelModel
from flowmrd.run_files import RunFiles
from flowmrd.store import write_json
from flowmrd.tube.files import raw_tube
from flowmrd.tube.transforms import transforms_of_controls

__all__ = ["in_run", "transform_reference"]


def in_run(run: RunFiles, *, panel: str, tube: Sequence[str], spillover: Path | None = None) -> None:
    """Learn the scaling of a panel from control tubes of a run."""
    transform_reference(
        {name: (run.work(name, "events.arrow"), run.work(name, "ingest.json")) for name in tube},
        panel=run.panel_named(panel),
        config=run.config,
        out=run.reference(panel, "transform.json"),
        batches={name: run.sample(name).batch for name in tube},
        spillover=spillover,
        base=run.sheet.parent,
    )


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
    """Learn the scaling from control tubes; errors as :func:`flowmrd.tube.transforms.transforms_of_controls`.

    Parameters
    ----------
    tubes
        Control's name to its ``events.arrow`` and ``ingest.json``.
    batches
        Control's name to its batch, for the configuration's spillover CSVs.
    spillover, base
        As in :func:`flowmrd.tube.preprocess.preprocess`.
    """
    opened = (raw_tube(name, panel, events, record) for name, (events, record) in tubes.items())
    write_json(
        out,
        transforms_of_controls(opened, config, batches=batches, spillover=spillover, base=base).as_json(),
    )
