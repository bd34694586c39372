"""Two plain methods to compare with."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from flowmrd.classifier.candidate_cells import CandidateCells, thin

Bools = npt.NDArray[np.bool_]
BACKGROUND = 10e-6


class PooledBoosting:
    """Histogram gradient boosting of the diagnosis tube's true blasts against the controls' window cells, with one cut
    that leaves ten false events per million in the pooled controls."""

    def __init__(self, diagnosis: CandidateCells, blasts: Bools, controls: list[CandidateCells]) -> None:
        from sklearn.ensemble import HistGradientBoostingClassifier

        positive = diagnosis.values[thin(blasts & diagnosis.window, 20_000)]
        negative = np.concatenate([tube.values[thin(tube.window, 12_000)] for tube in controls])
        held_out = np.concatenate([tube.values[tube.window] for tube in controls])
        self.model = HistGradientBoostingClassifier(max_iter=100, random_state=0)
        self.model.fit(np.concatenate([positive, negative]), np.r_[np.ones(len(positive)), np.zeros(len(negative))])
        score = np.sort(self.model.decision_function(held_out))[::-1]
        allowed = int(BACKGROUND * sum(tube.denominator for tube in controls))
        self.cut = float(score[min(allowed, len(score) - 1)])

    def called(self, tube: CandidateCells) -> Bools:
        """Events called MRD."""
        out = np.zeros(tube.n, dtype=bool)
        window = np.flatnonzero(tube.window)
        if len(window):
            out[window] = self.model.decision_function(tube.values[window]) > self.cut
        return out


class GaussianOutlier:
    """Gaussian mixture of the controls' window cells; outliers beyond ten per million are called."""

    def __init__(self, controls: list[CandidateCells]) -> None:
        from sklearn.mixture import GaussianMixture

        cells = np.concatenate([tube.values[thin(tube.window, 5_000)] for tube in controls])
        held_out = np.concatenate([tube.values[tube.window] for tube in controls])
        self.model = GaussianMixture(10, random_state=0, max_iter=50, reg_covar=1e-3).fit(cells)
        score = np.sort(self.model.score_samples(held_out))
        allowed = int(BACKGROUND * sum(tube.denominator for tube in controls))
        self.cut = float(score[min(allowed, len(score) - 1)])

    def called(self, tube: CandidateCells) -> Bools:
        """Events called MRD."""
        out = np.zeros(tube.n, dtype=bool)
        window = np.flatnonzero(tube.window)
        if len(window):
            out[window] = self.model.score_samples(tube.values[window]) < self.cut
        return out
