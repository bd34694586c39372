"""How a number of the classifier is written down: value, section, unit, meaning, source."""

from __future__ import annotations

from dataclasses import field
from typing import Literal, TypeVar

__all__ = ["HAND", "Section", "number"]

T = TypeVar("T")
Section = Literal[
    "run",
    "mixtures",
    "normal model",
    "fit to one tube",
    "doublets",
    "markers masked by a drug",
    "prior of blasts",
    "catalogue of populations",
    "novelty of a tube",
    "staining control",
    "unknown population",
    "diagnosis",
    "phenotype match",
    "compact groups",
    "off-scale cells",
    "carry-over",
    "comparison with controls",
    "error rate of a group",
    "judgement of controls",
    "cut",
    "heavy burden",
    "spike-in",
]
HAND = "by hand"


def number(default: T, section: Section, unit: str, meaning: str, source: str = HAND) -> T:
    """A field of :class:`ClassifierParameters` with what ``docs/thresholds.md`` says of it."""
    metadata = {"section": section, "unit": unit, "meaning": meaning, "source": source}
    return field(default=default, metadata=metadata)
