"""Figures of merit of an assay from diluted tubes, each with its exact interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from flowmrd.mrd.limits import binomial_interval
from flowmrd.validate.dilution import Dilution

CV_LIMIT = 0.30
"""Coefficient of variation up to which a level counts as quantifiable (accepted for rare events: 30 to 35 %)."""


def figures(
    dilutions: list[Dilution], *, detect_events: int, kinds: Mapping[str, Sequence[str]] | None = None
) -> dict[str, Any]:
    """All figures of a validation report.

    Parameters
    ----------
    kinds
        Patient to the kinds of aberrancy of the leukaemia (:func:`flowmrd.validate.kinds_of`); an absent patient has
        none.

    Returns
    -------
    dict
        ``blank`` (false events per million, LOB as its 95th percentile, NPA), ``levels`` (PPA, recovery, CV), ``lod``
        (lowest level detected in at least 95 % of tubes), ``loq`` (lowest such level with a CV of at most 30 %),
        ``linearity`` (slope, R² of log10 measured on log10 true), ``by_patient``, ``by_kind``, ``by_events``.
    """
    levels = [_level(dilutions, level, detect_events) for level in _levels(dilutions)]
    detected = [row["level"] for row in levels if row["ppa"] >= 0.95]
    quantified = [
        row["level"] for row in levels if row["ppa"] >= 0.95 and row["cv"] is not None and row["cv"] <= CV_LIMIT
    ]
    return {
        "tubes": len(dilutions),
        "patients": sorted({d.patient for d in dilutions}),
        "controls": sorted({d.control for d in dilutions}),
        "blank": _blank(dilutions, detect_events),
        "levels": levels,
        "lod": min(detected) if detected else None,
        "loq": min(quantified) if quantified else None,
        "linearity": _linearity(dilutions),
        "by_patient": _by_patient(dilutions, detect_events, kinds or {}),
        "by_kind": _by_kind(dilutions, detect_events, kinds or {}),
        "by_events": _by_events(dilutions, detect_events),
    }


def _blank(dilutions: list[Dilution], detect_events: int) -> dict[str, Any]:
    """False events of the tubes that nothing was put into."""
    blank = [d for d in dilutions if d.level == 0.0]
    rates = np.array([1e6 * d.measured / max(d.denominator, 1) for d in blank] or [0.0])
    return {
        "tubes": len(blank),
        "mean_per_million": float(rates.mean()),
        "lob_per_million": float(np.quantile(rates, 0.95)),
        "worst_per_million": float(rates.max()),
        "npa": _share([d.measured < detect_events for d in blank]),
    }


def _by_patient(
    dilutions: list[Dilution], detect_events: int, kinds: Mapping[str, Sequence[str]]
) -> list[dict[str, Any]]:
    """One row a leukaemia."""
    rows = []
    for patient in sorted({d.patient for d in dilutions}):
        own = [d for d in dilutions if d.patient == patient]
        rows.append(
            {
                "patient": patient,
                "like_normal": any(d.indistinct for d in own),
                "kinds": list(kinds.get(patient, ())),
                **_found_and_false(own, detect_events),
            }
        )
    return rows


def _levels(dilutions: list[Dilution]) -> list[float]:
    return sorted({d.level for d in dilutions if d.level > 0}, reverse=True)


def _found(dilution: Dilution, detect_events: int) -> bool:
    return dilution.measured >= detect_events


def _share(hits: list[bool]) -> dict[str, Any]:
    low, high = binomial_interval(sum(hits), len(hits))
    return {"hits": sum(hits), "of": len(hits), "ci95": [low, high]}


def _level(dilutions: list[Dilution], level: float, detect_events: int) -> dict[str, Any]:
    chosen = [d for d in dilutions if d.level == level]
    hits = [_found(d, detect_events) for d in chosen]
    measured = np.array([d.measured / max(d.denominator, 1) for d in chosen])
    true = sum(d.true for d in chosen)
    mean = float(measured.mean())
    return {
        "level": level,
        "tubes": len(chosen),
        "ppa": sum(hits) / len(hits),
        **{key: value for key, value in _share(hits).items() if key != "of"},
        "mean_measured": mean,
        "cv": float(measured.std() / mean) if mean > 0 else None,
        "recovery": sum(d.recovered for d in chosen) / true if true else None,
        "within_half_log": _share(
            [bool(abs(np.log10(d.measured / d.true)) <= 0.5) if d.measured and d.true else False for d in chosen]
        ),
    }


def _linearity(dilutions: list[Dilution]) -> dict[str, float] | None:
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
    return {
        "points": len(pairs),
        "slope": float(np.polyfit(x, y, 1)[0]),
        "r_squared": float(np.corrcoef(x, y)[0, 1] ** 2),
    }


def _found_and_false(chosen: list[Dilution], detect_events: int) -> dict[str, Any]:
    """Detection at two levels, and false events of the blanks."""
    rates = [1e6 * d.measured / max(d.denominator, 1) for d in chosen if d.level == 0.0]
    return {
        "ppa_1e-4": _share([_found(d, detect_events) for d in chosen if d.level == 1e-4]),
        "ppa_1e-3": _share([_found(d, detect_events) for d in chosen if d.level == 1e-3]),
        "blank_per_million": float(np.mean(rates or [0.0])),
    }


def _by_kind(dilutions: list[Dilution], detect_events: int, kinds: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """One row a kind of aberrancy; a leukaemia counts in every kind it is of."""
    rows = []
    patients = sorted({d.patient for d in dilutions})
    for kind in sorted({kind for patient in patients for kind in kinds.get(patient, ())}):
        of_kind = [patient for patient in patients if kind in kinds.get(patient, ())]
        rows.append(
            {
                "kind": kind,
                "patients": of_kind,
                **_found_and_false([d for d in dilutions if d.patient in of_kind], detect_events),
            }
        )
    return rows


def _by_events(dilutions: list[Dilution], detect_events: int) -> list[dict[str, Any]]:
    edges = (0, 100_000, 200_000, 300_000, 500_000, 1_000_000, 1 << 62)
    rows = []
    for low, high in pairwise(edges):
        chosen = [d for d in dilutions if d.level == 1e-4 and low <= d.denominator < high]
        if chosen:
            rows.append(
                {
                    "from": low,
                    "to": high if high < 1 << 62 else None,
                    "ppa_1e-4": _share([_found(d, detect_events) for d in chosen]),
                }
            )
    return rows
