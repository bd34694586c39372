"""Stage ``prepare``: a diagnosis tube from its FCS file to its gated columns, in one process.

The leukaemia of the patient is learned from these columns. Controls go through ``ingest``, ``preprocess`` and ``gate``
one by one, because all controls are looked at together in between. Every file is what the single stages write.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flowmrd.config import RunConfig, Sample
from flowmrd.config.sheet import Role
from flowmrd.errors import ArtefactError
from flowmrd.panel.model import PanelModel
from flowmrd.records.read import read_record
from flowmrd.records.references import TransformFile
from flowmrd.run_files import RunFiles
from flowmrd.stages.gate import read_gate_reference, tell_override, write_gated
from flowmrd.stages.ingest import write_raw
from flowmrd.stages.preprocess import write_preprocessed
from flowmrd.stages.shared_files import keep_copy
from flowmrd.tube import Tube
from flowmrd.tube.gate import gate
from flowmrd.tube.preprocess import preprocess
from flowmrd.tube.read import read_tube

__all__ = ["TubeFolders", "file_state", "gated_from_fcs", "in_run", "require_unchanged"]


@dataclass(frozen=True)
class TubeFolders:
    """Where the files of one tube lie: intermediate ones in ``work``, results in ``result``."""

    work: Path
    result: Path

    @classmethod
    def in_run(cls, run: RunFiles, sample: str) -> TubeFolders:
        """The folders of a tube of a run."""
        return cls(run.work(sample, "gates.json").parent, run.result(sample, "mrd.json").parent)


def in_run(
    run: RunFiles,
    *,
    sample: str,
    transforms: Path | None = None,
    spillover: Path | None = None,
    thresholds: Path | None = None,
    override: Path | None = None,
) -> None:
    """Bring a diagnosis tube of a run to its gated columns."""
    row = run.sample(sample)
    seen = file_state(row.fcs)
    folders = TubeFolders.in_run(run, sample)
    gated_from_fcs(
        row,
        folders,
        panel=run.panel_of(sample),
        config=run.config,
        transforms=transforms,
        spillover=spillover,
        thresholds=thresholds,
        override=override,
        base=run.sheet.parent,
        keep_columns=True,
    )
    tell_override(folders.work / "gates.json", override)
    require_unchanged(row.fcs, seen)


def gated_from_fcs(
    sample: Sample,
    at: TubeFolders | None,
    *,
    panel: PanelModel,
    config: RunConfig,
    transforms: Path | None,
    spillover: Path | None,
    thresholds: Path | None,
    override: Path | None,
    base: Path | None,
    keep_columns: bool = False,
) -> Tube:
    """Read, preprocess and gate a tube; write ``ingest.json``, ``qc.json`` and what gating writes.

    :func:`require_unchanged` checks at the end that the file is still the one that was read.

    Parameters
    ----------
    at
        Where the files are written; nothing is written where absent.
    transforms, thresholds
        ``transform.json`` and ``gates.json`` of the controls.
    spillover, base
        As in :func:`flowmrd.tube.preprocess.preprocess`.
    keep_columns
        Write ``preprocessed.arrow`` and ``gated.arrow`` as well, for other tubes that are compared with this one.
    """
    tube = read_tube(sample.fcs, panel, name=sample.sample)
    if at is not None:
        write_raw(tube, None, at.work / "ingest.json")
    tube = preprocess(
        tube,
        config,
        transforms=None if transforms is None else read_record(transforms, TransformFile).channels,
        spillover=spillover,
        batch=sample.batch,
        base=base,
        estimate_width=config.transform.width == "sample",
    )
    if at is not None:
        write_preprocessed(tube, at.work / "preprocessed.arrow" if keep_columns else None, at.result / "qc.json")
        keep_copy(at.result / "qc.json", at.work / "qc.json")
    tube = gate(
        tube,
        config,
        reference=read_gate_reference(thresholds),
        exclude=sample.sample if sample.role is Role.CONTROL else None,
        override=override,
        prior_therapy=sample.prior_therapy.value,
    )
    if at is not None:
        write_gated(
            tube,
            at.work / "gated.arrow" if keep_columns else None,
            populations=at.result / "populations.tsv",
            gatingml=at.result / "gates.xml",
            record=at.work / "gates.json",
        )
    return tube


def require_unchanged(fcs: Path, seen: tuple[int, int, int]) -> None:
    """Refuse a tube whose file has changed since :func:`file_state` was called.

    Raises
    ------
    ArtefactError
        If the file was written to or replaced.
    """
    if file_state(fcs) != seen:
        raise ArtefactError(
            str(fcs),
            found="a file that has changed since it was ingested",
            expected="a file that nobody writes to",
            todo="wait until the transfer from the instrument has ended, then run again",
        )


def file_state(fcs: Path) -> tuple[int, int, int]:
    """Size, time and place of a file, by which a change is noticed without reading it again."""
    state = fcs.stat()
    return state.st_size, state.st_mtime_ns, state.st_ino
