"""A judged tube counted with the reviewers' calls of its groups."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from flowmrd.config import RunConfig, Sample
from flowmrd.mrd.calls import ReviewerCalls, with_calls
from flowmrd.mrd.quantify import Digests, quantify
from flowmrd.mrd.result import MrdResult
from flowmrd.review.group_calls import calls_of_log
from flowmrd.tube import Tube

__all__ = ["count_with_review", "result_sha256"]


def result_sha256(result: MrdResult) -> str:
    """Digest of ``mrd.json`` as :func:`flowmrd.store.write_json` writes it."""
    text = json.dumps(result.to_json_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return hashlib.sha256(text.encode()).hexdigest()


def count_with_review(
    tube: Tube, config: RunConfig, *, sample: Sample, digests: Digests, run_directory: Path | None
) -> tuple[Tube, MrdResult]:
    """Count a tube as the classifier judged it, then with the calls in the review log that refer to this very result.

    Parameters
    ----------
    run_directory
        Where the review log lies; without it nothing is called.

    Returns
    -------
    tuple
        The tube with ``mrd`` and ``cluster`` as they are counted, and its result.
    """
    automatic = quantify(tube, config, sample=sample, digests=digests)
    calls = ReviewerCalls()
    if run_directory is not None and automatic.groups:
        calls = calls_of_log(run_directory, sample.sample, result_sha256(automatic))
    if not calls:
        return tube, automatic
    return with_calls(tube, calls), quantify(tube, config, sample=sample, digests=digests, calls=calls)
