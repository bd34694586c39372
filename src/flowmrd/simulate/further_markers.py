"""Markers of further panels on the decades scale: EuroFlow's 8 and 12 colours, COG's 6 colours.

None of them was measured for this simulator. The literature says which populations carry a marker; their brightness, in
the levels 0 to 4 of :mod:`flowmrd.simulate.populations`, is general knowledge. Two antibodies with one dye are one
marker, whose level is that of the brighter antigen.

* CD81 and CD9 along B-cell maturation: Bagwell et al., Cytometry B 2015;88:214 (both rise before CD19 does; CD81 falls
  in the last stages). CD81 is dimmer on leukaemic than on regular precursors: Theunissen et al., Blood 2017;129:347.
* CD66c, CD123, CD73 and CD304 on leukaemia: Theunissen et al. 2017. CD13, CD33 and HLA-DR in normal marrow:
  van Lochem et al., Cytometry B 2004;60:1. CD123 on basophils and plasmacytoid dendritic cells: general knowledge.
* CD9 is missing or dim on leukaemia with ETV6-RUNX1, which is 22 to 25 % of childhood cases (PMC6732401).
* CD3 and CD7 mark T and NK cells, which is what EuroFlow's 12-colour tubes use them for (HemaSphere 2025, hem3.70125).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from numpy.random import SeedSequence, default_rng

Floats = npt.NDArray[np.float64]

FURTHER: Final = ("CD81", "CD66c+CD123", "CD73+CD304", "CD9", "CD13+CD33", "CD3+CD7", "HLA-DR")
"""Order of the columns of all tables below."""

NEGATIVE_SD: Final = 0.25
POSITIVE_SD: Final = 0.3
_POSITIVE_FROM: Final = 1.4
"""Level that separates dim from bright populations, and the spread within a population below and above it, decades."""

_LEVELS: Final[dict[str, tuple[float, ...]]] = {
    #                        CD81 66c/123 73/304 CD9  13/33  3/7  HLA-DR
    "T_NK":                 (2.3, 1.02, 1.5, 1.4, 1.02, 3.3, 1.3),
    "NEUTROPHIL":           (1.02, 2.9, 1.05, 1.4, 2.6, 1.02, 1.02),
    "IMMATURE_GRANULOCYTE": (1.5, 2.6, 1.05, 1.5, 2.9, 1.02, 1.3),
    "MONOCYTE":             (1.9, 1.8, 1.3, 2.3, 3.4, 1.02, 3.2),
    "MIXED_MYELOID":        (1.6, 1.9, 1.2, 2.0, 2.6, 1.1, 1.6),
    "ERYTHROBLAST":         (1.6, 1.02, 1.05, 1.3, 1.1, 1.02, 1.1),
    "BASOPHIL":             (1.6, 3.4, 1.1, 3.2, 2.9, 1.02, 1.05),
    "PDC":                  (2.6, 3.5, 3.2, 1.8, 1.6, 1.5, 3.3),
    "MYELOBLAST":           (2.3, 2.1, 1.5, 1.9, 3.0, 1.3, 2.9),
    "EARLY_PROGENITOR":     (2.5, 1.5, 1.4, 2.3, 1.3, 1.3, 3.0),
    "MATURE_B":             (2.3, 1.05, 2.3, 1.5, 1.05, 1.02, 3.2),
    "PLASMA_CELL":          (2.9, 1.05, 1.8, 2.2, 1.1, 1.02, 2.0),
}  # fmt: skip

MATURATION: Final[dict[str, tuple[float, ...]]] = {
    "CD81": (2.9, 3.0, 3.1, 2.9, 2.3),
    "CD66c+CD123": (1.3, 1.2, 1.1, 1.05, 1.05),
    "CD73+CD304": (1.3, 1.2, 1.3, 1.8, 2.2),
    "CD9": (2.9, 2.7, 2.3, 1.8, 1.5),
    "CD13+CD33": (1.15, 1.1, 1.05, 1.05, 1.05),
    "CD3+CD7": (1.02, 1.02, 1.02, 1.02, 1.02),
    "HLA-DR": (3.0, 3.05, 3.1, 3.2, 3.2),
}
"""Levels at the knots of the maturation path (:data:`flowmrd.simulate.populations.MATURATION_KNOTS`)."""

_BLASTS: Final[dict[str, tuple[float, float, float, float]]] = {
    "CD81": (1.0, 2.3, 0.45, 2.3),
    "CD66c+CD123": (0.55, 2.5, 0.45, 1.25),
    "CD73+CD304": (0.6, 2.5, 0.45, 1.35),
    "CD9": (0.77, 2.9, 0.4, 1.6),
    "CD13+CD33": (0.3, 2.2, 0.35, 1.1),
    "CD3+CD7": (0.0, 1.05, 0.05, 1.05),
    "HLA-DR": (1.0, 3.1, 0.25, 3.1),
}
"""Share of leukaemias that carry the marker, mean and spread over patients of their level, level of the others."""
_OTHERS_SD: Final = 0.12


def levels(population: str) -> dict[str, float]:
    """Mean of every further marker in a normal population, decades; by the name of its code."""
    return dict(zip(FURTHER, _LEVELS[population], strict=True))


def spread(mean: float) -> float:
    """Spread of a further marker within a population, decades."""
    return POSITIVE_SD if mean >= _POSITIVE_FROM else NEGATIVE_SD


def blast_levels(patient: Floats) -> dict[str, float]:
    """Mean of every further marker on a patient's leukaemic cells, decades; ``patient`` has any shape.

    Parameters
    ----------
    patient
        Any numbers specific to the patient, such as the shifts of the other markers. They seed a separate random
        stream, so that the leukaemias of panels without these markers stay the same.
    """
    rng = default_rng(SeedSequence(np.ascontiguousarray(patient, dtype="<f8").view("<u4").tolist()))
    found = {}
    for marker, (share, mean, sd, other) in _BLASTS.items():
        carries, draw = rng.random() < share, float(rng.standard_normal())
        found[marker] = mean + sd * draw if carries else other + _OTHERS_SD * draw
    return {marker: float(np.clip(level, 1.0, 3.7)) for marker, level in found.items()}
