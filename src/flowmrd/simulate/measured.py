"""Numbers measured on real B-ALL marrows to which the simulator is calibrated.

Source: summary statistics over the per-sample Gaussian mixtures of 541 follow-up marrows of 411 children with B-ALL
(optional shared data, ``ball/mixtures/population_statistics.json``; tubes of the Vienna day-15 panel, Reiter et al.,
Cytometry A 2019;95:966). Facts only: means, standard deviations, correlations and quantiles, rounded.

Scale: decades, that is 4.5 × (value / 262144) for scatter and 4.5 × logicle for fluorescence.
"""

from __future__ import annotations

from typing import Final

import numpy as np

MEASURED: Final = ("FSC-A", "SSC-A", "SYTO41", "CD19", "CD10", "CD20", "CD45", "CD34", "CD38", "CD58")
"""Signals for which statistics exist, in the order of all arrays below."""

MEAN: Final = {
    "blast": (1.57, 0.54, 3.2, 3.06, 3.21, 1.93, 2.62, 1.96, 2.3, 2.09),
    "normal_b": (1.3, 0.36, 3, 2.86, 1.19, 2.98, 3.5, 1.2, 1.81, 1.14),
    "granulocyte_like": (2.5, 2.85, 3.09, 1.6, 1.99, 1.28, 2.94, 1.29, 1.79, 2.16),
    "intermediate": (1.94, 1.31, 3.06, 1.39, 1.38, 1.34, 2.78, 1.44, 2.09, 2),
    "lymphoid_like": (1.29, 0.39, 3.11, 1.17, 1.01, 1.04, 3.53, 1.18, 1.83, 1.3),
    "erythroid_like": (1.13, 0.5, 3.14, 1.12, 1.15, 1.07, 1.51, 1.14, 1.53, 2.34),
}
"""Mean over patients of the population mean."""

WITHIN_SD: Final = {
    "blast": (0.382, 0.182, 0.193, 0.246, 0.313, 0.461, 0.401, 0.446, 0.379, 0.261),
    "normal_b": (0.315, 0.129, 0.259, 0.217, 0.359, 0.247, 0.159, 0.373, 0.33, 0.397),
    "granulocyte_like": (0.666, 0.796, 0.281, 0.245, 0.503, 0.296, 0.359, 0.367, 0.343, 0.266),
    "intermediate": (0.808, 0.839, 0.399, 0.366, 0.511, 0.461, 0.685, 0.53, 0.575, 0.509),
    "lymphoid_like": (0.332, 0.142, 0.212, 0.197, 0.254, 0.247, 0.145, 0.368, 0.358, 0.411),
    "erythroid_like": (0.453, 0.296, 0.39, 0.177, 0.313, 0.265, 0.428, 0.259, 0.209, 0.285),
}
"""Standard deviation within a population component (root of the mean variance)."""

WITHIN_CORRELATION: Final = {
    "blast": (
        (0.32,),
        (-0.16, -0.04),
        (0.17, 0.19, -0.13),
        (0.07, 0.08, -0.01, 0.05),
        (0.05, 0.10, -0.06, 0.17, 0.00),
        (0.14, 0.22, -0.07, 0.19, 0.07, 0.16),
        (0.07, 0.02, -0.03, 0.06, 0.07, 0.02, -0.01),
        (0.10, 0.18, -0.02, 0.24, 0.12, 0.07, 0.18, -0.06),
        (0.18, 0.43, -0.03, 0.17, 0.20, -0.04, 0.09, 0.09, 0.14),
    ),
    "normal_b": (
        (0.36,),
        (-0.24, -0.11),
        (0.18, 0.24, -0.16),
        (0.00, 0.01, 0.02, 0.02),
        (0.10, 0.16, -0.14, 0.42, 0.00),
        (0.33, 0.29, -0.22, 0.26, -0.05, 0.31),
        (0.06, 0.07, -0.02, 0.05, -0.01, 0.03, 0.05),
        (0.13, 0.18, -0.06, 0.17, 0.09, 0.05, 0.14, 0.06),
        (0.19, 0.50, -0.04, 0.09, 0.04, 0.01, 0.11, 0.06, 0.06),
    ),
    "granulocyte_like": (
        (0.45,),
        (-0.01, -0.06),
        (0.14, 0.33, -0.01),
        (-0.03, 0.31, -0.04, 0.20),
        (-0.05, -0.09, 0.02, 0.24, -0.02),
        (0.09, 0.18, 0.04, 0.21, 0.26, 0.07),
        (0.03, 0.00, -0.01, 0.07, 0.03, 0.05, 0.11),
        (0.14, -0.04, 0.09, 0.06, -0.10, -0.04, 0.26, 0.15),
        (0.22, 0.31, 0.06, 0.10, 0.21, -0.07, 0.13, 0.12, 0.16),
    ),
    "intermediate": (
        (0.51,),
        (0.03, 0.04),
        (0.15, 0.31, 0.04),
        (0.08, 0.20, 0.07, 0.22),
        (-0.05, -0.01, 0.01, 0.45, 0.07),
        (0.21, 0.15, -0.00, 0.20, 0.01, 0.11),
        (0.12, 0.06, 0.01, 0.10, 0.06, 0.07, 0.17),
        (0.23, 0.10, 0.11, 0.10, -0.00, -0.06, 0.41, 0.25),
        (0.30, 0.24, 0.14, 0.02, 0.16, -0.09, -0.07, 0.15, 0.21),
    ),
    "lymphoid_like": (
        (0.30,),
        (-0.27, -0.14),
        (0.06, 0.14, -0.03),
        (0.01, 0.06, -0.01, -0.01),
        (-0.03, -0.01, 0.03, -0.05, 0.01),
        (0.27, 0.30, -0.20, 0.07, 0.03, -0.03),
        (0.03, 0.06, -0.01, 0.06, -0.05, -0.08, 0.05),
        (0.03, 0.11, -0.08, -0.01, 0.00, -0.15, 0.03, 0.03),
        (0.17, 0.47, -0.11, 0.07, 0.06, -0.00, 0.23, 0.05, 0.00),
    ),
    "erythroid_like": (
        (0.56,),
        (0.00, 0.04),
        (0.25, 0.41, -0.00),
        (0.09, 0.14, 0.11, 0.09),
        (0.07, 0.11, 0.01, 0.10, 0.08),
        (0.28, 0.34, 0.06, 0.18, 0.04, 0.12),
        (0.19, 0.23, -0.06, 0.13, 0.03, 0.08, 0.20),
        (0.26, 0.29, 0.13, 0.14, 0.16, -0.03, 0.47, 0.19),
        (0.20, 0.20, 0.22, 0.05, 0.18, -0.00, 0.08, 0.03, 0.22),
    ),
}
"""Correlation within a component, lower triangle by row (row 1 is SSC-A against FSC-A), samples with CD58."""

