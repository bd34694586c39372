"""Stage ``quantify``: counts, intervals, limits, the sensitivity check and the verdict of one tube (``mrd.json``)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flowmrd.config import RunConfig, Sample
from flowmrd.mrd.quantify import Digests
from flowmrd.panel import PanelModel
from flowmrd.run_files import RunFiles
from flowmrd.stages.review_calls import count_with_review
from flowmrd.stages.shared_files import keep_copy
from flowmrd.store import digest_file, write_json
from flowmrd.tube.files import TubeFiles, tube_from_files

__all__ = ["Digests", "QuantifyInputs", "digests_in_run", "digests_of", "in_run", "quantify"]


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


def in_run(run: RunFiles, *, sample: str, reference: Path | None = None, laip: Path | None = None) -> None:
    """Count a classified tube of a run."""
    files = QuantifyInputs(
        preprocessed=run.work(sample, "preprocessed.arrow"),
        gated=run.work(sample, "gated.arrow"),
        classified=run.work(sample, "classified.arrow"),
        classification=run.work(sample, "classification.json"),
        ingest=run.work(sample, "ingest.json"),
        gates=run.work(sample, "gates.json"),
        qc=run.result(sample, "qc.json"),
    )
    quantify(
        files,
        sample=run.sample(sample),
        panel=run.panel_of(sample),
        config=run.config,
        digests=digests_in_run(run, sample, reference, laip),
        out=run.result(sample, "mrd.json"),
        run_directory=run.directory,
    )
    keep_copy(run.result(sample, "mrd.json"), run.work(sample, "mrd.json"))


def digests_in_run(run: RunFiles, sample: str, reference: Path | None, laip: Path | None) -> Digests:
    """Digests of what a tube of a run is judged by."""
    return digests_of(run.config, run.panel_path_of(sample), reference, laip)


def digests_of(config: RunConfig, panel: Path, reference: Path | None, laip: Path | None) -> Digests:
    """Digests of a configuration and of the files that a tube is judged by."""
    return Digests(
        config=config.result_digest,
        panel=digest_file(panel),
        reference=digest_file(reference) if reference else None,
        laip=digest_file(laip) if laip else None,
    )


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
