"""Normal marrow populations on the decades scale.

Levels of CD19, CD10, CD20, CD45, CD34, CD38, CD58, SYTO41 and scatter follow the measured groups in
:mod:`flowmrd.simulate.measured`. Populations finer than those groups, and CD22, CD24 and CD66b everywhere, follow the
consensus pattern of antigen levels 0..4 of B-lineage flow cytometry (McKenna et al., Blood 2001;98:2498 for the
haematogone stages; Cherian et al., Cytometry B 2018;94:112 for CD22, CD24 and CD66b), put on the scale by
:data:`LEVELS`. These levels are general knowledge, not measurements. Markers of other panels are in
:mod:`.further_markers`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from flowmrd.simulate import further_markers, measured

Floats = npt.NDArray[np.float64]

SIGNALS: Final = (*measured.MEASURED, "CD22", "CD24", "CD66b", *further_markers.FURTHER)
"""Every signal that the simulator gives a cell, besides pulse height and width; this is the order of all vectors."""

N_FIRST: Final = len(SIGNALS) - len(further_markers.FURTHER)
"""Number of signals that are drawn first. Further markers have separate streams of random numbers, so that tubes of
panels without them keep their bytes.
"""

LEVELS: Final = (1.02, 1.6, 2.3, 2.9, 3.45)
"""Decades of the relative levels 0 (negative) to 4 (bright)."""


class Code(IntEnum):
    """Population codes of the truth table. Frozen: never renumber."""

    DEBRIS = 0
    T_NK = 1
    NEUTROPHIL = 2
    IMMATURE_GRANULOCYTE = 3
    MONOCYTE = 4
    ERYTHROBLAST = 5
    BASOPHIL = 6
    PDC = 7
    MYELOBLAST = 8
    EARLY_PROGENITOR = 9
    HAEMATOGONE_1 = 10
    HAEMATOGONE_2 = 11
    HAEMATOGONE_3 = 12
    MATURE_B = 13
    PLASMA_CELL = 14
    DEAD = 15
    MIXED_MYELOID = 16
    LEUKAEMIC = 20


@dataclass(frozen=True)
class Population:
    """One normal population: mean and within-population spread of every signal.

    Attributes
    ----------
    mean, sd
        Decades, shape (len(SIGNALS),), order :data:`SIGNALS`.
    group
        Key of the measured correlation matrix that the population uses.
    """

    code: Code
    mean: Floats
    sd: Floats
    group: str

    @property
    def covariance(self) -> Floats:
        """Within-population covariance, shape (len(SIGNALS), len(SIGNALS)), decades squared."""
        correlation = np.eye(len(SIGNALS))
        n = len(measured.MEASURED)
        correlation[:n, :n] = measured.correlation(self.group)
        if self.group in {"granulocyte_like", "intermediate"}:
            # Both are antigens of granulocytic maturation and appear together.
            i, j = SIGNALS.index("CD24"), SIGNALS.index("CD66b")
            correlation[i, j] = correlation[j, i] = 0.7
        return correlation * np.outer(self.sd, self.sd)


_NEGATIVE_SD: Final = 0.25


def _population(code: Code, group: str, mean: dict[str, float], sd: dict[str, float] | None = None) -> Population:
    """Measured group with ``mean`` and ``sd`` overriding single signals; CD22, CD24, CD66b negative unless given."""
    base = dict(zip(measured.MEASURED, measured.MEAN[group], strict=True))
    spread = dict(zip(measured.MEASURED, measured.WITHIN_SD[group], strict=True))
    for marker in ("CD22", "CD24", "CD66b"):
        base[marker] = LEVELS[0]
        spread[marker] = _NEGATIVE_SD
    for marker, level in further_markers.levels(code.name).items():
        base[marker] = level
        spread[marker] = further_markers.spread(level)
    return Population(
        code,
        np.array([(base | mean)[signal] for signal in SIGNALS]),
        np.array([(spread | (sd or {}))[signal] for signal in SIGNALS]),
        group,
    )


_GRANULAR_SD: Final = {"FSC-A": 0.6, "SSC-A": 0.75, "CD19": 0.24}

NORMAL: Final[dict[Code, Population]] = {
    population.code: population
    for population in (
        _population(Code.T_NK, "lymphoid_like", {"CD58": 1.35}),
        _population(
            Code.NEUTROPHIL,
            "granulocyte_like",
            {"CD10": 2.2, "CD22": 1.2, "CD24": 3.35, "CD66b": 3.4, "CD38": 1.7},
            {**_GRANULAR_SD, "CD10": 0.35, "CD24": 0.22, "CD66b": 0.25},
        ),
        _population(
            Code.IMMATURE_GRANULOCYTE,
            "granulocyte_like",
            {"CD10": 1.3, "CD22": 1.2, "CD24": 2.9, "CD66b": 3.3, "CD45": 2.75, "CD38": 2.1, "FSC-A": 2.7},
            {**_GRANULAR_SD, "CD10": 0.3, "CD24": 0.35, "CD66b": 0.35, "CD45": 0.3},
        ),
        _population(
            Code.MONOCYTE,
            "intermediate",
            {"FSC-A": 2.15, "SSC-A": 1.25, "CD45": 3.4, "CD38": 2.3, "CD10": 1.15, "CD20": 1.2, "CD34": 1.25,
             "CD19": 1.35, "CD58": 2.3, "CD24": 1.1},
            {"FSC-A": 0.35, "SSC-A": 0.28, "CD45": 0.16, "CD38": 0.3, "CD10": 0.28, "CD20": 0.27, "CD34": 0.33,
             "CD19": 0.26, "CD58": 0.24, "SYTO41": 0.2},
        ),
        # The broad component between the distinct populations of every real marrow: eosinophils, promyelocytes,
        # promonocytes, decaying cells. Levels and spread as measured; CD24 and CD66b from granulocytic to none.
        _population(
            Code.MIXED_MYELOID,
            "intermediate",
            {"CD22": 1.25, "CD24": 1.9, "CD66b": 2.1},
            {"FSC-A": 0.7, "SSC-A": 0.7, "CD22": 0.35, "CD24": 0.6, "CD66b": 0.7},
        ),
        _population(Code.ERYTHROBLAST, "erythroid_like", {"SYTO41": 3.2}, {"CD24": 0.22}),
        _population(
            Code.BASOPHIL,
            "lymphoid_like",
            {"FSC-A": 1.4, "SSC-A": 0.62, "CD45": 3.05, "CD22": 2.5, "CD38": 2.4, "CD58": 1.9, "CD24": 1.25},
            {"CD45": 0.2, "CD22": 0.28, "CD38": 0.3, "CD58": 0.28, "SSC-A": 0.18},
        ),
        _population(
            Code.PDC,
            "lymphoid_like",
            {"FSC-A": 1.55, "SSC-A": 0.52, "CD45": 3.1, "CD22": 2.35, "CD38": 2.5, "CD58": 1.75},
            {"CD45": 0.17, "CD22": 0.3, "CD38": 0.28, "CD58": 0.28, "SSC-A": 0.15},
        ),
        _population(
            Code.MYELOBLAST,
            "intermediate",
            {"FSC-A": 2.0, "SSC-A": 0.85, "CD45": 2.6, "CD34": 2.85, "CD38": 2.6, "CD10": 1.1, "CD20": 1.08,
             "CD19": 1.2, "CD58": 2.3},
            {"FSC-A": 0.38, "SSC-A": 0.25, "CD45": 0.25, "CD34": 0.33, "CD38": 0.35, "CD10": 0.26, "CD20": 0.25,
             "CD19": 0.22, "CD58": 0.28, "SYTO41": 0.2},
        ),
        # CD24 comes before CD22: of 111 CD34+ TdT+ CD19- cells of one normal marrow 70 % were CD24+, 27 % CD22+, 77 %
        # either (Bendall et al., Cell 2014, mass cytometry; optional shared data, progenitors). Means and spreads put
        # these shares above a positivity line of 1.6 decades.
        _population(
            Code.EARLY_PROGENITOR,
            "normal_b",
            {"FSC-A": 1.4, "SSC-A": 0.42, "CD45": 2.5, "CD19": 1.2, "CD22": 1.33, "CD10": 1.9, "CD34": 2.85,
             "CD38": 2.85, "CD20": 1.06, "CD24": 1.9, "CD58": 2.0},
            {"CD45": 0.22, "CD22": 0.45, "CD10": 0.5, "CD34": 0.3, "CD38": 0.28, "CD24": 0.6, "CD58": 0.28,
             "SYTO41": 0.2},
        ),
        _population(
            Code.MATURE_B,
            "normal_b",
            {"CD10": 1.03, "CD20": 3.05, "CD45": 3.56, "CD38": 1.68, "CD34": 1.16, "CD58": 1.08, "CD22": 3.1,
             "CD24": 2.35, "CD19": 2.88},
            {"CD10": 0.28, "CD20": 0.2, "CD45": 0.14, "CD22": 0.2, "CD24": 0.35, "CD58": 0.32, "SYTO41": 0.24,
             "CD38": 0.27},
        ),
        _population(
            Code.PLASMA_CELL,
            "normal_b",
            {"FSC-A": 1.65, "SSC-A": 0.7, "CD45": 2.3, "CD19": 2.2, "CD20": 1.15, "CD38": 4.0, "CD58": 2.6,
             "CD22": 1.15, "CD24": 1.3},
            {"SSC-A": 0.2, "CD45": 0.5, "CD19": 0.4, "CD20": 0.35, "CD38": 0.16, "CD58": 0.28, "CD22": 0.28,
             "CD24": 0.3, "CD10": 0.28},
        ),
    )
}  # fmt: skip
"""Populations with one centre. Haematogones lie on :data:`MATURATION` instead; debris and dead cells in ``tube``."""

MATURATION_KNOTS: Final = (0.0, 0.3, 0.5, 0.75, 1.0)
"""Positions on the maturation axis: early stage I, late stage I, stage II, early stage III, late stage III."""

MATURATION: Final[dict[str, tuple[float, ...]]] = {
    "FSC-A": (1.2, 1.18, 1.2, 1.22, 1.25),
    "SSC-A": (0.33, 0.33, 0.34, 0.35, 0.36),
    "SYTO41": (3.05, 3.05, 3.03, 3.0, 3.0),
    "CD19": (2.45, 2.6, 2.75, 2.85, 2.87),
    "CD10": (3.55, 3.4, 2.95, 2.35, 1.5),
    "CD20": (1.08, 1.12, 1.6, 2.75, 3.05),
    "CD45": (2.35, 2.6, 2.95, 3.3, 3.5),
    "CD34": (2.9, 2.3, 1.25, 1.18, 1.16),
    "CD38": (2.95, 3.0, 3.0, 2.75, 2.1),
    "CD58": (1.95, 1.75, 1.5, 1.3, 1.15),
    "CD22": (1.6, 1.75, 1.95, 2.6, 3.0),
    "CD24": (2.8, 3.1, 3.4, 3.4, 2.8),
    "CD66b": (1.02, 1.02, 1.02, 1.02, 1.02),
    **further_markers.MATURATION,
}
"""Continuous path from the pro-B cell to the mature B cell (McKenna et al. 2001: a complete spectrum, no gap)."""

MATURATION_SD: Final[dict[str, float]] = {
    "FSC-A": 0.24, "SSC-A": 0.09, "SYTO41": 0.17, "CD19": 0.18, "CD10": 0.2, "CD20": 0.27, "CD45": 0.15, "CD34": 0.27,
    "CD38": 0.2, "CD58": 0.26, "CD22": 0.22, "CD24": 0.22, "CD66b": 0.25,
    **{marker: further_markers.spread(max(path)) for marker, path in further_markers.MATURATION.items()},
}  # fmt: skip
"""Spread around the path, decades."""

STAGE_BOUNDS: Final = (0.38, 0.66)
"""Maturation at which stage I ends and stage II ends."""


def stage(maturation: Floats) -> npt.NDArray[np.int16]:
    """Haematogone code of each position on the maturation axis, shape as given."""
    return (Code.HAEMATOGONE_1 + np.searchsorted(STAGE_BOUNDS, maturation)).astype(np.int16)


def maturation_covariance() -> Floats:
    """Covariance around the maturation path, shape (len(SIGNALS), len(SIGNALS)), decades squared."""
    sd = np.array([MATURATION_SD[signal] for signal in SIGNALS])
    correlation = np.eye(len(SIGNALS))
    n = len(measured.MEASURED)
    correlation[:n, :n] = measured.correlation("normal_b")
    return correlation * np.outer(sd, sd)


@dataclass(frozen=True)
class Composition:
    """Shares of the nucleated, non-leukaemic cells, which are normalised when used.

    Attributes
    ----------
    shares
        Code to share. ``HAEMATOGONE_2`` stands for all haematogones.
    maturation
        Parameters (a, b) of the beta distribution of haematogones over the maturation axis.
    """

    shares: dict[Code, float]
    maturation: tuple[float, float] = (1.6, 1.3)

    def scaled(self, factors: dict[Code, float]) -> Composition:
        """Return the composition with some shares multiplied."""
        return Composition(
            {code: share * factors.get(code, 1.0) for code, share in self.shares.items()}, self.maturation
        )


ADULT: Final = Composition(
    {
        Code.T_NK: 0.14, Code.NEUTROPHIL: 0.34, Code.IMMATURE_GRANULOCYTE: 0.20, Code.MONOCYTE: 0.055,
        Code.MIXED_MYELOID: 0.02,
        Code.ERYTHROBLAST: 0.17, Code.BASOPHIL: 0.004, Code.PDC: 0.003, Code.MYELOBLAST: 0.009,
        Code.EARLY_PROGENITOR: 0.0006, Code.HAEMATOGONE_2: 0.010, Code.MATURE_B: 0.025, Code.PLASMA_CELL: 0.003,
    }
)  # fmt: skip
"""Adult control marrow (general knowledge; haematogones usually below 1-2 %, McKenna et al. 2001)."""

REGENERATING: Final = Composition(
    {
        Code.T_NK: 0.16, Code.NEUTROPHIL: 0.20, Code.IMMATURE_GRANULOCYTE: 0.24, Code.MONOCYTE: 0.08,
        Code.MIXED_MYELOID: 0.04,
        Code.ERYTHROBLAST: 0.18, Code.BASOPHIL: 0.004, Code.PDC: 0.006, Code.MYELOBLAST: 0.02,
        Code.EARLY_PROGENITOR: 0.003, Code.HAEMATOGONE_2: 0.09, Code.MATURE_B: 0.008, Code.PLASMA_CELL: 0.002,
    },
    maturation=(1.3, 1.5),
)  # fmt: skip
"""Regenerating marrow with haematogone hyperplasia (above 5 %)."""

AFTER_ANTI_B: Final = Composition(
    {
        Code.T_NK: 0.30, Code.NEUTROPHIL: 0.24, Code.IMMATURE_GRANULOCYTE: 0.19, Code.MONOCYTE: 0.06,
        Code.MIXED_MYELOID: 0.03,
        Code.ERYTHROBLAST: 0.20, Code.BASOPHIL: 0.003, Code.PDC: 0.001, Code.MYELOBLAST: 0.006,
        Code.EARLY_PROGENITOR: 0.0008, Code.HAEMATOGONE_2: 0.00002, Code.MATURE_B: 0.00005, Code.PLASMA_CELL: 0.0015,
    }
)  # fmt: skip
"""Day 21 of inotuzumab, venetoclax and dexamethasone: B lineage almost gone, plasma cells and progenitors spared."""

DISEASED: Final = Composition(
    {
        Code.T_NK: 0.36, Code.NEUTROPHIL: 0.20, Code.IMMATURE_GRANULOCYTE: 0.12, Code.MONOCYTE: 0.04,
        Code.MIXED_MYELOID: 0.04,
        Code.ERYTHROBLAST: 0.22, Code.BASOPHIL: 0.003, Code.PDC: 0.001, Code.MYELOBLAST: 0.006,
        Code.EARLY_PROGENITOR: 0.0003, Code.HAEMATOGONE_2: 0.0008, Code.MATURE_B: 0.03, Code.PLASMA_CELL: 0.0012,
    }
)  # fmt: skip
"""The remaining normal cells beside an untreated leukaemia."""
