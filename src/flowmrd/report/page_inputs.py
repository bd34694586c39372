"""What the page of one sample is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from flowmrd.config import RunConfig, Sample
from flowmrd.mrd.result import MrdResult
from flowmrd.panel.model import PanelModel
from flowmrd.records.classification import ClassificationFile
from flowmrd.records.control_limits import ControlLimitsFile
from flowmrd.records.gates import GateEntry, GatesFile
from flowmrd.records.ingest import AcquisitionEntry, IngestFile
from flowmrd.records.quality import QualityFile
from flowmrd.records.references import LaipFile, ReferenceFile
from flowmrd.report.leukaemia import DiagnosisModel
from flowmrd.report.plotly_script import SharedScript


@dataclass(frozen=True)
class Visit:
    """One result of the patient; ``acquisition`` is that of its ``qc.json``: date, begin and end of the run."""

    result: MrdResult
    acquisition: AcquisitionEntry = field(default_factory=AcquisitionEntry)


@dataclass(frozen=True)
class PageInputs:
    """Everything a sample's page is made from; a file that a run did not produce is ``None``, and the page says so.

    Attributes
    ----------
    mrd_sha256
        Digest of ``mrd.json``, which a reviewer signs.
    qc, gates, ingest, classification
        Contents of the JSON files of the stages before.
    reference, diagnosis
        Contents of ``reference.json`` and of the patient's ``laip.json``.
    leukaemia
        The patient's leukaemia at diagnosis, for drawing.
    controls_qc
        Contents of the control tubes' ``qc.json``.
    diagnosis_work, controls_work
        Work folders of the patient's diagnosis tube and of the control tubes; their columns may be absent.
    history
        The patient's results, including this one, in the order of the sample sheet.
    odd_controls
        Names of the controls that were judged odd.
    control_limits
        Locked limits of the Levey-Jennings charts (``report.control_limits``).
    signatures
        Entries of the review log for this sample, oldest first, each with ``valid`` and ``reason``.
    shared_script
        The file with plotly.js that the pages of the run share; ``None`` for a page that holds its own.
    """

    result: MrdResult
    mrd_sha256: str
    panel: PanelModel
    config: RunConfig
    sample: Sample | None = None
    qc: QualityFile | None = None
    gates: GatesFile | None = None
    ingest: IngestFile | None = None
    classification: ClassificationFile | None = None
    reference: ReferenceFile | None = None
    diagnosis: LaipFile | None = None
    leukaemia: DiagnosisModel | None = None
    controls_qc: Sequence[QualityFile] = ()
    diagnosis_work: Path | None = None
    controls_work: Sequence[Path] = ()
    history: Sequence[Visit] = ()
    odd_controls: Sequence[str] = ()
    control_limits: ControlLimitsFile | None = None
    signatures: Sequence[Mapping[str, object]] = ()
    signature_problem: str | None = None
    shared_script: SharedScript | None = None


def gate_records(inputs: PageInputs) -> dict[str, GateEntry]:
    """Gate name to its record in ``gates.json``; empty where there is none."""
    return {} if inputs.gates is None else {entry.name: entry for entry in inputs.gates.gates}
