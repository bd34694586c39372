"""Results that are learned from several tubes and frozen: gates and scales of the controls, normal reference, LAIP."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Final, Literal

from pydantic import Field

from flowmrd.errors import ArtefactError
from flowmrd.records.base import Artefact, FlagEntry, MarkerLevels, MarkerShift
from flowmrd.records.quality import ScaleEntry
from flowmrd.records.read import read_record

__all__ = [
    "REFERENCE_FORMAT",
    "ControlGatesEntry",
    "ControlScale",
    "FrozenScale",
    "GateReferenceFile",
    "LabelsEntry",
    "LaipFile",
    "LibraryFile",
    "PatternEntry",
    "PooledGates",
    "ReferenceFile",
    "TransformFile",
    "read_reference_file",
    "wrong_format",
]

REFERENCE_FORMAT: Final = "flowmrd-reference/6"
"""Format of a normal reference. Since 6 its digest covers folds, controls and anchors."""

Levels = dict[str, MarkerLevels]
"""Population to its levels by channel."""


class PooledGates(Artefact):
    """Numbers of all controls together."""

    parameters: dict[str, dict[str, float]] = Field(description="Gate to its numbers, panel scale; medians.")
    anchors: dict[str, float] = Field(description="Channel to median level of its anchor cells, panel scale.")
    factors: dict[str, float]


class ControlGatesEntry(Artefact):
    """Numbers of one control."""

    name: str
    parameters: dict[str, dict[str, float]]
    anchors: dict[str, float]
    levels: Levels
    fractions: dict[str, float] = Field(description="Population to its share.")
    factors: dict[str, float]


class GateReferenceFile(Artefact):
    """``gates.json`` of a panel: thresholds learned from all controls, with each control's own."""

    schema_version: str
    panel: str
    panel_version: str
    pooled: PooledGates
    controls: tuple[ControlGatesEntry, ...]


class ControlScale(Artefact):
    """Scale of one control."""

    T: float
    W: float


class FrozenScale(ScaleEntry):
    """Scale of a channel for all tubes of the panel."""

    per_control: dict[str, ControlScale]


class PatternEntry(Artefact):
    """Pattern that distinguishes the markers of a control (``flowmrd.preprocess.staining_pattern``); decades,
    correlations.
    """

    markers: tuple[str, ...]
    levels: tuple[tuple[float | None, ...], ...]
    together: tuple[tuple[float | None, ...], ...]
    brightest: tuple[tuple[tuple[float | None, ...], ...], ...]


class LabelsEntry(Artefact):
    """Detector and dye of each marker of a control, for finding exchanged labels in other tubes."""

    detectors: dict[str, str]
    tags: dict[str, str]
    pattern: PatternEntry | None


class TransformFile(Artefact):
    """``transform.json`` of a panel: scale of every channel, learned from the controls and frozen."""

    schema_version: int
    panel: str
    panel_version: str
    controls: tuple[str, ...]
    channels: dict[str, FrozenScale]
    labels: dict[str, LabelsEntry] = Field({}, description="By control; of no control in older references.")


class ControlGroupEntry(Artefact):
    """A compact group of a control."""

    share: float
    log_likelihood_gain: float
    events: float


class MarkerStainingEntry(Artefact):
    """How one marker stained the cells of a control that should carry it; levels in decades."""

    marker: str
    carriers: int
    stained: float | None
    middle: float | None
    upper: float | None
    without: float | None
    bright: int
    cells: int


class ControlEntry(Artefact):
    """A control of the normal reference."""

    name: str
    fold: int
    nucleated: int
    window_cells: int
    sampling: float
    displacement: float
    outlier_share: float
    groups: tuple[ControlGroupEntry, ...]
    staining: tuple[MarkerStainingEntry, ...]
    detectors: tuple[str, ...] | None = Field(
        description="Detectors in which its off-scale cells, stored in the arrays, were looked for."
    )


class ControlSource(Artefact):
    """Origin of a control of the reference."""

    sample: str
    source: Literal["control", "simulated"]


class JudgedGroup(Artefact):
    """A group of a control."""

    events: int
    call: str = Field(description="counted, normal:<population>, artefact:<kind> or atypical.")


