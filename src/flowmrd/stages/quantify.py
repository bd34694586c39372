"""Stage ``quantify``: counts, intervals, limits, the sensitivity check and the verdict of one tube (``mrd.json``)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flowmrd.config import RunConfig, Sample
from flowmrd.mrd.quantify import Digests
from flowmrd.panel import PanelModel
from flowmrd.stages.review_calls import count_with_review
from flowmrd.store import write_json
from flowmrd.tube.files import TubeFiles, tube_from_files

__all__ = ["Digests", "QuantifyInputs", "quantify"]


@dataclass(frozen=True)
class QuantifyInputs:
    """Files of the stages before."""

    preprocessed: Path
    gated: Path
    classified: Path
    classification: Path
    ingest: Path
    gates: Path
    qc: Path


def quantify(
    files: QuantifyInputs,
    *,
    sample: Sample,
    panel: PanelModel,
    config: RunConfig,
    digests: Digests,
    out: Path,
    run_directory: Path | None = None,
) -> None:
    """Turn one classified tube into ``mrd.json``.

    Parameters
    ----------
    run_directory
        Where the review log lies, whose calls of groups are counted.

    Raises
    ------
    ArtefactError
        If a file of an earlier stage is missing or does not belong to this tube.
    """
    of_tube = TubeFiles(
        sample.sample,
        files.preprocessed,
        files.gated,
        files.classified,
        ingest=files.ingest,
        qc=files.qc,
        gates=files.gates,
        classification=files.classification,
    )
    tube = tube_from_files(of_tube, panel, config)
    _, result = count_with_review(tube, config, sample=sample, digests=digests, run_directory=run_directory)
    write_json(out, result.to_json_dict())
