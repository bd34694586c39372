"""Stage ``quantify``: counts, intervals, limits, the sensitivity check and the verdict of one tube (``mrd.json``)."""

from __future__ import annotations

from pathlib import Path

from flowmrd.config import RunConfig
from flowmrd.mrd.quantify import Digests
from flowmrd.run_files import RunFiles
from flowmrd.stages.review_calls import count_with_review
from flowmrd.stages.shared_files import keep_copy
from flowmrd.store import digest_file, write_json
from flowmrd.tube.files import TubeFiles, tube_from_files

__all__ = ["digests_in_run", "digests_of", "in_run"]


def in_run(run: RunFiles, *, sample: str, reference: Path | None = None, laip: Path | None = None) -> None:
    """Count a classified tube of a run, with the calls of groups in its review log."""
    files = TubeFiles(
        sample,
        run.work(sample, "preprocessed.arrow"),
        run.work(sample, "gated.arrow"),
        run.work(sample, "classified.arrow"),
        ingest=run.work(sample, "ingest.json"),
        qc=run.result(sample, "qc.json"),
        gates=run.work(sample, "gates.json"),
        classification=run.work(sample, "classification.json"),
    )
    _, result = count_with_review(
        tube_from_files(files, run.panel_of(sample), run.config),
        run.config,
        sample=run.sample(sample),
        digests=digests_in_run(run, sample, reference, laip),
        run_directory=run.directory,
    )
    write_json(run.result(sample, "mrd.json"), result.to_json_dict())
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
