"""Every number of the classifier, in one class: value, unit, source, and what it decides.

``docs/thresholds.md`` is written from this file. ``python -m benchmarks.ablation`` halves and doubles every number
and stores what changes; the page shows it. Logarithms are natural; a decade is a factor of ten of the signal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeVar

T = TypeVar("T")
Section = Literal[
    "run",
    "mixtures",
    "normal model",
    "fit to one tube",
    "doublets",
    "markers masked by a drug",
    "prior of blasts",
    "catalogue of populations",
    "novelty of a tube",
    "staining control",
    "unknown population",
    "diagnosis",
    "phenotype match",
    "compact groups",
    "off-scale cells",
    "carry-over",
    "comparison with controls",
    "error rate of a group",
    "judgement of controls",
    "cut",
    "heavy burden",
    "spike-in",
]
HAND = "by hand"
PEERS332 = "332 childhood B-ALL marrows of two laboratories, see classifier/blast_prior.py"


def number(default: T, section: Section, unit: str, meaning: str, source: str = HAND) -> T:
    """A field of :class:`ClassifierParameters` with what ``docs/thresholds.md`` says of it."""
    metadata = {"section": section, "unit": unit, "meaning": meaning, "source": source}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class ClassifierParameters:
    """Every choice and number of the classifier.

    The defaults are those of the product. A field's metadata hold ``section``, ``unit``, ``meaning`` and ``source``;
    docs/thresholds.md lists all with their measured effect.
    """

    # What the configuration of a run decides.
    background_per_million: float = number(
        5.0,
        "run",
        "events per million",
        "background that the cut keeps in controls",
        "config laip.background_per_million",
    )
    target: float = number(1e-4, "run", "fraction", "level of the spike-in", "config mrd.target")
    detect_events: int = number(
        20, "run", "events", "fewest events that count as detected", "config mrd.min_detect_events"
    )
    replicates: int = number(5, "run", "count", "spike-ins per tube", "config mrd.spike_in_replicates")
    unreliable: frozenset[str] = number(
        frozenset[str](),
        "run",
        "markers",
        "markers that the targeted therapy given may have taken away",
        "panel, sheet",
    )
    shifted: frozenset[str] = number(frozenset[str](), "run", "markers", "markers that steroids move", "panel")
    seed: int = number(0, "run", "", "seed of every random draw", "config laip.seed")

    # Every Gaussian mixture that is fitted from nothing.
    mixture_sd_least: float = number(
        0.05,
        "mixtures",
        "decades",
        "smallest standard deviation of a component in any direction, where no other is given",
    )
    mixture_shape_events: float = number(
        30.0, "mixtures", "pseudo-events", "weight of the average covariance in that of a component"
    )
    mixture_steps: int = number(40, "mixtures", "EM steps", "steps of a fit, where no other number is given")
    mixture_gain_least: float = number(
        1e-4, "mixtures", "natural log per cell", "a fit ends where a step gains less log likelihood"
    )
    mixture_start_steps: int = number(8, "mixtures", "k-means steps", "steps that place the components before a fit")

    # The hierarchical mixture of the controls.
    components: int = number(26, "normal model", "count", "Gaussian components of normal marrow")
    training_cells: int = number(
        60_000, "normal model", "cells", "cells of all controls together that are learned from"
    )
    training_cells_least: int = number(1_500, "normal model", "cells", "cells of one control, at least")
    training_cells_most: int = number(12_000, "normal model", "cells", "cells of one control, at most")
    training_window_share: float = number(
        2 / 3, "normal model", "fraction", "cells of a sample to learn from that come from the B-lineage window"
    )
    start_cells: int = number(20_000, "normal model", "cells", "pooled cells that the first mixture is fitted to")
    start_steps: int = number(12, "normal model", "EM steps", "steps of that first fit")
    model_steps: int = number(14, "normal model", "EM steps", "steps of the fit over tubes")
    population_sd_least: float = number(0.06, "normal model", "decades", "smallest standard deviation of a population")
    population_shape_events: float = number(
        40.0, "normal model", "pseudo-events", "weight of the average covariance in that of a population"
    )
    between_tube_sd_start: float = number(0.3, "normal model", "decades", "spread between tubes assumed at the start")
    between_tube_sd_least: float = number(
        0.08, "normal model", "decades", "a population moves at least this much between tubes beside their staining"
    )
    between_tube_sd_few: float = number(
        0.15, "normal model", "decades", "spread between tubes that the pseudo-tubes below stand for"
    )
    between_tube_pseudo_tubes: float = number(
        2.0, "normal model", "tubes", "pseudo-tubes that keep the spread sensible with few controls"
    )
    half_trusted_events: float = number(
        20.0, "normal model", "events", "events of a population at which half of its place in a tube is believed"
    )
    in_window_share: float = number(
        0.5, "normal model", "fraction", "a component with more of its cells in the B-lineage window belongs to it"
    )
    sample_cells: int = number(
        3_000,
        "normal model",
        "cells",
        "cells of a tube that tell a share or a density well enough: of normal populations in the window and outside "
        "it, and of doublets",
    )
    place_cells_least: int = number(
        100,
        "normal model",
        "cells",
        "fewer cells do not tell where a population lies (normal B cells, doublets, the populations that others are "
        "placed by), nor lend their pulse shape to spiked cells",
    )
    reference_folds: int = number(5, "normal model", "count", "folds of controls, at most")
    stage_events: int = number(
        30, "normal model", "events", "fewer cells of a named population than this in a control do not place it"
    )

    # The normal components in one tube.
    tail_degrees: float = number(
        12.0, "fit to one tube", "degrees of freedom", "t tails of normal cells when scores are computed"
    )
    outlier_share: float = number(
        0.01, "fit to one tube", "fraction", "share of the broad outlier component at the start of a fit"
    )
    outlier_sd: float = number(1.2, "fit to one tube", "decades", "its standard deviation: wider than any population")
    staining_sd: float = number(
        0.6,
        "fit to one tube",
        "decades",
        "expected size of a tube's common shift; weak, since the cells tell it well",
        "measured marrows of one laboratory shift by 0.1 to 0.5 (nucleic acid dye)",
    )
    staining_events: float = number(
        50.0, "fit to one tube", "events", "a component with fewer cells does not tell the staining"
    )
    staining_cells: int = number(6_000, "fit to one tube", "cells", "cells that tell the staining of a tube")
    staining_cells_least: int = number(
        300, "fit to one tube", "cells", "fewer cells outside the window do not tell the staining"
    )
    staining_components: int = number(
        10, "fit to one tube", "count", "components of the tube that others are laid upon"
    )
    tube_mixture_steps: int = number(
        15, "fit to one tube", "EM steps", "steps of a mixture fitted to cells of that tube, or to its doublets"
    )
    staining_blur: tuple[float, ...] = number(
        (0.6, 0.45, 0.3, 0.2, 0.1, 0.05, 0.0, 0.0),
        "fit to one tube",
        "decades",
        "standard deviations by which the reference is broadened while it is laid on a tube",
    )
    staining_between_sd: float = number(
        0.2, "fit to one tube", "decades", "spread of populations between tubes while the staining is looked for"
    )
    tube_cells: int = number(30_000, "fit to one tube", "cells", "cells that a tube's model is fitted to")
    tube_steps: int = number(12, "fit to one tube", "EM steps", "steps of that fit")
    tube_shape_events: float = number(
        600.0, "fit to one tube", "pseudo-events", "weight of the reference's covariance in that of a tube"
    )
    furthest_place: float = number(
        4.0,
        "fit to one tube",
        "between-tube SD",
        "a population of a tube lies at most this far from its place in any one marker",
    )
    place_quantile: float = number(
        0.9999,
        "fit to one tube",
        "fraction",
        "normal populations whose place, by all markers together, is no further away than what is believed",
    )
    widest_population: float = number(
        1.2,
        "fit to one tube",
        "ratio",
        "a population of a tube spreads at most this many times as widely as in controls",
    )
    rare_share_start: float = number(
        1e-4, "fit to one tube", "fraction", "starting share of doublets, and of leukaemia of unknown phenotype"
    )
    component_share_least: float = number(
        1e-7, "fit to one tube", "fraction", "smallest share of doublets, masked cells and leukaemia during a fit"
    )

    doublet_components: int = number(8, "doublets", "count", "components of the doublets' density")
    doublet_sd_least: float = number(0.08, "doublets", "decades", "smallest standard deviation of these")
    doublet_seed: int = number(20, "doublets", "", "seed that pairs the cells")
    doublet_share_most: float = number(0.02, "doublets", "fraction", "largest share of these")

    masked_share: float = number(
        1e-3, "markers masked by a drug", "fraction", "starting share of normal cells whose markers a drug has masked"
    )
    masked_marker_sd: float = number(
        0.8, "markers masked by a drug", "decades", "spread of a marker that a drug may have masked on normal cells"
    )
    staining_span_least: float = number(
        1.0, "staining control", "decades", "the brightest cells of a marker are taken to lie this far above the lowest"
    )
    negative_quantile: float = number(
        0.1,
        "markers masked by a drug",
        "fraction",
        "quantile of the normal components at which a marker counts as absent",
    )

    odd_marker_share: float = number(
        0.3,
        "prior of blasts",
        "fraction",
        "leukaemias that are odd in one marker: a Gaussian over patients alone would take them for impossible",
    )
    odd_marker_width: float = number(
        3.0, "prior of blasts", "ratio", "such a leukaemia lies this many times as widely in that marker"
    )
    blast_tail_degrees: float = number(
        20.0, "prior of blasts", "degrees of freedom", "t tails of blasts: cells a little outside still belong to them"
    )

    # Places of normal populations and artefacts (panels/catalogue/populations.yaml).
    hidden_drop: float = number(
        0.6,
        "catalogue of populations",
        "decades",
        "a marker that therapy hides may lie this far below the level of T and NK cells",
    )
    doublet_sum_tolerance: float = number(
        0.35,
        "catalogue of populations",
        "decades",
        "how far a doublet may lie from the sum of its two cells in any antigen",
    )
    doublet_size_least: float = number(
        0.7,
        "catalogue of populations",
        "ratio",
        "a doublet scatters at least this much of the light that its two cells scatter forward",
    )
    doublet_sum_from: float = number(
        300.0,
        "catalogue of populations",
        "linear signal",
        "below it the scale is linear, where two negative cells do not add up",
        "logicle with W 0.5 to 1 and T 262,144 (Parks et al. 2006)",
    )

    novelty_pseudo_tubes: float = number(
        6.0, "novelty of a tube", "tubes", "tubes that the expected spreads below are worth beside the controls"
    )
    expected_staining_sd: float = number(
        0.2, "novelty of a tube", "decades", "spread of staining between tubes of a laboratory"
    )
    expected_scatter_sd: float = number(
        0.3, "novelty of a tube", "decades", "spread of scatter voltages between tubes of a laboratory"
    )
    expected_dye_sd: float = number(
        0.4,
        "novelty of a tube",
        "decades",
        "spread of a nucleic acid dye between tubes of a laboratory; its uptake depends on time and cell number",
        "measured: 0.42 in 47 tubes of development persons, twice that of the antibodies",
    )
    displacement_log_sd: float = number(
        0.25, "novelty of a tube", "natural log", "spread of the displacement of a tube's populations"
    )
    novelty_tail: float = number(
        0.0005, "novelty of a tube", "fraction", "ordinary tubes beyond a limit, on either side"
    )
    outlier_share_limit: float = number(
        0.03, "novelty of a tube", "fraction", "least share of cells that fit nothing at which a tube is called unlike"
    )

    odd_marker_same_cells: float = number(
        0.8,
        "novelty of a tube",
        "fraction",
        "cells of a known phenotype that must be called without the marker in which a tube is unlike the controls, and "
        "of those called without it that must be called with it",
    )

    staining_control_outside: int = number(
        40_000, "staining control", "cells", "cells outside the window that are looked at, at most"
    )
    staining_control_inside: int = number(
        20_000, "staining control", "cells", "cells of the window that are looked at, at most; rare carriers are here"
    )
    carrier_gap: float = number(
        0.8,
        "staining control",
        "decades",
        "a population carries a marker from this far above the lowest populations on",
    )
    without_gap: float = number(
        0.35, "staining control", "decades", "a population this near to the lowest ones does not carry the marker"
    )
    without_level: float = number(
        1.3, "staining control", "decades", "level of cells without a marker where every population carries it"
    )
    without_share_least: float = number(
        0.05,
        "staining control",
        "fraction",
        "cells without a marker must be this share of those looked at: of few, most are cells assigned wrongly",
    )
    other_markers_sd: float = number(
        0.15, "staining control", "decades", "the other markers may be stained this much otherwise than in the controls"
    )
    carrier_probability: float = number(
        0.9, "staining control", "probability", "from this probability of its populations a cell is called a carrier"
    )
    stained_at: float = number(
        0.5, "staining control", "ratio", "a carrier is stained from this part of the way to its expected level on"
    )
    bright_at: float = number(
        0.6, "staining control", "ratio", "a cell is bright from this part of the way to the brightest population on"
    )
    upper_quantile: float = number(
        0.85, "staining control", "fraction", "quantile of the carriers that dim and young cells among them do not move"
    )
    carriers_placed: int = number(10, "staining control", "cells", "fewer carriers have no place")
    carriers_least: int = number(25, "staining control", "cells", "fewer carriers prove nothing")
    bright_least: int = number(
        20, "staining control", "cells", "so many bright cells show that an antibody works, whatever they are"
    )
    carriers_stained_least: float = number(
        0.6, "staining control", "fraction", "carriers of which a control stains less prove nothing"
    )
    absent_stained: float = number(
        0.15,
        "staining control",
        "ratio",
        "an antibody is absent where its carriers are stained in less than this part of what the controls show (95 %)",
        "forgotten antibodies of simulated tubes stain 0.000 of their carriers, sound ones 0.76 and more",
    )
    absent_bright: float = number(
        0.05, "staining control", "ratio", "and bright cells are rarer than this part of what any control has"
    )
    carrier_shift_sd: float = number(
        0.15, "staining control", "decades", "spread of the carriers' place between ordinary tubes"
    )
    without_shift_sd: float = number(
        0.09, "staining control", "decades", "spread of the place of cells without the marker between ordinary tubes"
    )
    staining_pseudo_tubes: float = number(
        4.0, "staining control", "tubes", "tubes that these two spreads are worth beside the controls"
    )
    staining_tail: float = number(
        0.001, "staining control", "fraction", "ordinary tubes beyond a limit, on either side"
    )
    staining_shift_least: float = number(
        0.3, "staining control", "decades", "smaller shifts of one marker are no fault"
    )
    without_alone_limits: float = number(
        2.0,
        "staining control",
        "ratio",
        "limit of cells without a marker whose carriers did not move with them, in limits of an ordinary tube",
        "a sound tube of a development person: dim cells +0.41, carriers -0.22, limit 0.40",
    )
    unverified_share: float = number(
        0.2,
        "staining control",
        "fraction",
        "antibodies (other than CD19) that no cell verifies, of all of a tube, with which it may be negative",
    )

    blast_markers_missing: int = number(
        2,
        "staining control",
        "markers",
        "a tube that lacks so many of CD19, CD10, CD20, CD34, CD22 and CD24 can be trusted in neither direction",
    )

    unknown_cells: int = number(
        20_000, "unknown population", "cells", "cells of the tube, and drawn from each control, that are compared"
    )
    unknown_cells_least: int = number(2_000, "unknown population", "cells", "fewer cells are not divided")
    unknown_components: int = number(12, "unknown population", "count", "populations that the tube is divided into")
    unknown_blur_sd: float = number(
        0.2, "unknown population", "decades", "the place of a population is this much wider than its cells lie"
    )
    unknown_span_least: float = number(
        0.5, "unknown population", "decades", "normal populations are taken to lie at least this far apart in a marker"
    )
    unknown_dim_from: float = number(
        0.25, "unknown population", "fraction of the span", "level from which its marker is called dim, not absent"
    )
    unknown_bright_from: float = number(
        0.6, "unknown population", "fraction of the span", "level from which its marker is called present"
    )
    unknown_place: float = number(
        0.8, "unknown population", "fraction", "cells of a population that lie in what counts as its place"
    )
    unknown_share_least: float = number(
        0.08, "unknown population", "fraction", "a smaller part of the tube is left to the search for leukaemia"
    )
    unknown_ratio: float = number(
        10.0, "unknown population", "ratio", "a population is unknown from this many times the largest control's share"
    )

    laip_cells: int = number(30_000, "diagnosis", "cells", "cells of the window that a phenotype is learned from")
    laip_stored_cells: int = number(2_000, "diagnosis", "cells", "cells that are kept for the spike-in")
    laip_cells_per_number: int = number(
        3, "diagnosis", "cells per component and marker", "fewer cells are not divided into so many components"
    )
    laip_components: int = number(3, "diagnosis", "count", "components of a phenotype, at most")
    laip_rounds: int = number(2, "diagnosis", "count", "times that phenotype and normal cells are refined in turn")
    laip_steps: int = number(15, "diagnosis", "EM steps", "steps of every refinement")
    laip_start_steps: int = number(30, "diagnosis", "EM steps", "steps of the first fit to aberrant cells")
    laip_sd_start: float = number(0.05, "diagnosis", "decades", "smallest standard deviation in that first fit")
    laip_sd_least: float = number(0.04, "diagnosis", "decades", "smallest standard deviation of a component")
    laip_shape_events: float = number(
        20.0, "diagnosis", "pseudo-events", "weight of the average covariance in that of a component"
    )
    laip_share_most: float = number(0.9, "diagnosis", "fraction", "largest leukaemic share that a fit starts from")
    laip_share_limit: float = number(0.98, "diagnosis", "fraction", "largest leukaemic share during a refinement")
    laip_cell_log_odds: float = number(
        2.0, "diagnosis", "natural log", "a cell of the diagnosis tube is leukaemic from these log odds on"
    )
    aberrant_at_start: float = number(
        0.5,
        "diagnosis",
        "fraction",
        "cells of a component that must have been aberrant before it was refined; else it is the tube's own B cells",
    )
    laip_component_share_least: float = number(
        0.02, "diagnosis", "fraction", "a component with a smaller share of the phenotype is dropped"
    )
    indistinct_per_million: float = number(
        300.0, "diagnosis", "cells per million", "a component that claims more of the median control is normal"
    )
    indistinct_score: float = number(8.0, "diagnosis", "natural log", "score from which it claims a cell")
    indistinct_steps: int = number(5, "diagnosis", "EM steps", "steps of the fit to a control")
    abundance_groups: int = number(
        6, "diagnosis", "count", "groups into which the window is divided for its abundances"
    )
    abundance_cells: int = number(8_000, "diagnosis", "cells", "cells that these groups are fitted to")
    abundance_steps: int = number(25, "diagnosis", "EM steps", "steps of that fit")
    abundance_sd_least: float = number(0.05, "diagnosis", "decades", "smallest standard deviation of these groups")
    abundance_cells_least: int = number(
        20, "diagnosis", "cells per marker", "fewer cells in the window are not divided"
    )
    abundance_share_least: float = number(
        0.02, "diagnosis", "fraction", "a group below this share of the nucleated cells is not judged by its abundance"
    )
    abundance_ratio: float = number(
        10.0, "diagnosis", "ratio", "a group counts from this many times the largest share of a control in its place"
    )
    abundance_place_sd: float = number(
        0.15, "diagnosis", "decades", "distance of one place in two tubes after their common shift"
    )
    abundance_mature_distance: float = number(
        2.5,
        "diagnosis",
        "Mahalanobis distance",
        "groups this near to mature B cells are those: their number varies a hundredfold between marrows",
    )

    marker_shift_least: float = number(
        0.3, "diagnosis", "decades", "smaller shifts are not called over- or under-expression"
    )

    drift_sd: float = number(
        0.22,
        "phenotype match",
        "decades",
        "expected drift of a marker between two tubes of one patient",
        "group means of normal B cells differ by 0.1 to 0.3 between two tubes of one person (128 persons)",
    )
    drift_unreliable: float = number(
        2.0, "phenotype match", "ratio", "times the drift for markers that the therapy given may take away"
    )
    drift_shifted: float = number(1.5, "phenotype match", "ratio", "times the drift for markers that steroids move")
    match_reach: float = number(
        -4.0, "phenotype match", "natural log", "cells below this under the broadened phenotype are not looked at again"
    )
    match_start_share: float = number(1e-4, "phenotype match", "fraction", "share at the start of a fit, at least")
    match_start_events: float = number(20.0, "phenotype match", "events", "events at the start of a fit, at least")
    match_share_most: float = number(0.95, "phenotype match", "fraction", "largest share of a fit")
    match_steps: int = number(15, "phenotype match", "EM steps", "steps of a fit, at most")
    match_shift_tolerance: float = number(
        0.002, "phenotype match", "decades", "a fit has converged when its shift changes by less"
    )
    match_share_tolerance: float = number(
        0.01, "phenotype match", "ratio", "a fit has converged when its share changes by less"
    )
    match_cells: int = number(
        100_000,
        "phenotype match",
        "cells",
        "cells within reach that a fit uses, evenly thinned: a diagnosis tube may hold millions",
    )
    match_all_below: int = number(
        10_000,
        "phenotype match",
        "cells",
        "a fit to thinned cells that explains fewer is made again with all: none of a rare group is left out",
    )
    residual_drift_sd: float = number(
        0.04, "phenotype match", "decades", "further scatter of cells whose shift is known, against the diagnosis"
    )
    strain_most: float = number(
        7.5,
        "phenotype match",
        "squared drift SD per marker",
        "a shift beyond this is another phenotype",
        "drift of 0.3 decades in each of nine markers stays below with 99.99 %",
    )
    strain_most_in_one: float = number(
        5.0,
        "phenotype match",
        "drift SD",
        "a shift of one marker beyond this is another phenotype",
        "drift of 0.3 decades in each of nine markers stays below with 99.8 %",
    )
    match_gain: float = number(
        12.0,
        "phenotype match",
        "natural log",
        "log-likelihood gain from which cells that match the phenotype form a group; below it they are scattered "
        "normal cells at its rim",
    )
    match_gain_per_event: float = number(
        1.0, "phenotype match", "natural log", "gain per event from which they form a group"
    )
    match_strain_quantile: float = number(
        0.99,
        "phenotype match",
        "fraction",
        "drifts between two tubes of one patient that stay below; cells that match only beyond it must each be as "
        "unlike normal cells as those of a group of unknown phenotype (gain_per_event_counted)",
    )
    match_scatter_most: float = number(
        1.5,
        "phenotype match",
        "squared Mahalanobis distance per marker",
        "cells that scatter more are another, diffuse group",
        "real blasts had 0.75 to 1.07 in 20 tubes, normal precursors of an odd marrow 1.3 to 2.0",
    )
    match_explained: float = number(
        2.0,
        "phenotype match",
        "natural log",
        "cells above this score are explained by the best fit and left out of the next",
    )

    group_reach: float = number(
        -3.0, "compact groups", "natural log", "cells below this score under the prior of blasts are not looked at"
    )
    groups_most: int = number(3, "compact groups", "count", "groups that are looked for in a tube")
    group_events_least: float = number(8.0, "compact groups", "events", "smallest group")
    group_start_events: float = number(20.0, "compact groups", "events", "size of a group at the start of its growth")
    seed_cells: int = number(
        3_000, "compact groups", "cells", "cells among which seeds are looked for; the cost is their square"
    )
    seed_worth_least: float = number(
        0.01, "compact groups", "natural log", "a cell that would gain less in a group is no seed"
    )
    seed_cells_least: int = number(5, "compact groups", "cells", "fewer such cells give no seed")
    seeds: int = number(5, "compact groups", "count", "seeds that a group is grown from; the best one is kept")
    seeds_odd: int = number(
        2,
        "compact groups",
        "count",
        "further seeds, by how unlike normal cells are wherever leukaemias usually lie: one may be odd in a marker",
    )
    seed_distance: float = number(9.0, "compact groups", "squared typical SD", "two seeds are at least this far apart")
    group_neighbourhood: float = number(
        150.0, "compact groups", "squared typical SD", "cells this near are looked at while a group grows"
    )
    group_steps: int = number(25, "compact groups", "EM steps", "steps of growth, at most")
    group_shift_tolerance: float = number(
        0.003, "compact groups", "decades", "growth has ended when the centre moves by less"
    )
    group_share_tolerance: float = number(
        0.01, "compact groups", "ratio", "growth has ended when the share changes by less"
    )
    group_shape_events: float = number(
        25.0, "compact groups", "pseudo-events", "weight of a typical leukaemia's covariance in that of a group"
    )
    group_size_most: float = number(
        1.3,
        "compact groups",
        "ratio to the typical size",
        "largest size of a group",
        "python -m benchmarks.accuracy.shapes: 341 leukaemias 0.88 in the median, 1.25 at most",
    )
    group_width_most: float = number(
        2.0,
        "compact groups",
        "ratio to the typical SD",
        "largest standard deviation of a group in one marker",
        "python -m benchmarks.accuracy.shapes",
    )
    gain_per_event_counted: float = number(
        2.0,
        "compact groups",
        "natural log",
        "gain per event of a group that counts: each cell of a leukaemia is clearly unlike normal ones, while a normal "
        "population that the model describes badly is large and gains little per cell",
    )
    gain_per_event_atypical: float = number(
        1.2, "compact groups", "natural log", "gain per event from which a group forbids a negative answer"
    )

    place_share: float = number(
        0.9, "comparison with controls", "fraction", "cells of a group that lie in what counts as its place"
    )
    control_abundance_ratio: float = number(
        0.03,
        "comparison with controls",
        "ratio",
        "least ratio of a group to the mean of the controls in its place; below it the normal model is wrong there",
        "12 marrows and 8 controls without leukaemia had 0.01, real leukaemias at 1e-4 at least 0.04, in the median 5",
    )
    group_gain_least: float = number(
        45.0,
        "comparison with controls",
        "natural log",
        "least log-likelihood gain of a group, whatever few controls say",
    )
    offscale_channels_least: int = number(
        4, "off-scale cells", "channels", "fewest measured channels by which an off-scale cell is judged"
    )
    excluded_place_share: float = number(
        0.95, "off-scale cells", "share", "of a phenotype's cells within whose place excluded events are looked for"
    )
    offscale_measured_share: float = number(
        0.9, "off-scale cells", "share", "of a group's cells that a channel must be measured in to be used"
    )
    carry_over_start: float = number(
        0.05, "carry-over", "fraction", "of the run in which cells of the tube before may come"
    )
    carry_over_share: float = number(
        0.8, "carry-over", "fraction", "of a group's cells that must come there to be carry-over; even cells give 0.05"
    )
    carry_over_least: int = number(
        8, "carry-over", "cells", "fewest cells there; so many of ten by chance have p < 1e-8"
    )
    carry_over_late: int = number(
        10, "carry-over", "cells", "most cells of such a group in the rest of the run: half of a detection"
    )
    group_sd_unknown: float = number(
        0.2,
        "comparison with controls",
        "decades",
        "spread of a group of which only medians are recorded, where earlier decisions are compared with it",
    )
    same_place: float = number(
        3.0,
        "comparison with controls",
        "Mahalanobis distance",
        "centres nearer than this, by the mean of both covariances, are one population",
    )
    like_normal_distance: float = number(
        2.5,
        "comparison with controls",
        "Mahalanobis distance",
        "a group nearer than this to a normal B-lineage population may be a regenerating one",
        "real blasts lie 6.1 (5th percentile 3.2) from the nearest population of their own marrow (332 patients)",
    )
    positive_quantile: float = number(
        0.95, "comparison with controls", "fraction", "quantile of the normal components at which a marker is bright"
    )
    positive_least: float = number(
        0.5, "comparison with controls", "decades", "a marker is positive from this far above its negative level"
    )
    covered_share: float = number(
        0.5,
        "comparison with controls",
        "fraction",
        "a group in the same place with this share of another's cells is the same group",
    )

    false_groups_counted: float = number(
        0.01,
        "error rate of a group",
        "groups per tube",
        "a group counts where fewer false groups as odd are expected in marrow without leukaemia",
        "issue: at most one clean tube in a hundred falsely called",
    )
    dye_most: float = number(
        0.8,
        "error rate of a group",
        "decades",
        "a group brighter in a nucleic acid dye than normal B cells by more is a question: no cell holds that much "
        "nucleic acid, cell aggregates do",
        "332 leukaemias: 0.16 with a standard deviation of 0.18",
    )
    false_groups_beside: float = number(
        0.001,
        "error rate of a group",
        "groups per tube",
        "a doubtful group counts after the normal cells were fitted beside it where fewer are expected",
        "by then four leukaemias of 1e-3 had 0.0003 and less, a false group of a clean tube 0.03",
    )
    false_groups_atypical: float = number(
        0.1,
        "error rate of a group",
        "groups per tube",
        "a group forbids a negative answer where fewer are expected, and is no doubt where more are",
        "issue: nine clean tubes of ten answered",
    )
    standard_cells: int = number(
        450_000,
        "error rate of a group",
        "nucleated cells",
        "gains are brought to a tube of this size: the gain of a population grows with the number of its cells",
    )
    false_gain_least: float = number(
        20.0,
        "error rate of a group",
        "natural log",
        "the excess of gains over this one has a tail that is modelled; smaller groups are chance",
    )
    prior_tubes: float = number(
        30.0,
        "error rate of a group",
        "tubes",
        "tubes that the development marrows count as beside a laboratory's own controls",
    )
    prior_groups_per_tube: float = number(
        0.2,
        "error rate of a group",
        "groups per tube",
        "false groups of the development marrows",
        "python -m benchmarks.accuracy.false_groups: 10 in 49 tubes of development persons",
    )
    prior_log_gain: float = number(
        2.0,
        "error rate of a group",
        "natural log",
        "mean excess of their log gain",
        "python -m benchmarks.accuracy.false_groups",
    )
    prior_gain_per_event: float = number(
        0.57,
        "error rate of a group",
        "natural log",
        "mean excess of their gain per event",
        "python -m benchmarks.accuracy.false_groups",
    )
    same_place_tubes: float = number(
        10.0,
        "error rate of a group",
        "tubes",
        "tubes without a group in a place that the share of controls with one there is drawn towards",
    )

    controls_judged_from: int = number(
        4,
        "judgement of controls",
        "tubes",
        "with fewer controls none is judged: nobody can say which of them is odd",
    )
    false_groups_odd: float = number(
        0.02,
        "judgement of controls",
        "groups per tube",
        "a control is odd from this error rate of a group on: twice that of a group that counts, so that no group of a "
        "control that stays counts as background in another tube",
    )
    odd_controls_most: float = number(
        0.34,
        "judgement of controls",
        "fraction",
        "at most this part of the controls is left out as odd; where more are odd they stay and are named",
    )
    lost_cells_ratio: float = number(
        0.7,
        "judgement of controls",
        "ratio",
        "a control is odd where the nucleated share of its events is below this part of the lowest of the others",
    )

    cut_least: float = number(
        4.0, "cut", "natural log", "lowest cut: 1.8 % of normal cells at most, where the normal model is right"
    )
    cut_most: float = number(12.0, "cut", "natural log", "highest cut: six normal cells per million")
    cut_step: float = number(0.25, "cut", "natural log", "step at which cuts are tried")
    cut_without_controls: float = number(
        4.0, "cut", "natural log", "where no control can set the cut it lies this far above the lowest one"
    )
    cut_background_share: float = number(
        0.4, "cut", "ratio", "part of the allowed background that controls may hold on average"
    )
    cut_worst_ratio: float = number(3.0, "cut", "ratio", "times the allowed background that the worst control may hold")
    cut_set_aside_from: int = number(
        5,
        "cut",
        "tubes",
        "from this number of controls on the worst is set aside for the cut (never for the background): one "
        "regenerating marrow must not take the sensitivity of all others",
    )
    group_cut: float = number(
        5.0, "cut", "natural log", "cut inside a compact group, which as a whole has been judged already"
    )
    background_alone: float = number(
        0.001,
        "cut",
        "probability",
        "a control stands alone with its background where the others together make as many cells less likely than this",
    )
    high_background_ratio: float = number(
        4.0, "cut", "ratio", "times the allowed background from which HIGH_BACKGROUND is raised"
    )

    burden_share: float = number(
        0.01,
        "heavy burden",
        "fraction",
        "share from which leukaemia is looked for before the normal model is fitted, which it would pull",
    )
    burden_cells: int = number(10_000, "heavy burden", "cells", "cells of the window that tell whether it is that much")
    burden_events_least: int = number(200, "heavy burden", "events", "smallest such leukaemia")
    burden_confirmed: float = number(
        0.5, "heavy burden", "fraction", "part of that share that must be found as a phenotype"
    )
    heavy_share: float = number(0.02, "heavy burden", "fraction", "share from which the cut follows the burden")
    heavy_cut: float = number(2.0, "heavy burden", "natural log", "cut for a burden found in the tube itself")
    heavy_cut_least: float = number(0.0, "heavy burden", "natural log", "lowest cut then, with a known phenotype")
    heavy_background: float = number(
        500.0,
        "heavy burden",
        "ratio",
        "the burden may be this many times the background that is then allowed, so that a relapse is counted",
    )

    spike_drift_sd: float = number(0.15, "spike-in", "decades per marker", "drift of spiked cells against their source")
    spike_detected_share: float = number(
        0.8, "spike-in", "fraction", "spike-ins that must be detected for the check to pass"
    )
    spike_kinds: int = number(
        10, "spike-in", "count", "kinds of leukaemia that are tried without a diagnosis tube, at most"
    )
    spike_kinds_seed: int = number(332, "spike-in", "", "seed of the phenotypes that are drawn from the prior")
    spike_near_sd: float = number(
        1.5,
        "spike-in",
        "SD over patients",
        "the leukaemia that is tried nearest to normal B cells lies nearer than the average one of its stage by so "
        "much in every marker",
        "the hardest of 116 development leukaemias lies there (python -m benchmarks.accuracy.places --shifts)",
    )
    spike_near_share: float = number(
        0.1, "spike-in", "fraction", "leukaemias in the place of a stage of haematogones that this one stands for"
    )
    spike_kinds_found_share: float = number(
        0.9,
        "spike-in",
        "fraction",
        "kinds that must be found for a negative answer",
        "nine in ten leukaemias",
    )
    spike_step_loss: float = number(
        0.1, "spike-in", "fraction", "a step on the way from the raw file that loses more of the spiked cells is named"
    )
    library_entries_least: int = number(3, "spike-in", "phenotypes", "fewer do not make a library")