class JudgedControl(Artefact):
    """Findings about one control, and whether it is part of the reference."""

    name: str
    verdict: Literal["CONTROL_CLEAN", "CONTROL_ODD"]
    used: bool
    by: Literal["classifier", "laboratory"]
    note: str = Field(description="Reason of the laboratory.")
    reasons: tuple[FlagEntry, ...]
    groups: tuple[JudgedGroup, ...]


class ReferenceManifest(Artefact):
    """Origin of the reference: versions, seed and controls."""

    flowmrd_version: str
    panel_version: str
    seed: int
    max_events_per_control: int
    controls: tuple[ControlSource, ...]
    note: str

    @classmethod
    def of_nothing(cls) -> ReferenceManifest:
        """Of a reference whose origin is not recorded."""
        return cls(flowmrd_version="", panel_version="", seed=0, max_events_per_control=0, controls=(), note="")


class ReferenceFile(Artefact):
    """``reference.json``: the normal reference of a panel, and its controls; its arrays lie in ``reference.npz``."""

    format: str
    panel: str
    features: tuple[str, ...]
    digest: str = Field(description="content_digest of this file: of all that decides how a tube is judged.")
    arrays_sha256: str
    n_controls: int
    n_folds: int
    provisional: bool
    stages: tuple[str, ...]
    anchors: tuple[str, ...] = Field(description="Cells that places of the catalogue are given by.")
    control_judgements: tuple[JudgedControl, ...] = Field(description="Empty where no control was judged.")
    controls: tuple[ControlEntry, ...]
    manifest: ReferenceManifest

    def content_digest(self) -> str:
        """SHA-256 (64 hex digits) over everything that decides how a tube is judged.

        The digest covers every field except itself and the manifest, and the arrays (full model, folds, controls'
        cells, anchors) through their own digest. Two references with the same digest judge every tube alike.
        """
        content = self.model_dump(mode="json", exclude={"digest", "manifest"})
        return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()


def read_reference_file(path: Path) -> ReferenceFile:
    """Read ``reference.json``; its arrays are not looked at.

    Raises
    ------
    ArtefactError
        If it is missing, of another format, or was altered after it was written.
    """
    facts = read_record(path, ReferenceFile)
    if facts.format != REFERENCE_FORMAT:
        raise wrong_format(path, facts.format, REFERENCE_FORMAT)
    if (found := facts.content_digest()) != facts.digest:
        raise ArtefactError(
            str(path),
            found=f"content with the digest {found[:12]}…",
            expected=f"{facts.digest[:12]}…, with which it was written",
            todo="copy both files again from where they were made, or make the reference again with 'flowmrd run'",
        )
    return facts


def wrong_format(path: Path, found: str, expected: str) -> ArtefactError:
    """The refusal of a reference or phenotype that another version of flowmrd wrote."""
    return ArtefactError(
        str(path),
        found=f"format {found[:40]!r}, which another version of flowmrd writes",
        expected=f"format {expected!r}",
        todo="make it again from its tubes with 'flowmrd run', or use it with the version of flowmrd that made it",
    )


class LibraryEntry(Artefact):
    """One leukaemia of a library."""

    patient: str
    features: tuple[str, ...]
    n_cells: int
    laip_sha256: str


class LibraryFile(Artefact):
    """``library.json``: the phenotypes in a library of leukaemias, as ``flowmrd library build`` writes it."""

    format: Literal["flowmrd-library/1"]
    digest: str
    entries: tuple[LibraryEntry, ...]


class LaipComponent(Artefact):
    """One component of the phenotype."""

    share: float
    nearest_normal: str
    markers: tuple[MarkerShift, ...]
    medians: MarkerLevels


class LaipFile(Artefact):
    """``laip.json``: phenotype of a patient's leukaemia at diagnosis; where none was found, its fields are null."""

    format: str
    patient: str
    found: bool
    features: tuple[str, ...] | None = None
    share: float | None = Field(None, description="Share of the diagnosis tube's nucleated cells.")
    n_cells: int | None = None
    indistinct: bool | None = None
    by_expert: bool | None = None
    offscale: dict[str, float] | None = Field(
        None, description="Detector to the part of the leukaemic cells that are off scale there."
    )
    others: tuple[str, ...] | None = Field(None, description="Further channels whose values of the cells are stored.")
    arrays_sha256: str
    diagnosis: str = Field(description="Sample it was learned from.")
    seen_without_cd19: float | None
    components: tuple[LaipComponent, ...]
    flags: tuple[FlagEntry, ...]
