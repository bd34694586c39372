"""How unlike the controls a whole tube is: in its staining, in its populations, in its cells that fit none of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flowmrd.classifier.candidate_cells import is_nucleic_acid_dye
from flowmrd.classifier.mixture import Floats
from flowmrd.classifier.normal_reference import ReferenceModel
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.tube_model import TubeModel


@dataclass(frozen=True)
class Novelty:
    """How unlike the controls a tube is.

    Attributes
    ----------
    score
        Distance from the controls; 1 is the limit of what the variation between controls explains.
    reason
        What is unlike the controls, in words.
    marker
        The marker whose staining is unlike the controls; empty where the reason is something else.
    """

    score: float
    reason: str
    marker: str = ""

    @property
    def flag(self) -> bool:
        """Whether the score is beyond that limit."""
        return self.score > 1.0


def judge_novelty(
    tube: TubeModel,
    features: tuple[str, ...],
    reference: ReferenceModel,
    parameters: ClassifierParameters,
    *,
    without: str = "",
) -> Novelty:
    """The largest of three scores: staining of a marker, displacement of the populations, share of outliers.

    The limits are prediction limits from the controls, by Student's t for their number. Each control is measured by a
    reference that it did not help to build.

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
    pseudo = parameters.novelty_pseudo_tubes
    limit = float(stdtrit(n - 1 + pseudo, 1.0 - parameters.novelty_tail) * np.sqrt(1.0 + 1.0 / n))
    index = [reference.features.index(name) for name in features]
    shifts = np.array([control.shift[index] for control in controls])
    expected = np.array([_expected_sd(name, parameters) for name in features])
    spread = pooled_sd(shifts, expected, pseudo)
    offset = tube.shift - shifts.mean(axis=0)
    worst = int(np.argmax(np.abs(offset) / spread))
    distances = np.log(np.maximum([[control.displacement] for control in controls], 1e-3))
    distance_sd = pooled_sd(distances, np.array([parameters.displacement_log_sd]), pseudo)[0]
    far = (np.log(max(tube.displacement, 1e-3)) - distances.mean()) / distance_sd
    outliers = np.array([control.outlier_share for control in controls])
    allowed = max(
        float(outliers.mean()) + limit * max(float(outliers.std()), parameters.outlier_share),
        parameters.outlier_share_limit,
    )
    way = "brighter" if offset[worst] > 0 else "dimmer"
    found = (
        Novelty(
            float(abs(offset[worst]) / spread[worst] / limit),
            f"{features[worst]} of its normal cells is {abs(offset[worst]):.1f} decades {way} than in the controls, "
            f"which differ by {spread[worst]:.1f}",
            features[worst],
        ),
        Novelty(
            max(float(far) / limit, 0.0),
            f"its populations lie {tube.displacement / np.exp(distances.mean()):.1f} times as far from their places as "
            "the controls'",
        ),
        Novelty(tube.outlier_share / allowed, f"{tube.outlier_share:.1%} of its cells fit no normal population"),
    )
    return max(found, key=lambda one: one.score)


def _expected_sd(name: str, parameters: ClassifierParameters) -> float:
    """Usual spread of a channel between tubes of a laboratory, decades."""
    if name.startswith(("FSC", "SSC")):
        return parameters.expected_scatter_sd
    return parameters.expected_dye_sd if is_nucleic_acid_dye(name) else parameters.expected_staining_sd


def pooled_sd(values: Floats, expected: Floats, pseudo_tubes: float) -> Floats:
    """Standard deviation of every column of (n, d) values, shrunken towards the expected one, shape (d,)."""
    n = len(values)
    squares = ((values - values.mean(axis=0)) ** 2).sum(axis=0)
    out: Floats = np.sqrt((squares + pseudo_tubes * expected**2) / (n - 1 + pseudo_tubes))
    return out
