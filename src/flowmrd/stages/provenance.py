"""Stage behind ``flowmrd provenance``: the circumstances of a run (account, time, machine, software) and its results.

Writes ``results/manifest.json`` (:mod:`flowmrd.stages.manifest`), ``results/provenance.json``, ``results/rerun/``
(configuration and sample sheet for another laboratory) and ``results/ro-crate-metadata.json``
(:mod:`flowmrd.stages.ro_crate`). These are the only results that hold times.

The paths and names of FCS files are left out, because they often hold a patient's name. A tube is identified by its
sample id and the SHA-256 of its file; ``results/rerun/config/samples.tsv`` expects it as ``fcs/<sample>.fcs``.
"""

from __future__ import annotations

import csv
import math
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import flowmrd
from flowmrd.config import RunConfig, Sample, load_config, read_sheet
from flowmrd.config.sheet import OPTIONAL, REQUIRED
from flowmrd.config.table import read_table
from flowmrd.errors import ArtefactError, PanelError
from flowmrd.home import PANELS, REPOSITORY
from flowmrd.panel import find_panel
from flowmrd.records.read import read_record
from flowmrd.records.run import (
    HostClass,
    InputFileEntry,
    InputsEntry,
    InputTubeEntry,
    ProvenanceFile,
    ResultsEntry,
    ReviewEntry,
    RunEntry,
    SoftwareEntry,
    StageSeconds,
)
from flowmrd.review.keys import key_id
from flowmrd.review.log import check_log
from flowmrd.review.status import trusted_key
from flowmrd.run_files import RunFiles
from flowmrd.stages.manifest import MANIFEST, renew_manifest, write_manifest
from flowmrd.stages.ro_crate import write_crate
from flowmrd.store import digest_file, read_json, write_json, write_text

PROVENANCE: Final = Path("results/provenance.json")
LOCK: Final = REPOSITORY / "requirements.lock"
CONFIG: Final = Path("config/config.yaml")
STARTED: Final = "FLOWMRD_STARTED"
COMMAND: Final = "FLOWMRD_COMMAND"


def in_run(run: RunFiles) -> None:
    """Record what a finished run was made with and what it gave."""
    write_provenance(run.directory)


def write_provenance(
    run_directory: Path, *, command: str | None = None, started: datetime | None = None, ended: datetime | None = None
) -> ProvenanceFile:
    """Record a finished run.

    Parameters
    ----------
    command
        Command line of the run; by default what the launcher left in ``FLOWMRD_COMMAND``.
    started
        When the run began; by default ``FLOWMRD_STARTED`` (ISO 8601), otherwise unknown.
    ended
        The present by default.

    Raises
    ------
    ConfigError, SheetError
        Where configuration or sample sheet cannot be read any more.
    ArtefactError
        Where an ``mrd.json`` is not one.
    """
    config = load_config(run_directory / CONFIG)
    sheet = run_directory / config.samples
    samples, _ = read_sheet(sheet)
    files = write_manifest(run_directory)
    _write_rerun(run_directory, sheet)
    record = ProvenanceFile(
        format="flowmrd-provenance/1",
        run=RunEntry(
            command=command or os.environ.get(COMMAND),
            started=_iso(started) or os.environ.get(STARTED) or None,
            ended=_iso(ended or datetime.now(UTC)),
            host_class=host_class(),
            seconds_by_stage=_seconds_by_stage(run_directory),
        ),
        software=software(),
        inputs=InputsEntry(
            files=tuple(_input_files(run_directory, config, samples)),
            tubes=tuple(_tube(run_directory, sample) for sample in samples),
        ),
        results=ResultsEntry(files=len(files), manifest_sha256=digest_file(run_directory / MANIFEST)),
        review=review_state(run_directory),
    )
    write_json(run_directory / PROVENANCE, record.model_dump(mode="json"))
    write_crate(run_directory, record, files)
    return record


def renew_records(run_directory: Path, changed: Sequence[Path]) -> None:
    """Renew manifest, provenance and crate after a tube was counted again with a reviewer's calls.

    Everything else stays as the run left it and is not digested again. Without records nothing is done.

    Parameters
    ----------
    changed
        Result files that were written again, relative to ``results``.
    """
    if not (run_directory / MANIFEST).is_file() or not (run_directory / PROVENANCE).is_file():
        return
    files = renew_manifest(run_directory, changed)
    record = read_record(run_directory / PROVENANCE, ProvenanceFile).model_copy(
        update={
            "results": ResultsEntry(files=len(files), manifest_sha256=digest_file(run_directory / MANIFEST)),
            "review": review_state(run_directory),
        }
    )
    write_json(run_directory / PROVENANCE, record.model_dump(mode="json"))
    write_crate(run_directory, record, files)


def review_state(run_directory: Path) -> ReviewEntry:
    """Present head of the review log and the laboratory's key, so that a log put back to an earlier
    state is noticed.
    """
    check = check_log(run_directory)
    key = trusted_key(run_directory, None)
    return ReviewEntry(
        entries=0 if check.head is None else check.head.entries,
        head=check.head_digest,
        key_id=None if key is None else key_id(key),
    )


def software() -> SoftwareEntry:
    """Versions of flowmrd, Python and every locked package as installed, and what pins them."""
    return SoftwareEntry(
        flowmrd=flowmrd.__version__,
        commit=_git("rev-parse", "HEAD"),
        modified=bool(_git("status", "--porcelain", "--untracked-files=no")),
        python=platform.python_version(),
        lock_sha256=digest_file(LOCK) if LOCK.is_file() else None,
        packages=dict(installed_packages()),
    )