QUANTILES: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
"""Probabilities of the quantile tables."""

SHIFT_QUANTILES: Final = {
    "FSC-A": (-0.28, -0.09, 0.01, 0.14, 0.3, 0.42, 0.57, 0.72, 1.12),
    "SSC-A": (-0.08, -0.02, 0.01, 0.1, 0.17, 0.28, 0.38, 0.47, 0.66),
    "SYTO41": (-0.09, -0.03, -0, 0.06, 0.13, 0.23, 0.34, 0.42, 0.54),
    "CD19": (-0.46, -0.22, -0.12, 0.03, 0.22, 0.35, 0.48, 0.57, 0.73),
    "CD10": (0.09, 0.78, 1.28, 1.79, 2.13, 2.39, 2.64, 2.83, 3.11),
    "CD20": (-2.24, -2.01, -1.83, -1.54, -1.1, -0.59, -0.17, 0.04, 0.43),
    "CD45": (-2.24, -1.92, -1.73, -1.24, -0.75, -0.42, -0.25, -0.16, -0.05),
    "CD34": (-0.19, 0.01, 0.06, 0.24, 0.58, 1.17, 1.57, 1.81, 2.18),
    "CD38": (-0.28, -0.18, -0.07, 0.12, 0.42, 0.81, 1.12, 1.31, 1.54),
    "CD58": (0.28, 0.39, 0.55, 0.82, 0.97, 1.15, 1.31, 1.36, 1.59),
}
"""Blast mean minus the mean of all normal CD19+ cells of the same sample, quantiles over 332 patients (CD58: 175)."""

SHIFT_CORRELATION: Final = (
    (0.49,),
    (-0.22, -0.20),
    (0.08, 0.25, -0.23),
    (0.02, 0.01, 0.04, 0.05),
    (-0.01, 0.20, -0.27, 0.22, 0.05),
    (0.04, 0.22, -0.21, 0.19, -0.20, 0.10),
    (0.22, 0.06, -0.01, -0.04, -0.06, -0.30, 0.08),
    (-0.11, 0.10, 0.04, 0.21, -0.10, 0.29, 0.10, -0.28),
)
"""Correlation of those shifts over patients, lower triangle by row, without CD58."""

BLAST_WITHIN_SD_QUANTILES: Final = {
    "FSC-A": (0.22, 0.3, 0.37, 0.42, 0.56),
    "SSC-A": (0.09, 0.13, 0.16, 0.2, 0.29),
    "SYTO41": (0.09, 0.13, 0.17, 0.22, 0.31),
    "CD19": (0.16, 0.2, 0.22, 0.26, 0.34),
    "CD10": (0.18, 0.22, 0.27, 0.33, 0.53),
    "CD20": (0.27, 0.36, 0.43, 0.53, 0.65),
    "CD45": (0.15, 0.22, 0.32, 0.46, 0.72),
    "CD34": (0.22, 0.34, 0.41, 0.51, 0.67),
    "CD38": (0.18, 0.27, 0.35, 0.44, 0.58),
}
"""Quantiles (5, 25, 50, 75, 95 %) over blast components of the standard deviation within the component."""

MINOR_COMPONENT_WEIGHT: Final = (0.273, 0.116)
"""Mean and standard deviation of the weight of the smaller of two blast components (321 patients)."""


def correlation(group: str) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Full 10 × 10 within-component correlation matrix of a measured group."""
    return _symmetric(WITHIN_CORRELATION[group])


def shift_correlation() -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Full 9 × 9 correlation matrix of the blasts' shifts over patients."""
    return _symmetric(SHIFT_CORRELATION)


def _symmetric(rows: tuple[tuple[float, ...], ...]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    matrix = np.eye(len(rows) + 1)
    for i, row in enumerate(rows, start=1):
        matrix[i, :i] = row
        matrix[:i, i] = row
    return matrix
