"""Which leukaemias the table is made with: of twelve, the hardest and an ordinary one by what can be known at best.

With one leukaemia a table is about that leukaemia and not about the faults.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from benchmarks.accuracy.oracle import Oracle
from flowmrd.classifier.mixture import Mixture
from flowmrd.simulate.design import AFTER_INOTUZUMAB, leukaemia_of
from flowmrd.simulate.leukaemia import blast_covariance, mask_cd22
from flowmrd.simulate.populations import (
    AFTER_ANTI_B,
    MATURATION,
    MATURATION_KNOTS,
    NORMAL,
    SIGNALS,
    Code,
    maturation_covariance,
)

HARD, ORDINARY = "hard", "ordinary"
KINDS: Final = (HARD, ORDINARY)
"""Kinds of leukaemia; the place of a kind is the number of its patient in the records."""
CANDIDATES: Final = 12
"""Leukaemias that the two are chosen from."""


def of_kind(kind: str, found: Sequence[Oracle]) -> int:
    """Number of the leukaemia that is the hardest of those given, or the middle one."""
    order = sorted(range(len(found)), key=lambda number: found[number])
    return order[0 if kind == HARD else len(order) // 2]


def simulated_leukaemia(seed: int, patient: str, features: Sequence[str]) -> Mixture:
    """Blasts of a simulated patient after therapy, before the tube's own staining, decades."""
    columns = [SIGNALS.index(name) for name in features]
    parts = leukaemia_of(seed, patient).after(AFTER_INOTUZUMAB)
    return Mixture(
        np.array([part.weight for part in parts]),
        np.stack([part.mean[columns] for part in parts]),
        np.stack([blast_covariance(part.sd)[np.ix_(columns, columns)] for part in parts]),
    )


def simulated_marrow(features: Sequence[str]) -> Mixture:
    """Normal cells of simulated marrow after anti-CD22, before the tube's own staining, decades."""
    columns = [SIGNALS.index(name) for name in features]
    weight, mean, covariance = [], [], []
    for code, share in AFTER_ANTI_B.shares.items():
        if code is Code.HAEMATOGONE_2:
            places = np.linspace(0.1, 0.9, 9)
            path = np.stack([np.interp(places, MATURATION_KNOTS, MATURATION[signal]) for signal in SIGNALS], axis=1)
            centres, spread = list(path), maturation_covariance()
        else:
            centres, spread = [NORMAL[code].mean.copy()], NORMAL[code].covariance
        for centre in centres:
            mask_cd22(centre, AFTER_INOTUZUMAB.cd22)
            weight.append(share / len(centres))
            mean.append(centre[columns])
            covariance.append(spread[np.ix_(columns, columns)])
    total = np.array(weight)
    return Mixture(total / total.sum(), np.stack(mean), np.stack(covariance))
