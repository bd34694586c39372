"""Small made-up marrows in five markers: quick to fit and with known truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from flowmrd.classifier.candidate_cells import CandidateCells

FEATURES = ("SSC-A", "CD19", "CD10", "CD34", "CD45")
# share, mean, sd; the last flag says whether the population lies in the B-lineage window
POPULATIONS = (
    (0.55, (2.6, 0.8, 1.0, 0.8, 2.6), 0.22, False),
    (0.25, (0.6, 0.8, 0.7, 0.7, 3.3), 0.2, False),
    (0.14, (0.6, 2.9, 0.8, 0.7, 3.3), 0.22, True),
    (0.06, (0.6, 2.7, 2.6, 0.8, 2.5), 0.22, True),
)
BLASTS = (0.8, 3.1, 3.3, 2.6, 1.6)


def marrow(
    name: str, seed: int, n: int = 30_000, blasts: int = 0, *, staining: float = 0.08
) -> tuple[CandidateCells, np.ndarray]:
    """A tube and which of its cells are leukaemic."""
    rng = np.random.default_rng(seed)
    shift = rng.normal(0, staining, len(FEATURES))
    parts, window = [], []
    for share, mean, sd, inside in POPULATIONS:
        count = round(share * n)
        parts.append(rng.normal(np.array(mean) + shift, sd, (count, len(FEATURES))))
        window.append(np.full(count, inside))
    parts.append(rng.normal(np.array(BLASTS) + shift, 0.25, (blasts, len(FEATURES))))
    window.append(np.ones(blasts, dtype=bool))
    values = np.concatenate(parts).astype(np.float32)
    truth = np.zeros(len(values), dtype=bool)
    truth[len(values) - blasts :] = True
    order = rng.permutation(len(values))
    tube = CandidateCells(name, FEATURES, values[order], np.concatenate(window)[order], len(values))
    return tube, truth[order]


def with_population(tube: CandidateCells, share: float, mean: tuple[float, ...]) -> CandidateCells:
    """The tube with this share of its cells moved to a population of another disease, outside the window."""
    rng = np.random.default_rng(5)
    values, window = tube.values.copy(), tube.window.copy()
    rows = rng.random(tube.n) < share
    values[rows] = rng.normal(mean, 0.22, (int(rows.sum()), len(FEATURES)))
    window[rows] = False
    return replace(tube, values=values, window=window)
