"""``ingest.json``: one FCS file as it was read."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from flowmrd.records.base import Artefact, FlagEntry

__all__ = [
    "AcquisitionEntry",
    "ChannelEntry",
    "ExportEntry",
    "Facts",
    "HeaderFacts",
    "IngestFile",
    "SecondReaderEntry",
    "SpilloverEntry",
    "matrices_of",
]


Number = Annotated[int | float, WithJsonSchema({"type": "number"})]
"""A number that is written as it was read, such as 262144 and not 262144.0."""


class ChannelEntry(Artefact):
    """One parameter of the file, and the panel's channel with which it was matched."""

    column: str = Field(description="Name of its column: the marker, or ch<NN> where the panel does not know it.")
    marker: str | None
    kind: str | None
    matched_by: str | None = Field(description="Name by which it was matched: pns or pnn; null where it was not.")
    pnn: str | None
    pns: str | None
    range: Number | None = Field(description="$PnR: a whole number in most files, and written as such.")
    voltage: float | None
    gain: float | None
    log: tuple[float, float] | None = Field(description="Decades and offset of a logarithmic amplifier.")
    time: bool
    compensated: bool = Field(description="Something in the file says that its values are compensated.")
    tag: str | None = Field(None, description="Dye, $PnTAG of FCS 3.2, where the file says it.")
    detector: str | None = Field(None, description="Detector, $PnDET of FCS 3.2, where the file says it.")


class SpilloverEntry(Artefact):
    """A spillover matrix of the file."""

    source: str
    detectors: tuple[str, ...] = Field(description="Columns of the matrix.")
    matrix: tuple[tuple[float, ...], ...] | None
    percent_scaled: bool
    malformed: str
    others: tuple[SpilloverEntry, ...] | None = Field(None, description="Further matrices; of the first one alone.")


class SecondReaderEntry(Artefact):
    """Result of a second FCS reader."""

    status: str
    reason: str


class ExportEntry(Artefact):
    """Evidence in the file that values were compensated, and the keyword of a transform, before the export."""

    by: str
    transform: str


class AcquisitionEntry(Artefact):
    """When the tube was acquired."""

    date: str | None = Field(None, description="ISO day.")
    begin: float | None = Field(None, description="Seconds after midnight.")
    end: float | None = Field(None, description="Seconds after midnight.")


class IngestFile(Artefact):
    """``ingest.json``: facts of one FCS file: digest, findings, channels, spillover matrix, allowed keywords."""

    schema_: Literal["flowmrd-ingest/1"] = Field(alias="schema")
    sample: str
    sha256: str
    bytes: int
    data_set: int = Field(description="0-based data set of the file that was taken.")
    n_data_sets: int
    fcs_version: str
    n_events: int
    findings: tuple[FlagEntry, ...]
    second_reader: SecondReaderEntry
    channels: tuple[ChannelEntry, ...]
    spillover: SpilloverEntry | None
    export: ExportEntry
    nonfinite: dict[str, int] = Field(description="Column to events with NaN or infinity, only where there are any.")
    missing: tuple[str, ...] = Field(description="Optional markers of the panel that the file lacks.")
    timestep: float | None = Field(description="Seconds of one tick of the clock.")
    instrument: dict[str, str] = Field(description="Model, and digests of serial number and configuration.")
    acquisition: AcquisitionEntry
    keywords: dict[str, str] = Field(description="Keywords that may be stored (flowmrd.fcs.scrub).")


class HeaderFacts(Artefact):
    """The part of ``ingest.json`` that comes from a header; empty for a tube that was made in memory."""

    channels: tuple[ChannelEntry, ...] = ()
    spillover: SpilloverEntry | None = None
    export: ExportEntry = ExportEntry(by="", transform="")
    instrument: dict[str, str] = Field({})
    acquisition: AcquisitionEntry = AcquisitionEntry()


Facts = HeaderFacts | IngestFile
"""Facts about a file: all of them, or those of its header."""


def matrices_of(facts: Facts) -> tuple[SpilloverEntry, ...]:
    """Spillover matrices of a file, well-formed ones before others."""
    first = facts.spillover
    return () if first is None else (first, *(first.others or ()))
