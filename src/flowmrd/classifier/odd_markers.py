"""Whether the answer of a tube rests on a marker that is stained unlike in the controls.

Laboratories change a clone, a lot or a voltage, and then one colour of a good tube lies elsewhere than in the controls.
Such a tube is searched once more without that marker. What both searches say does not rest on it: the same leukaemic
cells, or none although spiked cells would have been found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from flowmrd.classifier.candidate_cells import Bools
from flowmrd.classifier.classification import Classification
from flowmrd.classifier.novelty import Novelty
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.patient_laip import PatientLaip
from flowmrd.classifier.phenotype_match import is_usual_drift
from flowmrd.classifier.staining_control import StainingFinding
from flowmrd.flags import Effect, kind_of

__all__ = ["WithoutMarkers", "compare_without", "odd_markers"]


@dataclass(frozen=True)
class WithoutMarkers:
    """What a search without some markers says.

    Attributes
    ----------
    markers
        The markers that were left out; empty where no such search was made.
    same
        Number of called cells that this search also calls; 0 where it proves nothing.
    negative
        Whether it finds nothing, in a tube that is like the controls in all other markers and in which spiked cells
        would have been found.
    """

    markers: tuple[str, ...] = ()
    same: int = 0
    negative: bool = False


def odd_markers(
    novelty: Novelty, staining: Sequence[StainingFinding], parameters: ClassifierParameters
) -> tuple[str, ...]:
    """Markers whose staining is unlike that of the controls; empty where something else is, or too many markers are.

    A tube in which most colours lie elsewhere was acquired otherwise, and there no part of it stands for the whole.
    """
    if novelty.flag and not novelty.marker:
        return ()
    names = {one.marker for one in staining if one.state == "shifted" and one.marker not in parameters.unreliable}
    if novelty.flag:
        names.add(novelty.marker)
    return tuple(sorted(names)) if len(names) <= parameters.odd_markers_most else ()


def compare_without(
    markers: tuple[str, ...],
    furthest: float,
    called: Bools,
    found: Classification,
    laip: PatientLaip | None,
    parameters: ClassifierParameters,
) -> WithoutMarkers:
    """Compare the search with all markers and the search without the odd ones.

    The latter proves something if the tube is like the controls in all other markers. Of called cells nearly the same
    must be called, and a patient's phenotype must lie within the usual drift. Where none are called, no flag may
    forbid a negative answer, spiked cells must be found, and the colours must lie near enough for gates to follow.

    Parameters
    ----------
    furthest
        Largest distance of the odd markers from their place in the controls, decades.
    called
        Shape (n,): cells called with all markers.
    found
        Result without the odd markers.
    laip
        The patient's phenotype in the markers that are left.
    """
    if found.novel:
        return WithoutMarkers(markers)
    counted = int(np.count_nonzero(called))
    if counted < parameters.detect_events:
        forbids = {Effect.DOUBT, Effect.NO_NEGATIVE, Effect.NOT_SENSITIVE}
        doubts = any(kind_of(one.code).effect in forbids for one in found.flags)
        spiked = found.spike_in is not None and found.spike_in.detected
        near = furthest <= parameters.odd_marker_decades_most
        return WithoutMarkers(markers, negative=near and spiked and not doubts and not found.mrd.any())
    same = int(np.count_nonzero(found.mrd & called))
    usual = laip is None or all(is_usual_drift(one.mixture, laip, found.shift, parameters) for one in found.counted)
    least = parameters.odd_marker_same_cells * max(counted, int(np.count_nonzero(found.mrd)))
    return WithoutMarkers(markers, same=same if usual and same >= max(least, parameters.detect_events) else 0)
