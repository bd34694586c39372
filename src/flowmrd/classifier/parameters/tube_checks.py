"""Is a tube like the controls: novelty, populations that controls lack, places of known populations."""

from __future__ import annotations

from dataclasses import dataclass

from flowmrd.classifier.parameters.number import number

__all__ = ["TubeCheckNumbers"]


@dataclass(frozen=True)
class TubeCheckNumbers:
    """Is a tube like the controls: novelty, populations that controls lack, places of known populations."""

    # Places of normal populations and artefacts (panels/catalogue/populations.yaml).
    hidden_drop: float = number(
        0.6,
        "catalogue of populations",
        "decades",
        "a marker that therapy hides may lie this far below the level of T and NK cells",
        "by hand: assumed: a masked marker lies at or below the level of cells without it",
    )
    doublet_sum_tolerance: float = number(
        0.35,
        "catalogue of populations",
        "decades",
        "how far a doublet may lie from the sum of its two cells in any antigen",
        "by hand: two staining errors of 0.25 decades",
    )
    doublet_size_least: float = number(
        0.7,
        "catalogue of populations",
        "ratio",
        "a doublet scatters at least this much of the light that its two cells scatter forward",
        "by hand: assumed: somewhat less than the sum of two",
    )
    doublet_sum_from: float = number(
        300.0,
        "catalogue of populations",
        "linear signal",
        "below it the scale is linear, where two negative cells do not add up",
        "logicle with W 0.5 to 1 and T 262,144 (Parks et al. 2006)",
    )

    novelty_pseudo_tubes: float = number(
        6.0,
        "novelty of a tube",
        "tubes",
        "tubes that the expected spreads below are worth beside the controls",
        "by hand: six controls are believed as much as the expected spread",
    )
    expected_staining_sd: float = number(
        0.2,
        "novelty of a tube",
        "decades",
        "spread of staining between tubes of a laboratory",
        "by hand: assumed; the laboratory's own controls replace it",
    )
    expected_scatter_sd: float = number(
        0.3,
        "novelty of a tube",
        "decades",
        "spread of scatter voltages between tubes of a laboratory",
        "by hand: assumed larger, since scatter voltages are set by eye; own controls replace it",
    )
    expected_dye_sd: float = number(
        0.4,
        "novelty of a tube",
        "decades",
        "spread of a nucleic acid dye between tubes of a laboratory; its uptake depends on time and cell number",
        "measured: 0.42 in 47 tubes of development persons, twice that of the antibodies",
    )
    displacement_log_sd: float = number(
        0.25,
        "novelty of a tube",
        "natural log",
        "spread of the displacement of a tube's populations",
        "by hand: assumed; the laboratory's own controls replace it",
    )
    novelty_tail: float = number(
        0.0005,
        "novelty of a tube",
        "fraction",
        "ordinary tubes beyond a limit, on either side",
        "by hand: one tube in a thousand is called unlike by chance",
    )
    outlier_share_limit: float = number(
        0.03,
        "novelty of a tube",
        "fraction",
        "least share of cells that fit nothing at which a tube is called unlike",
        "by hand: assumed for debris and aggregates of ordinary tubes",
    )
    odd_marker_same_cells: float = number(
        0.8,
        "novelty of a tube",
        "fraction",
        "cells of a known phenotype that must be called without the marker in which a tube is unlike the controls, and "
        "of those called without it that must be called with it",
        "by hand: nearly all of them: the same cells, not some of both",
    )

    unknown_cells: int = number(
        20_000,
        "unknown population",
        "cells",
        "cells of the tube, and drawn from each control, that are compared",
        "by hand: cost; a population of 8 % has 1,600 of them",
    )
    unknown_cells_least: int = number(
        2_000,
        "unknown population",
        "cells",
        "fewer cells are not divided",
        "by hand: a population of 8 % has 160 of them",
    )
    unknown_components: int = number(
        12,
        "unknown population",
        "count",
        "populations that the tube is divided into",
        "by hand: lineages of marrow, and one more",
    )
    unknown_blur_sd: float = number(
        0.2,
        "unknown population",
        "decades",
        "the place of a population is this much wider than its cells lie",
        "by hand: as the usual spread of staining",
    )
    unknown_span_least: float = number(
        0.5,
        "unknown population",
        "decades",
        "normal populations are taken to lie at least this far apart in a marker",
        "by hand: smaller spans are noise",
    )
    unknown_dim_from: float = number(
        0.25,
        "unknown population",
        "fraction of the span",
        "level from which its marker is called dim, not absent",
        "by hand: a quarter of the way",
    )
    unknown_bright_from: float = number(
        0.6,
        "unknown population",
        "fraction of the span",
        "level from which its marker is called present",
        "by hand: above half way",
    )
    unknown_place: float = number(
        0.8,
        "unknown population",
        "fraction",
        "cells of a population that lie in what counts as its place",
        "by hand: most of its cells, without its tails",
    )
    unknown_share_least: float = number(
        0.08,
        "unknown population",
        "fraction",
        "a smaller part of the tube is left to the search for leukaemia",
        "by hand: smaller ones are found as groups",
    )
    unknown_ratio: float = number(
        10.0,
        "unknown population",
        "ratio",
        "a population is unknown from this many times the largest control's share",
        "by hand: numbers of normal populations vary several-fold",
    )
    unknown_lymphocyte_margin: float = number(
        0.5,
        "unknown population",
        "decades",
        "T and NK cells are known whatever their share: no signal further above theirs, CD45 no further below",
        "make stress (85 and 97 % T cells): T cells lie within 0.42 of them; blasts as bright in CD45 were 0.57 above "
        "in another signal",
    )
