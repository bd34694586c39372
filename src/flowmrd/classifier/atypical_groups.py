"""Groups of cells that are unlike normal cells, whatever the kind of leukaemia."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from flowmrd.classifier.blast_prior import brightest_blasts, cluster_shape
from flowmrd.classifier.candidate_cells import is_nucleic_acid_dye
from flowmrd.classifier.compact_groups import CompactGroup
from flowmrd.classifier.control_abundance import shares_in_place
from flowmrd.classifier.marker_staining import SCATTER, negative_level
from flowmrd.classifier.mixture import Mixture
from flowmrd.classifier.phenotype import positive_markers
from flowmrd.classifier.window_cells import WindowCells


def is_uncommon(
    group: CompactGroup, cells: WindowCells, controls: Sequence[WindowCells], least: float | None = None
) -> bool:
    """Whether controls have few cells of a group's phenotype; if they have many, the normal model is wrong there.

    Parameters
    ----------
    least
        Smallest ratio of the group to the controls' mean; ``control_abundance_ratio`` where not given.
    """
    parameters = cells.parameters
    shares = shares_in_place(group.mixture, cells.shift, controls, parameters)
    least = parameters.control_abundance_ratio if least is None else least
    return len(shares) == 0 or parameters.place_share * group.share >= least * float(shares.mean())


def like_normal(mixture: Mixture, cells: WindowCells) -> bool:
    """Whether controls have B-lineage cells at every component, within the spread between controls.

    Regenerating marrow has many such cells, and they are not called leukaemia without a diagnosis tube. The group is
    compared with the components of the normal model and with the populations that the panel names, since a named
    population may be too rare to have a component.
    """
    model = cells.normal
    spread = model.between_tube_sd[model.in_window] ** 2
    centres = model.mixture.mean[model.in_window]
    wide = model.mixture.covariance[model.in_window] + spread[:, :, None] * np.eye(mixture.d)
    if cells.stages is not None:
        typical = np.broadcast_to(cluster_shape(cells.features), (len(cells.stages), mixture.d, mixture.d))
        centres, wide = np.concatenate([centres, cells.stages]), np.concatenate([wide, typical])
    if len(centres) == 0:
        return False
    masked = [cells.parameters.masked_marker_sd**2 if name in cells.unreliable else 0.0 for name in cells.features]
    wide = wide + np.diag(masked)
    offset = mixture.mean[:, None, :] - (centres + cells.shift)[None, :, :]
    distance = np.einsum("jki,kil,jkl->jk", offset, np.linalg.inv(wide), offset).min(axis=1)
    return bool((np.sqrt(distance) < cells.parameters.like_normal_distance).all())


def like_early_progenitors(mixture: Mixture, cells: WindowCells) -> bool:
    """Whether a group is CD34+ without CD19 in a patient treated against CD19 or CD22.

    The earliest CD34+ CD22+ CD19- progenitors grow in number after such therapy (Blood 2022;140:38). Where CD22 is
    masked on them, they resemble no cells of the controls. Without a diagnosis tube such a group is reported as a
    question and is not counted.
    """
    if not {"CD19", "CD22"} & cells.unreliable or not {"CD19", "CD34"} <= set(cells.features):
        return False
    centre = mixture.weight @ mixture.mean - cells.shift
    positive = positive_markers(centre, cells.features, cells.normal, cells.parameters)
    return "CD34" in positive and "CD19" not in positive


def is_unlike_leukaemia(mixture: Mixture, cells: WindowCells) -> bool:
    """Whether a group is brighter in an antibody than leukaemia and mature B cells are, or dimmer than cells without
    the antigen.

    Dye aggregates and faults of a detector are as bright. Most lie beyond the range of the detector, where no cell can
    found a group; with the detector at a lower voltage they lie within the range. Signals below those of cells without
    the antigen are what a wrong compensation leaves. Bright cells move with the staining of the tube; cells without the
    antigen move less, so the lower of their two possible levels counts.
    """
    level = mixture.weight @ mixture.mean
    brightest = cells.normal.normal_b + cells.shift + brightest_blasts(cells.features)
    if "mature_b" in cells.anchors:
        # Where the window holds few mature B cells, the brightest leukaemia against its average cell is dimmer in CD20
        # and CD45 than they are: in ten colours leukaemia as bright in CD20 as mature B cells was never counted.
        brightest = np.maximum(brightest, cells.anchors["mature_b"])
    above = level - brightest
    normal = cells.normal.mixture.mean
    for j, name in enumerate(cells.features):
        if name.startswith(SCATTER) or is_nucleic_acid_dye(name):
            continue
        without = negative_level(normal[:, j], cells.parameters) + min(float(cells.shift[j]), 0.0)
        if above[j] > cells.parameters.beyond_brightest or level[j] < without - cells.parameters.below_negative:
            return True
    return False
