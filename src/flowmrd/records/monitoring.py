"""``monitoring.json``: a laboratory's quality measures, month by month over many runs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from flowmrd.records.base import Artefact

__all__ = ["MeasureEntry", "MonitoredRun", "MonitoringFile", "MonthEntry", "ReReviewEntry"]


class MonthEntry(Artefact):
    """One measure in one month."""

    month: str = Field(description="YYYY-MM of the acquisition, or 'undated'.")
    tubes: int = Field(ge=0, description="Tubes that the value rests on.")
    hits: int | None = Field(description="Of a share: tubes that count. Of the background: events called leukaemic.")
    value: float | None = Field(description="Share, events per million, events or days; null where there is none.")
    low: float | None = Field(description="Lower control limit, from the other months; null where not judged.")
    high: float | None = Field(description="Upper control limit, from the other months; null where not judged.")
    outside: bool = Field(description="The value lies beyond a limit.")


class MeasureEntry(Artefact):
    """One measure over all months."""

    id: str
    title: str
    kind: Literal["share", "per_million", "events", "days"]
    centre: float | None = Field(description="Of all months: pooled share, else the mean of the months.")
    months: tuple[MonthEntry, ...]


class MonitoredRun(Artefact):
    """One run that was read."""

    run: str = Field(description="Folder, relative to the folder that was looked through.")
    tubes: int = Field(description="Tubes that were taken from it.")
    repeated: int = Field(description="Tubes whose very file a later run analysed again; that later result counts.")


class ReReviewEntry(Artefact):
    """A negative result that a second person reviews again."""

    run: str
    sample: str
    patient: str
    month: str
    reported: str
    review: str
    mrd_sha256: str


class MonitoringFile(Artefact):
    """``monitoring.json``: quality measures of a laboratory by month, over many runs."""

    format: Literal["flowmrd-monitoring/1"] = "flowmrd-monitoring/1"
    runs: tuple[MonitoredRun, ...]
    problems: tuple[str, ...] = Field(description="What could not be read, and is in no figure.")
    locked: str | None = Field(description="SHA-256 of the monitoring.json whose months set the limits; null: all do.")
    followups: int
    controls: int
    measures: tuple[MeasureEntry, ...]
    negatives: int = Field(description="Negative follow-up tubes, of which the sample was drawn.")
    seed: int
    rereview: tuple[ReReviewEntry, ...]
