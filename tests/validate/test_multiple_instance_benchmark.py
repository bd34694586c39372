"""The baseline that learns from patients' labels alone works where it can, so that its figures mean something."""

from __future__ import annotations

import numpy as np
from benchmarks.accuracy.multiple_instance import CellClassifier


def test_leukaemia_that_only_positive_bags_hold_is_told_from_their_normal_cells() -> None:
    rng = np.random.default_rng(3)

    def normal(n: int) -> np.ndarray:
        return rng.normal(0.0, 1.0, (n, 3)).astype(np.float32)

    def leukaemic(n: int) -> np.ndarray:
        return rng.normal((0.0, 3.0, 3.0), 1.0, (n, 3)).astype(np.float32)

    positive = [np.concatenate([normal(700), leukaemic(300)]) for _ in range(4)]
    found = CellClassifier(positive, [normal(1000) for _ in range(4)], share=0.3)
    assert abs(found.leukaemic.mean() - 0.3) < 0.06
    assert np.mean(found.score(leukaemic(1000)) > 0) > 0.9
    assert np.mean(found.score(normal(1000)) > 0) < 0.05
