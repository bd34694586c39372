"""Groups of cells that are unlike normal, whatever leukaemia they may be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from flowmrd.classifier.blast_prior import cluster_shape
from flowmrd.classifier.compact_groups import CompactGroup, plausible_spots
from flowmrd.classifier.control_abundance import PLACE, shares_in_place
from flowmrd.classifier.mixture import Mixture
from flowmrd.classifier.window_cells import WindowCells

LIKE_NORMAL = 2.5
"""Mahalanobis distance to a normal B-lineage population, its spread over controls included, below which a group without
a known leukaemia may be a regenerating one. Real blasts lie 6.1 (5th percentile 3.2) from the nearest population of
their own marrow (332 patients)."""
VEIL_SD = 0.8
"""Spread of a marker that therapy may have hidden on normal cells, decades."""
UNCOMMON = 0.03
"""A group is one of its own where controls hold at most some thirty times as many cells in its place on average; else
the normal model describes that place badly. In 12 marrows and 8 controls without leukaemia groups that were pure enough
had a ratio of 0.01, real leukaemias at 1e-4 0.04 at least and 5 in the median."""


def spots_of(cells: WindowCells) -> tuple[CompactGroup, ...]:
    """Compact groups of a tube whose cells are unlike normal ones, by falling gain."""
    if cells.spots is not None:
        return cells.spots
    return plausible_spots(
        cells.features, cells.values, cells.log_normal, cells.denominator, cells.normal.normal_b + cells.shift
    )


def strange_spots(cells: WindowCells, controls: Sequence[WindowCells]) -> tuple[CompactGroup, ...]:
    """Those clearly so that lie where controls keep no B-lineage cells, and no such number of any."""
    return tuple(
        spot
        for spot in spots_of(cells)
        if spot.is_pure and not like_normal(spot.mixture, cells) and is_uncommon(spot, cells, controls)
    )


def is_uncommon(spot: CompactGroup, cells: WindowCells, controls: Sequence[WindowCells]) -> bool:
    """Whether controls hold no great many cells in the place of a group."""
    shares = shares_in_place(spot.mixture, cells.shift, controls)
    return len(shares) == 0 or PLACE * spot.share >= UNCOMMON * float(shares.mean())


def like_normal(mixture: Mixture, cells: WindowCells) -> bool:
    """Whether every component lies where controls keep B-lineage cells, but for what sets controls apart.

    Regenerating marrow fills such places; nothing there is called leukaemia without a diagnosis tube. They are
    the components of the normal model and the populations that the panel names, which may be too rare for it.
    """
    model = cells.normal
    inside = model.inside > 0.5
    spread = model.between[inside] ** 2
    centres = model.mixture.mean[inside]
    wide = model.mixture.covariance[inside] + spread[:, :, None] * np.eye(mixture.d)
    if cells.stages is not None:
        typical = np.broadcast_to(cluster_shape(cells.features), (len(cells.stages), mixture.d, mixture.d))
        centres, wide = np.concatenate([centres, cells.stages]), np.concatenate([wide, typical])
    if len(centres) == 0:
        return False
    veil = [VEIL_SD**2 if name in cells.unreliable else 0.0 for name in cells.features]
    wide = wide + np.diag(veil)
    offset = mixture.mean[:, None, :] - (centres + cells.shift)[None, :, :]
    distance = np.einsum("jki,kil,jkl->jk", offset, np.linalg.inv(wide), offset).min(axis=1)
    return bool((np.sqrt(distance) < LIKE_NORMAL).all())


def like_early_progenitors(mixture: Mixture, cells: WindowCells) -> bool:
    """Whether a group is CD34+ without CD19 in a patient treated against CD19 or CD22.

    The earliest CD34+ CD22+ CD19- progenitors grow in number after such therapy (Blood 2022;140:38), and where CD22 is
    hidden on them they resemble nothing that controls hold. Without a diagnosis tube they are a doubt, not a result.
    """
    if not {"CD19", "CD22"} & cells.unreliable or not {"CD19", "CD34"} <= set(cells.features):
        return False

    def is_positive(marker: str) -> bool:
        column = cells.features.index(marker)
        low, high = np.quantile(cells.normal.mixture.mean[:, column], [0.1, 0.95])
        at = float(mixture.weight @ mixture.mean[:, column] - cells.shift[column])
        return bool(at > max((low + high) / 2.0, low + 0.5))

    return is_positive("CD34") and not is_positive("CD19")
