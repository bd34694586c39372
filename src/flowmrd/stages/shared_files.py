"""Files of a tube that other tubes of a run are compared with."""

from __future__ import annotations

from pathlib import Path

from flowmrd.run_files import RunFiles
from flowmrd.store import write_text
from flowmrd.tube.files import TubeFiles

__all__ = ["gated_files", "keep_copy"]


def gated_files(run: RunFiles, sample: str) -> TubeFiles:
    """Preprocessed and gated columns of a tube of a run."""
    return TubeFiles(sample, run.work(sample, "preprocessed.arrow"), run.work(sample, "gated.arrow"))


def keep_copy(result: Path, copy: Path) -> None:
    """Copy a result to where the reports of other tubes read it (see ``workflow/rules/judge.smk``)."""
    write_text(copy, result.read_text(encoding="utf-8"))
