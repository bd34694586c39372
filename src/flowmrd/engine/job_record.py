"""Records of a job besides its results: time and memory used, and the digest of its inputs."""

from __future__ import annotations

import resource
import time
from contextlib import suppress
from pathlib import Path

__all__ = ["keep_made", "print_usage"]


def print_usage(log: Path, began: float) -> None:
    """Say in the log what this process needed; the numbers to look at before asking a cluster for more or less.

    In a run they also go to ``results/benchmarks``, as Snakemake names them. Its own ``benchmark`` looks at every
    process of the machine twice a second, which costs a tenth of a small tube.

    Parameters
    ----------
    log
        ``results/logs/<stage>/<tube>.log``; one that lies elsewhere has no benchmark.
    began
        When the command began, by ``time.monotonic``.
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
    """Keep the digest of what a job was given beside its log, for the workflow's next plan."""
    log.with_suffix(".made").write_text(made, encoding="utf-8")
