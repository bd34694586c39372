"""``selftest.json`` and the golden results that ``flowmrd selftest`` compares with."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from flowmrd.records.base import Artefact
from flowmrd.records.run import HostClass, SoftwareEntry

__all__ = ["CheckEntry", "GoldenFile", "GoldenTruth", "GoldenTube", "SelftestFile"]


class GoldenTruth(Artefact):
    """What the simulator put into a tube."""

    events: int
    nucleated: int
    mrd_events: int


class GoldenTube(Artefact):
    """What the pipeline makes of one simulated tube."""

    truth: GoldenTruth
    fcs_sha256: str
    class_: str = Field(alias="class")
    mrd_negative: bool | None
    counts: dict[str, int]
    mrd_sha256: str


GoldenFile = dict[str, GoldenTube]
"""``test_data/selftest/golden.json``: tube to its results."""


class CheckEntry(Artefact):
    """One comparison of the selftest."""

    part: Literal["installation", "statistics", "operation"]
    name: str
    passed: bool
    found: str
    expected: str


class SelftestFile(Artefact):
    """``selftest.json``: every check of an installation with its outcome, for the laboratory's file."""

    format: Literal["flowmrd-selftest/1"]
    made_at: str = Field(description="ISO 8601 with time zone.")
    passed: bool
    host_class: HostClass
    software: SoftwareEntry
    golden_sha256: str
    checks: tuple[CheckEntry, ...]
