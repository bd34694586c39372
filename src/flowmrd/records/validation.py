"""``validation.json``: figures of merit from leukaemias diluted in silico into the laboratory's controls."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from flowmrd.records.base import Artefact

__all__ = ["BlankEntry", "DilutionFigures", "HitsEntry", "KindEntry", "LevelEntry", "PatientEntry", "ValidationFile"]


class HitsEntry(Artefact):
    """A number of tubes out of several, with its interval."""

    hits: int
    of: int
    ci95: tuple[float, float] = Field(description="Exact binomial interval of the share.")


class BlankEntry(Artefact):
    """Tubes without added cells."""

    tubes: int
    mean_per_million: float = Field(description="Events called leukaemic per million of the denominator, mean.")
    lob_per_million: float = Field(description="Their 95th percentile: the limit of blank.")
    worst_per_million: float
    npa: HitsEntry = Field(description="Tubes with fewer events than a detection takes (negative agreement).")


class LevelEntry(Artefact):
    """All tubes of one level."""

    level: float = Field(description="Leukaemic cells put in, as a fraction of the denominator.")
    tubes: int
    ppa: float = Field(description="Share of tubes in which leukaemia was detected (positive agreement).")
    hits: int
    ci95: tuple[float, float] = Field(description="Exact binomial interval of ppa.")
    mean_measured: float
    cv: float | None = Field(description="Coefficient of variation of the measured fraction; null where it is 0.")
    recovery: float | None = Field(description="Leukaemic cells found among those put in.")
    within_half_log: HitsEntry = Field(description="Tubes whose measured fraction is within half a log of the true.")


class LinearityEntry(Artefact):
    """Straight line of log10 measured on log10 true."""

    points: int
    slope: float
    r_squared: float


class PatientEntry(Artefact):
    """One leukaemia."""

    patient: str
    like_normal: bool = Field(description="Its phenotype can hardly be told from normal precursors.")
    kinds: tuple[str, ...] = Field(description="Ways in which it is aberrant.")
    ppa_at_1e_4: HitsEntry = Field(alias="ppa_1e-4")
    ppa_at_1e_3: HitsEntry = Field(alias="ppa_1e-3")
    blank_per_million: float = Field(description="False events of the blanks, mean.")


class KindEntry(Artefact):
    """All leukaemias that are aberrant in one way; one leukaemia may be of several kinds."""

    kind: str
    patients: tuple[str, ...]
    ppa_at_1e_4: HitsEntry = Field(alias="ppa_1e-4")
    ppa_at_1e_3: HitsEntry = Field(alias="ppa_1e-3")
    blank_per_million: float = Field(description="False events of the blanks, mean.")


class EventsEntry(Artefact):
    """Tubes of one size at 1e-4."""

    least: int = Field(alias="from", description="Events of the denominator.")
    below: int | None = Field(alias="to", description="Null without an upper end.")
    ppa_at_1e_4: HitsEntry = Field(alias="ppa_1e-4")


class DilutionFigures(Artefact):
    """Figures of merit of all diluted tubes."""

    tubes: int
    patients: tuple[str, ...]
    controls: tuple[str, ...]
    blank: BlankEntry
    levels: tuple[LevelEntry, ...]
    lod: float | None = Field(description="Lowest level detected in at least 95 % of tubes.")
    loq: float | None = Field(description="Lowest such level with a coefficient of variation of at most 30 %.")
    linearity: LinearityEntry | None
    by_patient: tuple[PatientEntry, ...]
    by_kind: tuple[KindEntry, ...]
    by_events: tuple[EventsEntry, ...]


class ValidationFile(DilutionFigures):
    """``validation.json``: figures of merit from leukaemias diluted in silico into the laboratory's controls."""

    format: Literal["flowmrd-validation/1"]
    panel: str
    warnings: tuple[str, ...] = Field(description="What limits the validation, in sentences.")
