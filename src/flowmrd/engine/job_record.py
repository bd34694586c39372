"""Records of a job besides its results: time and memory used, and the digest of its inputs."""

from __future__ import annotations

import resource
import time
from contextlib import suppress
from pathlib import Path

__all__ = ["keep_made", "print_usage"]


def print_usage(log: Path, began: float) -> None:
    """Write the time and memory that this process used into the log, as a guide for later requests to a cluster.

    In a run the numbers also go to ``results/benchmarks``, under the names that Snakemake uses. Snakemake's own
    ``benchmark`` inspects every process of the machine twice a second, which costs a tenth of the time of a small tube.

    Parameters
    ----------
    log
        ``results/logs/<stage>/<tube>.log``; for a log elsewhere, no benchmark file is written.
    began
        Start of the command, from ``time.monotonic``.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds, peak_mb = used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
    table = f"s\tmax_rss\tcpu_time\n{time.monotonic() - began:.4f}\t{peak_mb:.2f}\t{seconds:.2f}\n"
    with suppress(OSError):  # a full disk has been told already
        print(f"used {seconds:.2f} s of processor time and at most {peak_mb:.0f} MB of memory", flush=True)  # noqa: T201
        for logs in log.parents:
            if logs.name == "logs" and logs.parent.name == "results":
                kept = (logs.parent / "benchmarks" / log.relative_to(logs)).with_suffix(".tsv")
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.write_text(table, encoding="utf-8")


def keep_made(log: Path, made: str) -> None:
    """Store the digest of a job's inputs beside its log, for the workflow's next plan."""
    log.with_suffix(".made").write_text(made, encoding="utf-8")
