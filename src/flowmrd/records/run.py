"""Files about a run: digests of its results, its circumstances, and the reasons why stages failed."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Literal

from pydantic import Field, field_validator

from flowmrd.records.base import Artefact

__all__ = ["FailureFile", "ManifestFile", "ProvenanceFile"]


class DigestEntry(Artefact):
    """Digest and size of one file."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)


class ManifestFile(Artefact):
    """``manifest.json``: size and SHA-256 of every result file."""

    format: Literal["flowmrd-manifest/1"]
    files: dict[str, DigestEntry] = Field(description="Path below results to its digest.")

    @field_validator("files")
    @classmethod
    def _below_results(cls, files: dict[str, DigestEntry]) -> dict[str, DigestEntry]:
        if any(PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts for name in files):
            raise ValueError("a path that leads out of results")
        return files


class FailureFile(Artefact):
    """Why a stage ended without a result."""

    stage: str
    unit: str
    what: str
    where: str
    todo: str
    exit_code: int
    lasting: bool = Field(description="The tube is at fault; trying again is of no use before something has changed.")
    fingerprint: str


class HostClass(Artefact):
    """Kind of machine, without its identity."""

    system: str
    machine: str
    processors: int | None
    memory_gb: int
    batch_system: str | None
    byte_order: str


class StageSeconds(Artefact):
    """Time of one stage over all tubes."""

    jobs: int
    seconds: float


class RunEntry(Artefact):
    """The run itself."""

    command: str | None
    started: str | None
    ended: str | None
    host_class: HostClass
    seconds_by_stage: dict[str, StageSeconds]


class SoftwareEntry(Artefact):
    """What was installed."""

    flowmrd: str
    commit: str | None
    modified: bool
    python: str
    lock_sha256: str | None
    packages: dict[str, str | None]


class InputFileEntry(Artefact):
    """An input that is not a tube."""

    path: str
    sha256: str
    bytes: int


class InputTubeEntry(Artefact):
    """A tube by its id and the digest of the file as it was analysed."""

    sample: str
    role: str
    sha256: str | None


class InputsEntry(Artefact):
    """All inputs."""

    files: tuple[InputFileEntry, ...]
    tubes: tuple[InputTubeEntry, ...]


class ResultsEntry(Artefact):
    """All results."""

    files: int
    manifest_sha256: str


class ReviewEntry(Artefact):
    """State of the review log."""

    entries: int
    head: str | None
    key_id: str | None


class ProvenanceFile(Artefact):
    """``provenance.json``: when, where and with what software a run was made, and the digests of its inputs."""

    format: Literal["flowmrd-provenance/1"]
    run: RunEntry
    software: SoftwareEntry
    inputs: InputsEntry
    results: ResultsEntry
    review: ReviewEntry | None = Field(None, description="Never null in a run; null where the note was taken out.")
