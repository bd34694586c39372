"""Doublets that pass the singlet gate."""

from __future__ import annotations

import numpy as np
import pytest

from flowmrd.classifier.doublet_model import doublet_mixture, simulated_doublets
from flowmrd.classifier.mixture import log_density
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.preprocess.transform import ChannelScale
from flowmrd.units import LOGICLE_M

PARAMETERS = ClassifierParameters()
SCALES = (ChannelScale("linear", T=1000.0), ChannelScale("linear", T=1000.0))


def test_a_doublet_has_the_light_of_both_cells() -> None:
    """Precursors at 100 and 300, other cells at 400 and 200 of 1000 channels: a sum of 500 and 500, or 200 and 600."""
    precursors, others = np.tile([0.1, 0.3], (500, 1)), np.tile([0.4, 0.2], (500, 1))
    values = (np.concatenate([precursors, others]) * LOGICLE_M).astype(np.float32)
    window = np.arange(1000) < 500
    made = simulated_doublets(values, window, SCALES, PARAMETERS) / LOGICLE_M
    kinds = {(round(first, 3), round(second, 3)) for first, second in made.tolist()}
    assert kinds == {(0.5, 0.5), (0.2, 0.6)}


def test_light_beyond_the_scale_is_recorded_at_its_end() -> None:
    values = np.full((400, 2), 0.8 * LOGICLE_M, dtype=np.float32)
    made = simulated_doublets(values, np.ones(400, dtype=bool), SCALES, PARAMETERS)
    assert made.max() == pytest.approx(LOGICLE_M, rel=1e-6)


def test_doublets_are_dense_where_they_were_made_and_unknown_from_few_cells() -> None:
    rng = np.random.default_rng(3)
    made = rng.normal(2.0, 0.2, (1000, 2)).astype(np.float32)
    mixture = doublet_mixture(made, PARAMETERS)
    assert mixture is not None
    near, far = log_density(mixture, np.array([[2.0, 2.0], [4.0, 0.5]]))
    assert near - far > 10
    assert doublet_mixture(made[: PARAMETERS.place_cells_least - 1], PARAMETERS) is None
    few = simulated_doublets(made[:50], np.ones(50, dtype=bool), SCALES, PARAMETERS)
    assert few.shape == (0, 2)
