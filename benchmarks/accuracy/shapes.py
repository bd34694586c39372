"""How large real leukaemias are in marker space: ``python -m benchmarks.accuracy.shapes`` (optional shared data).

Size is the geometric mean of a leukaemia's standard deviations over the axes of its ellipsoid, relative to those of
``flowmrd.classifier.blast_prior.cluster_shape``; the bounds of ``flowmrd.classifier.compact_groups`` rest on these
figures.
"""

from __future__ import annotations

import sys

import numpy as np

from benchmarks.accuracy.__main__ import DATA
from benchmarks.accuracy.mixtures import FEATURES, load
from flowmrd.classifier.blast_prior import cluster_shape
from flowmrd.classifier.mixture import Floats, Mixture


def covariance_of(mixture: Mixture) -> Floats:
    """Covariance (d, d) of all cells of a mixture."""
    weight = mixture.weight / mixture.weight.sum()
    offset = mixture.mean - weight @ mixture.mean
    each = mixture.covariance + offset[:, :, None] * offset[:, None, :]
    out: Floats = (weight[:, None, None] * each).sum(axis=0)
    return out


def main() -> int:
    """Print quantiles of size and of the largest spread in a single marker."""
    if not DATA.is_dir():
        sys.stderr.write(f"no mixtures in {DATA}\n")
        return 2
    typical = np.sqrt(np.diagonal(cluster_shape(FEATURES)))
    found = [covariance_of(patient.groups["blast"]) for patient in load(DATA) if patient.has_blasts]
    size = [np.exp(0.5 * np.linalg.slogdet(c / np.outer(typical, typical))[1] / len(typical)) for c in found]
    widest = [(np.sqrt(np.diagonal(c)) / typical).max() for c in found]
    for name, values in (("size", size), ("widest marker", widest)):
        at = np.quantile(values, [0.5, 0.9, 0.99, 1.0])
        sys.stdout.write(
            f"{name} of {len(found)}: median {at[0]:.2f}, 90 % {at[1]:.2f}, 99 % {at[2]:.2f}, most {at[3]:.2f}\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
