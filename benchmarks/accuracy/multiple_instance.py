"""Learning from the labels of patients alone: ``python -m benchmarks.accuracy.multiple_instance FOLDER``.

A tube is a bag of cells. Some cells of a diagnosis tube are leukaemic, and none of a control. A cell classifier and the
labels of the cells of diagnosis tubes are estimated in turns (expectation maximisation for a mixture of two kinds of
cells in a positive bag: Keyes et al., mixture model multiple instance learning). The classifier is judged on follow-up
tubes of other patients: patients are dealt into folds, controls too, and a fold is judged by a classifier that saw none
of its tubes. FOLDER is one of ``python -m benchmarks.accuracy.cells`` with diagnosis tubes.
It answers whether such learning finds leukaemia better than the search for groups does
(``python -m benchmarks.accuracy.levels FOLDER``, the same tubes).
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier

from benchmarks.accuracy.cells import read
from benchmarks.accuracy.levels import LEVELS, at_level, on_scale
from flowmrd.classifier.candidate_cells import CandidateCells, thin
from flowmrd.mrd.limits import limits

Floats = npt.NDArray[np.float64]

ROUNDS = 15
CELLS_PER_TUBE = 8_000


class CellClassifier:
    """Score of a cell, learned from bags.

    Parameters
    ----------
    positive, negative
        Bags of shape (cells, features). Some cells of the positive bags are leukaemic, and none of a negative bag.
    share
        Share of leukaemic cells among those of the positive bags. Without it the labels are not determined: any part
        of the normal cells of positive bags could be called leukaemic.
    """

    def __init__(
        self, positive: list[npt.NDArray[np.float32]], negative: list[npt.NDArray[np.float32]], share: float
    ) -> None:
        unknown, normal = np.concatenate(positive), np.concatenate(negative)
        self.leukaemic = np.full(len(unknown), share)
        self.model = HistGradientBoostingClassifier(max_iter=60, random_state=0)
        values = np.concatenate([unknown, unknown, normal])
        labels = np.r_[np.ones(len(unknown)), np.zeros(len(unknown)), np.zeros(len(normal))]
        for _ in range(ROUNDS):
            self.model.fit(
                values, labels, sample_weight=np.r_[self.leukaemic, 1.0 - self.leukaemic, np.ones(len(normal))]
            )
            # The classifier has the shares of all cells; a cell of a positive bag has those of the positive bags.
            overall = self.leukaemic.sum() / (len(unknown) + len(normal))
            log_odds = self.score(unknown) + np.log(share / (1.0 - share)) - np.log(overall / (1.0 - overall))
            self.leukaemic = 1.0 / (1.0 + np.exp(-np.clip(log_odds, -30.0, 30.0)))

    def score(self, values: npt.NDArray[np.float32]) -> Floats:
        """Log odds of the cells, of shape (cells,)."""
        return np.asarray(self.model.decision_function(values), dtype=np.float64) if len(values) else np.empty(0)


def window_values(tube: CandidateCells, most: int | None = None) -> npt.NDArray[np.float32]:
    """Values of the cells that the classifier looks at, of shape (cells, features)."""
    return tube.values[tube.window if most is None else thin(tube.window, most)]


def bags(paths: list[Path]) -> list[npt.NDArray[np.float32]]:
    """Tubes as bags."""
    return [window_values(on_scale(read(path)).tube, CELLS_PER_TUBE) for path in paths]


@dataclass(frozen=True)
class Judged:
    """One tube at one level and one cut.

    Attributes
    ----------
    allowed
        False events per million nucleated cells of left-out controls at the cut.
    leukaemic, called, true, needed
        Leukaemic cells in the tube, called cells, leukaemic ones among these, and the detection count.
    """

    allowed: float
    level: float
    leukaemic: int
    called: int
    true: int
    needed: int
    nucleated: int


def judge_fold(folder: Path, fold: int, folds: int, false_per_million: list[float]) -> list[Judged]:
    """Every tube of a fold at every level, by a classifier that learned from the other folds."""
    controls, tubes = sorted(folder.glob("C*.npz")), sorted(folder.glob("P??.npz"))
    if not (folder / f"{tubes[0].stem}_dx.npz").is_file():
        raise SystemExit(f"{folder}: no diagnosis tubes. Make it without --no-diagnosis.")
    others = [folder / f"{path.stem}_dx.npz" for i, path in enumerate(tubes) if i % folds != fold]
    left_out = [path for i, path in enumerate(controls) if i % folds == fold]
    diagnosis = [on_scale(read(path)) for path in others]
    # The true share is more than a laboratory knows; the method is given the best case.
    share = float(np.mean(np.concatenate([one.codes[thin(one.tube.window, CELLS_PER_TUBE)] >= 0 for one in diagnosis])))
    learned_from = [window_values(one.tube, CELLS_PER_TUBE) for one in diagnosis]
    found = CellClassifier(learned_from, bags([path for path in controls if path not in left_out]), share)
    held_out = [on_scale(read(path)).tube for path in left_out]
    scores = np.sort(np.concatenate([found.score(window_values(tube)) for tube in held_out]))[::-1]
    nucleated = sum(tube.denominator for tube in held_out)
    cuts = {one: float(scores[min(int(one * 1e-6 * nucleated), len(scores) - 1)]) for one in false_per_million}
    judged = []
    for path in (path for i, path in enumerate(tubes) if i % folds == fold):
        kept = on_scale(read(path))
        for level in LEVELS:
            tube, codes = at_level(kept, level)
            score, true = found.score(window_values(tube)), codes[tube.window] >= 0
            for allowed, cut in cuts.items():
                called = score > cut
                needed = limits(tube.denominator, background=allowed * 1e-6).detect_events
                counts = int((codes >= 0).sum()), int(called.sum()), int((called & true).sum())
                judged.append(Judged(allowed, level, *counts, needed, tube.denominator))
    return judged


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--false-per-million", type=float, nargs="+", default=[10.0, 100.0])
    options = parser.parse_args()
    judged = [
        one
        for fold in range(options.folds)
        for one in judge_fold(options.folder, fold, options.folds, options.false_per_million)
    ]
    print("| cut: false events per million of controls | level | tubes | detected | right | false events per million |")  # noqa: T201
    print("|---|---|---|---|---|---|")  # noqa: T201
    for allowed in options.false_per_million:
        for level in LEVELS:
            tubes = [one for one in judged if one.allowed == allowed and one.level == level]
            detected = [one for one in tubes if one.called >= one.needed]
            right = sum(one.leukaemic / 2 <= one.called <= one.leukaemic * 2 for one in detected) if level else "-"
            false = np.mean([1e6 * (one.called - one.true) / one.nucleated for one in tubes])
            print(f"| {allowed:g} | {level:g} | {len(tubes)} | {len(detected)} | {right} | {false:.0f} |")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
