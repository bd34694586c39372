"""How unlike the controls a whole tube is: its staining, its populations beside that, its cells that fit none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flowmrd.classifier.mixture import Floats
from flowmrd.classifier.normal_model import STRAY_WEIGHT, TubeModel
from flowmrd.classifier.normal_reference import NormalReference

PRIOR_COUNT = 6.0
"""Tubes that the values below are worth beside the controls: few controls know little about how tubes vary."""
SHIFT_SD, SCATTER_SD = 0.2, 0.3
"""Spread of staining, and of scatter voltages, between tubes of a laboratory, decades."""
DISTANCE_SD = 0.25
"""Spread of the distance of a tube's populations, natural log."""
TAIL = 0.0005
"""Share of ordinary tubes beyond a limit, on either side."""
LEAST_STRAYS = 0.03


@dataclass(frozen=True)
class Novelty:
    """``score`` is 1 at the limit of what the controls make expected; ``reason`` says what is odd, in words."""

    score: float
    reason: str

    @property
    def flag(self) -> bool:
        """Whether the tube is beyond that limit."""
        return self.score > 1.0


def judge_novelty(
    tube: TubeModel, features: tuple[str, ...], reference: NormalReference, *, without: str = ""
) -> Novelty:
    """The largest of three scores: staining of a marker, place of the populations, share of strays.

    Limits are prediction limits from the controls, each as seen by a reference that it did not help to build, with
    Student's t for their number.

    Parameters
    ----------
    features
        Markers of ``tube``, some or all of the reference's.
    without
        Name of the control that ``tube`` is, if it is one.
    """
    controls = [record.model for record in reference.controls if record.name != without]
    if not controls:
        return Novelty(0.0, "no control to compare with")
    from scipy.special import stdtrit

    n = len(controls)
    limit = float(stdtrit(n - 1 + PRIOR_COUNT, 1.0 - TAIL) * np.sqrt(1.0 + 1.0 / n))
    index = [reference.features.index(name) for name in features]
    shifts = np.array([control.shift[index] for control in controls])
    expected = np.array([SCATTER_SD if name.startswith(("FSC", "SSC")) else SHIFT_SD for name in features])
    spread = pooled_sd(shifts, expected)
    offset = tube.shift - shifts.mean(axis=0)
    worst = int(np.argmax(np.abs(offset) / spread))
    distances = np.log(np.maximum([[control.distance] for control in controls], 1e-3))
    far = (np.log(max(tube.distance, 1e-3)) - distances.mean()) / pooled_sd(distances, np.array([DISTANCE_SD]))[0]
    strays = np.array([control.strays for control in controls])
    allowed = max(float(strays.mean()) + limit * max(float(strays.std()), STRAY_WEIGHT), LEAST_STRAYS)
    way = "brighter" if offset[worst] > 0 else "dimmer"
    found = (
        Novelty(
            float(abs(offset[worst]) / spread[worst] / limit),
            f"{features[worst]} of its normal cells is {abs(offset[worst]):.1f} decades {way} than in the controls, "
            f"which differ by {spread[worst]:.1f}",
        ),
        Novelty(
            max(float(far) / limit, 0.0),
            f"its populations lie {tube.distance / np.exp(distances.mean()):.1f} times as far from their places as the "
            "controls'",
        ),
        Novelty(tube.strays / allowed, f"{tube.strays:.1%} of its cells fit no normal population"),
    )
    return max(found, key=lambda one: one.score)


def pooled_sd(values: Floats, expected: Floats) -> Floats:
    """Standard deviation of every column of (n, d) values, drawn towards what is expected, shape (d,)."""
    n = len(values)
    squares = ((values - values.mean(axis=0)) ** 2).sum(axis=0)
    out: Floats = np.sqrt((squares + PRIOR_COUNT * expected**2) / (n - 1 + PRIOR_COUNT))
    return out
