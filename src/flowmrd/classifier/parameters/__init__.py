"""Every number of the classifier, in one class: value, unit, source, and what it decides.

Each theme is a file of this package, and a number is one field there. ``docs/thresholds.md`` is written from them.
``python -m benchmarks.ablation`` halves and doubles every number and stores what changes; the page shows it.
Logarithms are natural; a decade is a factor of ten of the signal.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from flowmrd.classifier.parameters.candidate_groups import CandidateGroupNumbers
from flowmrd.classifier.parameters.diagnosis import DiagnosisNumbers
from flowmrd.classifier.parameters.evidence import EvidenceNumbers
from flowmrd.classifier.parameters.normal_model import NormalModelNumbers
from flowmrd.classifier.parameters.number import HAND, Section
from flowmrd.classifier.parameters.phenotype_match import PhenotypeMatchNumbers
from flowmrd.classifier.parameters.run import RunNumbers
from flowmrd.classifier.parameters.spike_in import SpikeInNumbers
from flowmrd.classifier.parameters.staining_control import StainingNumbers
from flowmrd.classifier.parameters.tube_checks import TubeCheckNumbers
from flowmrd.classifier.parameters.tube_fit import TubeFitNumbers

__all__ = ["HAND", "ClassifierParameters", "Section"]


@dataclass(frozen=True, repr=False)
class ClassifierParameters(
    SpikeInNumbers,
    EvidenceNumbers,
    CandidateGroupNumbers,
    PhenotypeMatchNumbers,
    DiagnosisNumbers,
    StainingNumbers,
    TubeCheckNumbers,
    TubeFitNumbers,
    NormalModelNumbers,
    RunNumbers,
):  # a dataclass takes the fields of its last base first
    """Every choice and number of the classifier.

    The defaults are those of the product. A field's metadata hold ``section``, ``unit``, ``meaning`` and ``source``;
    docs/thresholds.md lists all with their measured effect.
    """

    def __repr__(self) -> str:
        """Only what differs from the product, as scikit-learn shows its estimators."""
        changed = {one.name: getattr(self, one.name) for one in fields(self)}
        shown = (f"{one.name}={changed[one.name]!r}" for one in fields(self) if changed[one.name] != one.default)
        return f"{type(self).__name__}({', '.join(shown)})"