@cache
def locked_packages() -> dict[str, str]:
    """Package to version in the lock file, for this Python and platform."""
    from packaging.requirements import InvalidRequirement, Requirement

    found: dict[str, str] = {}
    lines = LOCK.read_text(encoding="utf-8").splitlines() if LOCK.is_file() else []
    for line in lines:
        if line[:1].isalnum():
            try:
                wanted = Requirement(line.split("--hash")[0].rstrip(" \\"))
            except InvalidRequirement:
                continue
            if wanted.marker is None or wanted.marker.evaluate():
                found[wanted.name] = str(wanted.specifier).removeprefix("==")
    return found


@cache
def installed_packages() -> dict[str, str | None]:
    """Every locked package and its installed version; None where it is not installed."""
    found: dict[str, str | None] = {}
    for package in locked_packages():
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def host_class() -> HostClass:
    """Kind of machine, without host name, user or address."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return HostClass(
        system=platform.system(),
        machine=platform.machine(),
        processors=os.cpu_count(),
        memory_gb=round(memory / 2**30),
        batch_system="slurm" if "SLURM_JOB_ID" in os.environ else None,
        byte_order=sys.byteorder,
    )


def input_paths(run_directory: Path, config: RunConfig, samples: list[Sample]) -> dict[str, Path]:
    """Label of every input that is not a tube, and where it lies.

    The label is the path inside the run directory, ``panel:<name>`` for a shipped panel, and the bare file name for
    anything else.
    """
    found: dict[str, Path] = {}

    def add(path: Path) -> None:
        if path.is_file():
            try:
                label = path.resolve().relative_to(run_directory.resolve()).as_posix()
            except ValueError:
                label = f"panel:{path.stem}" if path.parent == PANELS else path.name
            found.setdefault(label, path)

    add(run_directory / CONFIG)
    add(run_directory / config.samples)
    add(run_directory / config.patients)
    add(run_directory / config.adverse_events)
    for panel in dict.fromkeys([config.panel, *(sample.panel for sample in samples if sample.panel)]):
        # a tube whose panel is unknown was refused and has no result
        with suppress(PanelError):
            add(find_panel(panel, run_directory=run_directory))
    if not isinstance(config.compensation, str):
        for given in config.compensation.tables().values():
            add((run_directory / config.samples).parent / given)
    if config.review.decisions is not None:
        add(run_directory / config.review.decisions)
    for override in sorted((run_directory / "config" / "overrides").glob("*")):
        add(override)
    return found


def _input_files(run_directory: Path, config: RunConfig, samples: list[Sample]) -> list[InputFileEntry]:
    return [
        InputFileEntry(path=label, sha256=digest_file(path), bytes=path.stat().st_size)
        for label, path in sorted(input_paths(run_directory, config, samples).items())
    ]


def _tube(run_directory: Path, sample: Sample) -> InputTubeEntry:
    """A tube by its id and the digest of the file as it was analysed; null where it was not."""
    path = run_directory / "results" / "samples" / sample.sample / "mrd.json"
    sha256 = None
    if path.is_file():
        try:
            sha256 = str(read_json(path)["provenance"]["fcs_sha256"])
        except (KeyError, TypeError) as error:
            raise ArtefactError(
                str(path), found="no digest of its FCS file", expected="an mrd.json", todo="delete it and run again"
            ) from error
    return InputTubeEntry(sample=sample.sample, role=sample.role.value, sha256=sha256)


def _write_rerun(run_directory: Path, sheet: Path) -> None:
    """Write the files that another laboratory needs besides the tubes, with other file names and no clinical tables."""
    folder = run_directory / "results" / "rerun" / "config"
    rows, _ = read_table(sheet, REQUIRED, OPTIONAL, one_row_per="tube", setting="samples")
    columns = [name for name in (*REQUIRED, *OPTIONAL) if name not in {"labels", "analyst"}]
    lines = ["\t".join(columns)]
    for _, row in rows:
        changed: Mapping[str, str] = {**row, "fcs": f"../fcs/{row['sample']}.fcs"}
        lines.append("\t".join(changed.get(name, "") for name in columns))
    write_text(folder / "samples.tsv", "\n".join(lines) + "\n")
    config = (run_directory / CONFIG).read_text(encoding="utf-8")
    write_text(folder / "config.yaml", config)


def _seconds_by_stage(run_directory: Path) -> dict[str, StageSeconds]:
    """Jobs and seconds by stage from the benchmarks of the workflow, where there are any."""
    found: dict[str, StageSeconds] = {}
    folder = run_directory / "results" / "benchmarks"
    for path in sorted(folder.rglob("*.tsv")):
        relative = path.relative_to(folder)
        stage = relative.parts[0].removesuffix(".tsv")
        with path.open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream, delimiter="\t"):
                try:
                    seconds = float(row.get("s") or "nan")
                except ValueError:
                    continue
                if math.isfinite(seconds):
                    before = found.get(stage, StageSeconds(jobs=0, seconds=0.0))
                    found[stage] = StageSeconds(jobs=before.jobs + 1, seconds=round(before.seconds + seconds, 3))
    return found


def _git(*arguments: str) -> str | None:
    if not (REPOSITORY / ".git").exists():
        return None
    try:
        done = subprocess.run(  # noqa: S603
            ["git", "-C", str(REPOSITORY), *arguments],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def _iso(when: datetime | None) -> str | None:
    return None if when is None else when.astimezone(UTC).isoformat(timespec="seconds")
