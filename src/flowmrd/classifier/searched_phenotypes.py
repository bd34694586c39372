"""The phenotypes that are searched for in a tube, and the cells that may have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from flowmrd.classifier.blast_prior import blast_prior
from flowmrd.classifier.classification import Mode
from flowmrd.classifier.library import Library
from flowmrd.classifier.mixture import Floats, Mixture
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.patient_laip import PatientLaip
from flowmrd.classifier.phenotype_match import places_within_reach
from flowmrd.classifier.phenotype_score import MOSTLY, NO_SCORE, score_cells, score_each
from flowmrd.classifier.window_cells import WindowCells


@dataclass(frozen=True)
class SearchedPhenotypes:
    """The phenotypes that are searched for: the patient's own, other patients', or neither."""

    laip: PatientLaip | None
    library: Library
    parameters: ClassifierParameters

    @property
    def mode(self) -> Mode:
        """Name of the mode, as reported."""
        if self.laip is not None:
            return "patient"
        return "library" if self.library.is_usable(self.parameters) else "different_from_normal"


def keep_candidates(
    search: SearchedPhenotypes, cells: WindowCells, burden: Mixture | None = None, *, fitted: Mixture | None = None
) -> tuple[WindowCells, npt.NDArray[np.intp]]:
    """Only the cells that a searched phenotype could claim, and their rows; the others would only cost time.

    Parameters
    ----------
    burden
        Phenotype of a heavy burden that was found in this tube. The average leukaemia may be unlike a part of it.
    fitted
        Population that was fitted among the tube's normal ones and is a question; its cells are kept for the reviewer.
    """
    parameters = search.parameters
    places = [blast_prior(cells.features, cells.normal.normal_b + cells.shift, parameters)]
    least = [parameters.group_reach]
    if search.laip is not None:
        known = places_within_reach(search.laip, parameters, cells)
        places += known
        least += [parameters.match_reach] * len(known)
    if burden is not None:
        places.append(burden)
        least.append(parameters.heavy_cut_least)
    if fitted is not None:
        places.append(fitted)
        least.append(MOSTLY)
    # Cells that only a displaced normal population explains are candidates too.
    normal = cells.log_normal
    if cells.log_normal_shrunken is not None:
        normal = np.minimum(normal, cells.log_normal_shrunken)
    keep = (score_each(places, cells.values, normal, parameters.blast_tail_degrees) > least).any(axis=1)
    index = np.flatnonzero(keep)
    # Compact groups consist of candidates only, so groups that were found before stay valid.
    return replace(cells.only(index), groups=cells.groups), index


def score_mixtures(cells: WindowCells, mixtures: Sequence[Mixture]) -> tuple[Floats, npt.NDArray[np.int32]]:
    """Best score of every cell over the phenotypes, and the number of the phenotype that gives it; -1 where there is
    none.
    """
    score = np.full(len(cells.values), NO_SCORE)
    label = np.full(len(cells.values), -1, dtype=np.int32)
    for number, mixture in enumerate(mixtures):
        own = score_cells(mixture, cells.values, cells.log_normal, cells.parameters.blast_tail_degrees)
        better = own > score
        score[better], label[better] = own[better], number
    return score, label
