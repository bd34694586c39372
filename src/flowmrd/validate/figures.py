"""Figures of merit of an assay from diluted tubes, each with its exact interval."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from flowmrd.mrd.limits import binomial_interval
from flowmrd.records.validation import (
    BlankEntry,
    DilutionFigures,
    EventsEntry,
    HitsEntry,
    KindEntry,
    LevelEntry,
    LinearityEntry,
    PatientEntry,
)
from flowmrd.validate.dilution import Dilution

CV_LIMIT = 0.30
"""Largest coefficient of variation at which a level counts as quantifiable (accepted for rare events: 30 to 35 %)."""
DETECTED_SHARE = 0.95
"""Share of tubes in which a level must be found to be the limit of detection (CLSI EP17)."""
SIZES = (0, 100_000, 200_000, 300_000, 500_000, 1_000_000)
"""Limits of the size classes of tubes, cells of the denominator, for which detection at 1e-4 is given."""


def figures(
    dilutions: list[Dilution], *, detect_events: int, kinds: Mapping[str, Sequence[str]] | None = None
) -> DilutionFigures:
    """All figures of a validation report.

    Parameters
    ----------
    kinds
        Patient to the kinds of aberrancy of the leukaemia (:func:`flowmrd.validate.kinds_of`); an absent patient has
        none.
    """
    levels = [_level(dilutions, level, detect_events) for level in _levels(dilutions)]
    detected = [row for row in levels if row.ppa >= DETECTED_SHARE]
    quantified = [row.level for row in detected if row.cv is not None and row.cv <= CV_LIMIT]
    return DilutionFigures(
        tubes=len(dilutions),
        patients=tuple(sorted({d.patient for d in dilutions})),
        controls=tuple(sorted({d.control for d in dilutions})),
        blank=_blank(dilutions, detect_events),
        levels=tuple(levels),
        lod=min((row.level for row in detected), default=None),
        loq=min(quantified, default=None),
        linearity=_linearity(dilutions),
        by_patient=tuple(_by_patient(dilutions, detect_events, kinds or {})),
        by_kind=tuple(_by_kind(dilutions, detect_events, kinds or {})),
        by_events=tuple(_by_events(dilutions, detect_events)),
    )


def _blank(dilutions: list[Dilution], detect_events: int) -> BlankEntry:
    """False events in the tubes without added cells."""
    blank = [d for d in dilutions if d.level == 0.0]
    rates = np.array([_per_million(d) for d in blank] or [0.0])
    return BlankEntry(
        tubes=len(blank),
        mean_per_million=float(rates.mean()),
        lob_per_million=float(np.quantile(rates, 0.95)),
        worst_per_million=float(rates.max()),
        npa=_share([not _found(d, detect_events) for d in blank]),
    )


def _per_million(dilution: Dilution) -> float:
    return 1e6 * dilution.measured / max(dilution.denominator, 1)


def _by_patient(
    dilutions: list[Dilution], detect_events: int, kinds: Mapping[str, Sequence[str]]
) -> Iterator[PatientEntry]:
    """One row per leukaemia."""
    for patient in sorted({d.patient for d in dilutions}):
        own = [d for d in dilutions if d.patient == patient]
        yield PatientEntry(
            patient=patient,
            like_normal=any(d.indistinct for d in own),
            kinds=tuple(kinds.get(patient, ())),
            ppa_at_1e_4=_found_at(1e-4, own, detect_events),
            ppa_at_1e_3=_found_at(1e-3, own, detect_events),
            blank_per_million=_false_per_million(own),
        )


def _levels(dilutions: list[Dilution]) -> list[float]:
    return sorted({d.level for d in dilutions if d.level > 0}, reverse=True)


def _found(dilution: Dilution, detect_events: int) -> bool:
    return dilution.measured >= detect_events


def _share(hits: list[bool]) -> HitsEntry:
    return HitsEntry(hits=sum(hits), of=len(hits), ci95=binomial_interval(sum(hits), len(hits)))


def _found_at(level: float, chosen: list[Dilution], detect_events: int) -> HitsEntry:
    return _share([_found(d, detect_events) for d in chosen if d.level == level])


def _false_per_million(chosen: list[Dilution]) -> float:
    """Mean false events per million in the blanks."""
    return float(np.mean([_per_million(d) for d in chosen if d.level == 0.0] or [0.0]))


def _level(dilutions: list[Dilution], level: float, detect_events: int) -> LevelEntry:
    chosen = [d for d in dilutions if d.level == level]
    found = _found_at(level, chosen, detect_events)
    measured = np.array([d.measured / max(d.denominator, 1) for d in chosen])
    true = sum(d.true for d in chosen)
    mean = float(measured.mean())
    return LevelEntry(
        level=level,
        tubes=len(chosen),
        ppa=found.hits / found.of,
        hits=found.hits,
        ci95=found.ci95,
        mean_measured=mean,
        cv=float(measured.std() / mean) if mean > 0 else None,
        recovery=sum(d.recovered for d in chosen) / true if true else None,
        within_half_log=_share(
            [bool(abs(np.log10(d.measured / d.true)) <= 0.5) if d.measured and d.true else False for d in chosen]
        ),
    )


def _linearity(dilutions: list[Dilution]) -> LinearityEntry | None:
    pairs = [
        (np.log10(d.true / d.denominator), np.log10(d.measured / d.denominator))
        for d in dilutions
        if d.true > 0 and d.measured > 0
    ]
    if len(pairs) < 3:
        return None
    x, y = np.array(pairs).T
    if x.std() == 0 or y.std() == 0:
        return None
    return LinearityEntry(
        points=len(pairs), slope=float(np.polyfit(x, y, 1)[0]), r_squared=float(np.corrcoef(x, y)[0, 1] ** 2)
    )


def _by_kind(dilutions: list[Dilution], detect_events: int, kinds: Mapping[str, Sequence[str]]) -> Iterator[KindEntry]:
    """One row per kind of aberrancy; a leukaemia counts in every kind that applies to it."""
    patients = sorted({d.patient for d in dilutions})
    for kind in sorted({kind for patient in patients for kind in kinds.get(patient, ())}):
        of_kind = [patient for patient in patients if kind in kinds.get(patient, ())]
        chosen = [d for d in dilutions if d.patient in of_kind]
        yield KindEntry(
            kind=kind,
            patients=tuple(of_kind),
            ppa_at_1e_4=_found_at(1e-4, chosen, detect_events),
            ppa_at_1e_3=_found_at(1e-3, chosen, detect_events),
            blank_per_million=_false_per_million(chosen),
        )


def _by_events(dilutions: list[Dilution], detect_events: int) -> Iterator[EventsEntry]:
    for least, below in zip(SIZES, [*SIZES[1:], None], strict=True):
        chosen = [d for d in dilutions if d.level == 1e-4 and least <= d.denominator < (below or math.inf)]
        if chosen:
            yield EventsEntry(least=least, below=below, ppa_at_1e_4=_found_at(1e-4, chosen, detect_events))
