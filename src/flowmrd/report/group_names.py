"""Names of the groups of cells: one number and one word for each, wherever the page speaks of it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from flowmrd.classifier.catalogue import load_catalogue
from flowmrd.mrd.result import CellGroup


def group_number(groups: Sequence[CellGroup], cluster: int | None) -> int | None:
    """Number of a group on the page and in a review: its place among the result's groups, from 1.

    Parameters
    ----------
    cluster
        The group's number in ``classification.json``. None is returned without one, and where the result has no such
        group.
    """
    if cluster is None:
        return None
    return next((place for place, group in enumerate(groups, 1) if group.cluster == cluster), None)


def call_in_words(call: str) -> str:
    """A group's call as the catalogue titles it: ``normal:plasma_cells`` becomes ``Plasma cells``."""
    return _titles().get(call, call.partition(":")[2].replace("_", " ") or call)


@lru_cache(maxsize=1)
def _titles() -> dict[str, str]:
    known = load_catalogue()
    return {f"normal:{entry.name}": entry.title for entry in known.populations} | {
        f"artefact:{entry.name}": entry.title for entry in known.artefacts
    }
