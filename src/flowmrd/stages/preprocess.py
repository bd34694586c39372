"""Stage ``preprocess``: compensate, bring to 0..1, mask. One row per event in file order, none removed.

``preprocessed.arrow``
    The panel's channels on the 0..1 scale (float32), time in seconds, and one boolean column ``mask_<step>`` per step
    of :data:`flowmrd.preprocess.quality.masks.STEPS` (True = masked). ``mask_offscale_<channel>`` and
    ``mask_offscale``: off scale in this, in any fluorescence detector; no event is left out for that. ``censored``
    uint32: bit i is set where channel i of the metadata key ``censored`` (a JSON list) is no measurement in this event.
    Metadata key ``transforms``: JSON, channel to its scale.

``qc.json``
    :class:`flowmrd.records.quality.QualityFile`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy.typing as npt

from flowmrd.config.run import RunConfig
from flowmrd.config.sheet import Sample
from flowmrd.panel.model import PanelModel
from flowmrd.preprocess.scaling import scales_as_text
from flowmrd.records.read import read_record
from flowmrd.records.references import TransformFile
from flowmrd.run_files import RunFiles
from flowmrd.stages.shared_files import keep_copy
from flowmrd.store import write_columns, write_json
from flowmrd.tube.files import raw_tube
from flowmrd.tube.preprocess import preprocess as preprocess_tube
from flowmrd.tube.read import read_tube
from flowmrd.tube.tube import Tube

__all__ = ["in_run", "preprocess", "preprocess_file", "write_preprocessed"]


def in_run(run: RunFiles, *, sample: str, transforms: Path | None = None, spillover: Path | None = None) -> None:
    """Compensate, scale and mask a tube of a run."""
    preprocess(
        run.work(sample, "events.arrow"),
        run.work(sample, "ingest.json"),
        panel=run.panel_of(sample),
        config=run.config,
        transforms=transforms,
        out=run.work(sample, "preprocessed.arrow"),
        qc=run.result(sample, "qc.json"),
        sample=run.sample(sample),
        spillover=spillover,
        base=run.sheet.parent,
    )
    keep_copy(run.result(sample, "qc.json"), run.work(sample, "qc.json"))


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
    """Compensate, transform and mask one tube; parameters and errors as :func:`flowmrd.tube.preprocess.preprocess`.

    Parameters
    ----------
    events, record
        ``events.arrow`` and ``ingest.json`` of the tube.
    transforms
        ``transform.json`` of the panel's controls, or None where there are no controls.
    sample
        The tube's row of the sheet (name and batch); a nameless tube without a batch where absent.
    """
    name = sample.sample if sample is not None else out.stem
    tube = preprocess_tube(
        raw_tube(name, panel, events, record),
        config,
        transforms=read_record(transforms, TransformFile).channels if transforms is not None else None,
        spillover=spillover,
        batch=sample.batch if sample is not None else None,
        base=base,
        estimate_width=config.transform.width == "sample" if estimate_width is None else estimate_width,
    )
    write_preprocessed(tube, out, qc)


def write_preprocessed(tube: Tube, out: Path | None, qc: Path | None) -> None:
    """Write ``preprocessed.arrow`` and ``qc.json`` of a preprocessed tube, each where it is wanted."""
    if out is not None:
        columns: dict[str, npt.NDArray[Any]] = {**tube.columns}
        columns |= {f"mask_{step}": mask for step, mask in tube.masks.items()}
        if tube.censored is not None:
            columns["censored"] = tube.censored
        facts = {"transforms": scales_as_text(tube.scales), "censored": json.dumps(tube.censored_names)}
        write_columns(out, columns, facts)
    if qc is not None and tube.qc is not None:
        write_json(qc, tube.qc.as_json())


def preprocess_file(
    fcs: Path,
    *,
    panel: PanelModel,
    config: RunConfig,
    out: Path,
    qc: Path | None = None,
    spillover: Path | None = None,
) -> None:
    """Read and preprocess one file, outside of any run: the work of ``flowmrd preprocess FILE``.

    W is estimated from the file itself where the panel does not give it, because there are no controls. Everything
    happens in one copy of the events, and without the second reader and the hash that ``ingest`` adds for a run.

    Parameters
    ----------
    out
        Column file to write: one row per event, columns named by marker, on the 0..1 scale.
    qc
        Where to keep ``qc.json``; not kept where absent.
    spillover
        CSV to use instead of the file's matrix.

    Raises
    ------
    FcsError, ChannelError, CompensationError, TransformError
        As ingest and :func:`preprocess` raise them.
    """
    tube = preprocess_tube(
        read_tube(fcs, panel, check=False, others=spillover is not None),
        config,
        spillover=spillover,
        estimate_width=config.transform.width != "fixed",
        overwrite=True,
    )
    write_preprocessed(tube, out, qc)
