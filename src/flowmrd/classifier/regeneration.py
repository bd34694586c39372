"""Whether much of a tube is the haematogones of a regenerating marrow and not a heavy burden of leukaemia.

Both lie in the same places. Leukaemia halts at one stage; a regenerating marrow holds all of them, and no stage is
nearly everything. Controls need not regenerate, so that the reference may lack what a marrow after therapy is full of.
"""

from __future__ import annotations

import numpy as np

from flowmrd.classifier.candidate_cells import Bools, CandidateCells
from flowmrd.classifier.catalogue import load_catalogue, match_catalogue
from flowmrd.classifier.mixture import Mixture
from flowmrd.classifier.window_cells import WindowCells
from flowmrd.gating.haemodilution import STAGES, assess_regeneration

__all__ = ["has_all_stages", "is_among_stages", "regenerating_part"]

PLACES = frozenset(f"normal:{name}" for name in (*STAGES, "transitional_b", "mature_b"))
"""Calls of the catalogue that a component of regenerating B cells may have."""


def regenerating_part(mixture: Mixture, share: float, cells: WindowCells, tube: CandidateCells) -> Mixture | None:
    """The part of a burden that can be regenerating B cells; its weights are shares of the nucleated cells.

    Its components lie in the places of stages of B cells, together they are no more than the catalogue has in marrow
    after therapy, and the tube holds the whole spectrum. What lies elsewhere may be a leukaemia beside them, which was
    drawn into the same mixture: 449 leukaemic cells were counted together with 18,000 haematogones. It must be less
    than a heavy burden itself, because a heavy burden is counted whole.

    Parameters
    ----------
    share
        Share of the tube's nucleated cells that the burden makes up.

    Returns
    -------
    Mixture or None
        None where the burden cannot be regeneration.
    """
    inside, most = _in_stages(mixture, share, cells)
    part = share * float(mixture.weight[inside].sum())
    if not inside.any() or share - part >= cells.parameters.burden_share or part > most or not has_all_stages(tube):
        return None
    own = mixture.only(inside)
    return own.with_share(part)


def is_among_stages(mixture: Mixture, share: float, cells: WindowCells, tube: CandidateCells) -> bool:
    """Whether every component lies in the place of a stage of B cells, in a tube that holds the whole spectrum."""
    return bool(_in_stages(mixture, share, cells)[0].all()) and has_all_stages(tube)


def has_all_stages(tube: CandidateCells) -> bool:
    """Whether the gates of haematogones hold the spectrum of a regenerating marrow, by the rule of the report."""
    if tube.population is None:
        return False
    stages = {
        name: int((tube.population == tube.populations.index(name)).sum()) if name in tube.populations else None
        for name in STAGES
    }
    return assess_regeneration(stages, tube.denominator).verdict in {"present", "increased"}


def _in_stages(mixture: Mixture, share: float, cells: WindowCells) -> tuple[Bools, float]:
    """Which components lie in the place of a stage of B cells, shape (k,); the largest share of these stages after
    therapy.
    """
    known = load_catalogue()
    most = 0.0
    inside = np.zeros(len(mixture.weight), dtype=bool)
    for number, centre in enumerate(mixture.mean if cells.anchors else ()):
        place = match_catalogue(
            centre, cells.features, cells.anchors, cells.parameters, share=share, unreliable=cells.unreliable
        )
        if place is not None and place.call in PLACES:
            inside[number] = True
            entry = known.entry(place.call)
            most = max(most, entry.most[1] if entry is not None else 0.0)
    return inside, most
