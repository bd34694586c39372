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
        "largest distance of a marker that therapy hides below the level of T and NK cells",
        "by hand: assumed: a masked marker lies at or below the level of cells without it",
    )
    doublet_sum_tolerance: float = number(
        0.35,
        "catalogue of populations",
        "decades",
        "largest distance of a doublet from the sum of its two cells in any antigen",
        "by hand: two staining errors of 0.25 decades",
    )
    doublet_size_least: float = number(
        0.7,
        "catalogue of populations",
        "ratio",
        "smallest forward scatter of a doublet, as a part of the sum of its two cells'",
        "by hand: assumed: somewhat less than the sum of two",
    )
    doublet_sum_from: float = number(
        300.0,
        "catalogue of populations",
        "linear signal",
        "signal below which the scale is linear, so that two negative cells do not add up",
        "logicle with W 0.5 to 1 and T 262,144 (Parks et al. 2006)",
    )

    novelty_pseudo_tubes: float = number(
        6.0,
        "novelty of a tube",
        "tubes",
        "weight of the expected spreads below beside the controls, in tubes",
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
        "share of ordinary tubes beyond a limit, on either side",
        "by hand: one tube in a thousand is called unlike by chance",
    )
    outlier_share_limit: float = number(
        0.03,
        "novelty of a tube",
        "fraction",
        "smallest share of cells that fit no population at which a tube is called unlike the controls",
        "by hand: assumed for debris and aggregates of ordinary tubes",
    )
    odd_markers_most: int = number(
        2,
        "novelty of a tube",
        "count",
        "most markers, stained unlike in the controls, without which a tube is searched once more",
        "by hand: five of seven antibodies still tell leukaemia; more odd colours are a tube acquired otherwise",
    )
    odd_marker_decades_most: float = number(
        1.2,
        "novelty of a tube",
        "decades",
        "distance from the controls up to which a tube without leukaemic cells may be negative without an odd marker",
        "three of eight marrows of a later period (benchmarks.accuracy.cells --cohort VIE14KM --everybody --seed 9203 "
        "--pairs 8) have CD34 0.8 to 1.0 decades brighter; gates follow their anchors about as far",
    )
    odd_marker_same_cells: float = number(
        0.8,
        "novelty of a tube",
        "fraction",
        "smallest share of the called cells that are also called without the markers in which a tube is unlike the "
        "controls, and the other way round",
        "by hand: nearly all of them: the same cells, not some of both",
    )

    compared_cells: int = number(
        20_000,
        "unknown population",
        "cells",
        "number of cells that are compared, of the tube and of each control, for their populations and for what a "
        "fault of a detector hits",
        "by hand: cost; a population of 8 % has 1,600 of them",
    )
    unknown_cells_least: int = number(
        2_000,
        "unknown population",
        "cells",
        "smallest number of cells that are divided into populations",
        "by hand: a population of 8 % has 160 of them",
    )
    unknown_components: int = number(
        12,
        "unknown population",
        "count",
        "number of populations into which the tube is divided",
        "by hand: lineages of marrow, and one more",
    )
    unknown_span_least: float = number(
        0.5,
        "unknown population",
        "decades",
        "smallest distance that is assumed between normal populations in a marker",
        "by hand: smaller spans are noise",
    )
    unknown_dim_from: float = number(
        0.25,
        "unknown population",
        "fraction of the span",
        "level from which a marker is called dim, not absent",
        "by hand: a quarter of the way",
    )
    unknown_bright_from: float = number(
        0.6,
        "unknown population",
        "fraction of the span",
        "level from which a marker is called present",
        "by hand: above half way",
    )
    unknown_place: float = number(
        0.8,
        "unknown population",
        "fraction",
        "share of the cells of a population that lie in its place, by definition",
        "by hand: most of its cells, without its tails",
    )
    unknown_own_share: float = number(
        0.1,
        "unknown population",
        "fraction",
        "a population has at least this part of the cells in its place; one with fewer is a few cells at the edge of "
        "another, whose wide place holds that one",
        "two clean marrows of benchmarks.accuracy (seed 7103), 16 starts of the fit each: 0.02 or less where a normal "
        "population was unknown, 0.2 to 1 for the populations themselves",
    )
    unknown_share_least: float = number(
        0.08,
        "unknown population",
        "fraction",
        "smallest share of the tube of such a population; a smaller one is left to the search for leukaemia",
        "by hand: smaller ones are found as groups",
    )
    unknown_ratio: float = number(
        12.0,
        "unknown population",
        "ratio",
        "a population is unknown if it is this many times the largest control's share",
        "make stress (T cells, dyes, myeloblasts), three starts of the fit: at most 7.8 for T cells that were up to "
        "97 % of a tube, at least 17 for the clearest population of 46 % blasts",
    )
    unknown_lymphocyte_margin: float = number(
        0.5,
        "unknown population",
        "decades",
        "T and NK cells are known whatever their share: no signal further above theirs, CD45 no further below",
        "make stress (85 and 97 % T cells): T cells lie within 0.42 of them; blasts as bright in CD45 were 0.57 above "
        "in another signal",
    )

    excess_share: float = number(
        0.15,
        "off-scale cells",
        "fraction",
        "assumed share of blasts among the off-scale cells of a detector, for the weight of a cell",
        "by hand: 29 of 190 cells, as in the stress row with 95 % of the blasts off scale at 1e-4",
    )
    excess_least: float = number(
        10.0,
        "off-scale cells",
        "cells",
        "smallest such excess that is a question",
        "by hand: half of a detection; cells count by how much they look like blasts, and real ones count half or less",
    )
    excess_sd: float = number(
        3.1,
        "off-scale cells",
        "SD",
        "excess of cells like blasts, over what faults and normal cells give, from which it is a question",
        "one clean tube in a thousand for each detector (normal distribution)",
    )
