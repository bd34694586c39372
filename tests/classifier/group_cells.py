"""Marrow cells, groups and controls for the tests of the search."""

from __future__ import annotations

import numpy as np
from laip_marrow import marrow

from flowmrd.classifier.calibration import Calibration
from flowmrd.classifier.compact_groups import CompactGroup
from flowmrd.classifier.control_groups import ControlGroups
from flowmrd.classifier.mixture import Mixture
from flowmrd.classifier.normal_reference import ReferenceModel
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.tube_model import fit_tube
from flowmrd.classifier.window_cells import WindowCells, control_cells, tube_cells

PARAMETERS = ClassifierParameters()


CLEAN = Calibration(PARAMETERS.group_cut, ControlGroups(), None)


def cells_of(reference: ReferenceModel, seed: int, blasts: int) -> tuple[WindowCells, np.ndarray]:
    tube, truth = marrow("tube", seed, blasts=blasts)
    fitted = fit_tube(reference.model, tube, PARAMETERS)
    window = np.flatnonzero(tube.window)
    return tube_cells(tube, window, fitted, reference.model, PARAMETERS), truth[window]


def controls_of(reference: ReferenceModel) -> list[WindowCells]:
    return [control_cells(reference, record, reference.features, PARAMETERS) for record in reference.controls]


def group(at: float, gain: float) -> CompactGroup:
    return CompactGroup(Mixture(np.ones(1), np.full((1, 5), at), 0.09 * np.eye(5)[None]), 1e-3, gain, 100.0)
