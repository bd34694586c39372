"""Whether much of a tube is the haematogones of a regenerating marrow and not a heavy burden of leukaemia.

Both lie in the same places. Leukaemia halts at one stage; a regenerating marrow holds all of them, and no stage is
nearly everything. Controls need not regenerate, so that the reference may lack what a marrow after therapy is full of.
"""

from __future__ import annotations

from flowmrd.classifier.candidate_cells import CandidateCells
from flowmrd.classifier.catalogue import load_catalogue, match_catalogue
from flowmrd.classifier.mixture import Mixture
from flowmrd.classifier.window_cells import WindowCells
from flowmrd.gating.haemodilution import STAGES, assess_regeneration

__all__ = ["has_all_stages", "is_regeneration"]

PLACES = frozenset(f"normal:{name}" for name in (*STAGES, "transitional_b", "mature_b"))
"""Calls of the catalogue that a component of regenerating B cells may have."""


def is_regeneration(mixture: Mixture, share: float, cells: WindowCells, tube: CandidateCells) -> bool:
    """Whether a burden can be regenerating B cells.

    Every component must lie in the place of a stage of B cells, together they must be no more than the catalogue has in
    marrow after therapy, and the tube must hold the whole spectrum.

    Parameters
    ----------
    share
        Share of the tube's nucleated cells that the burden makes up.
    """
    known = load_catalogue()
    most = 0.0
    for centre in mixture.mean if cells.anchors else ():
        place = match_catalogue(
            centre, cells.features, cells.anchors, cells.parameters, share=share, unreliable=cells.unreliable
        )
        entry = None if place is None or place.call not in PLACES else known.entry(place.call)
        if entry is None:
            return False
        most = max(most, entry.most[1])
    return share <= most and has_all_stages(tube)


def has_all_stages(tube: CandidateCells) -> bool:
    """Whether the gates of haematogones hold the spectrum of a regenerating marrow, by the rule of the report."""
    if tube.population is None:
        return False
    stages = {
        name: int((tube.population == tube.populations.index(name)).sum()) if name in tube.populations else None
        for name in STAGES
    }
    return assess_regeneration(stages, tube.denominator).verdict in {"present", "increased"}
