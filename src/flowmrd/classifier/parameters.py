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
        "by hand: a component of few cells must not shrink to a point; no staining is sharper",
    )
    mixture_shape_events: float = number(
        30.0,
        "mixtures",
        "pseudo-events",
        "weight of the average covariance in that of a component",
        "by hand: a component of 30 cells or fewer cannot tell the covariances of ten markers",
    )
    mixture_steps: int = number(
        40,
        "mixtures",
        "EM steps",
        "steps of a fit, where no other number is given",
        "by hand: a limit of time",
    )
    mixture_gain_least: float = number(
        1e-4,
        "mixtures",
        "natural log per cell",
        "a fit ends where a step gains less log likelihood",
        "by hand: a smaller gain changes no score that a cut distinguishes",
    )
    mixture_start_steps: int = number(
        8,
        "mixtures",
        "k-means steps",
        "steps that place the components before a fit",
        "by hand: only a start: EM moves the components on",
    )

    # The hierarchical mixture of the controls.
    components: int = number(
        26,
        "normal model",
        "count",
        "Gaussian components of normal marrow",
        "by hand: a dozen lineages and stages, about two components each, since none is Gaussian",
    )
    training_cells: int = number(
        60_000,
        "normal model",
        "cells",
        "cells of all controls together that are learned from",
        "by hand: cost",
    )
    training_cells_least: int = number(
        1_500,
        "normal model",
        "cells",
        "cells of one control, at least",
        "by hand: a reference of many controls must still see rare populations of each",
    )
    training_cells_most: int = number(
        12_000,
        "normal model",
        "cells",
        "cells of one control, at most",
        "by hand: no control may outweigh the others",
    )
    training_window_share: float = number(
        2 / 3,
        "normal model",
        "fraction",
        "cells of a sample to learn from that come from the B-lineage window",
        "by hand: the window decides, and is a few per cent of a tube",
    )
    start_cells: int = number(
        20_000,
        "normal model",
        "cells",
        "pooled cells that the first mixture is fitted to",
        "by hand: only a start; a third of the training cells",
    )
    start_steps: int = number(
        12,
        "normal model",
        "EM steps",
        "steps of that first fit",
        "by hand: only a start: the fit over tubes goes on from here",
    )
    model_steps: int = number(
        14,
        "normal model",
        "EM steps",
        "steps of the fit over tubes",
        "by hand: a limit of time",
    )
    population_sd_least: float = number(
        0.06,
        "normal model",
        "decades",
        "smallest standard deviation of a population",
        "by hand: no population is sharper than the noise of a detector",
    )
    population_shape_events: float = number(
        40.0,
        "normal model",
        "pseudo-events",
        "weight of the average covariance in that of a population",
        "by hand: as mixture_shape_events, with more cells at hand",
    )
    between_tube_sd_start: float = number(
        0.3,
        "normal model",
        "decades",
        "spread between tubes assumed at the start",
        "by hand: wide on purpose: the tubes narrow it",
    )
    between_tube_sd_least: float = number(
        0.08,
        "normal model",
        "decades",
        "a population moves at least this much between tubes beside their staining",
        "by hand: two tubes of one laboratory never agree better, and few controls may by chance",
    )
    between_tube_sd_few: float = number(
        0.15,
        "normal model",
        "decades",
        "spread between tubes that the pseudo-tubes below stand for",
        "by hand: between the least spread and the one assumed at the start",
    )
    between_tube_pseudo_tubes: float = number(
        2.0,
        "normal model",
        "tubes",
        "pseudo-tubes that keep the spread sensible with few controls",
        "by hand: two controls, the fewest that tell a spread, are believed as much",
    )
    half_trusted_events: float = number(
        20.0,
        "normal model",
        "events",
        "events of a population at which half of its place in a tube is believed",
        "by hand: the mean of 20 cells is a fifth of a standard deviation uncertain",
    )
    in_window_share: float = number(
        0.5,
        "normal model",
        "fraction",
        "a component with more of its cells in the B-lineage window belongs to it",
        "by hand: the majority of its cells",
    )
    sample_cells: int = number(
        3_000,
        "normal model",
        "cells",
        "cells of a tube that tell a share or a density well enough: of normal populations in the window and outside "
        "it, and of doublets",
        "by hand: a share of one half is told to 1 %",
    )
    place_cells_least: int = number(
        100,
        "normal model",
        "cells",
        "fewer cells do not tell where a population lies (normal B cells, doublets, the populations that others are "
        "placed by), nor lend their pulse shape to spiked cells",
        "by hand: the mean of 100 cells is a tenth of a standard deviation uncertain",
    )
    reference_folds: int = number(
        5,
        "normal model",
        "count",
        "folds of controls, at most",
        "by hand: cost: a reference is fitted for each",
    )
    stage_events: int = number(
        30,
        "normal model",
        "events",
        "fewer cells of a named population than this in a control do not place it",
        "by hand: the mean of 30 cells is less than a fifth of a standard deviation uncertain",
    )

    # The normal components in one tube.
    tail_degrees: float = number(
        12.0,
        "fit to one tube",
        "degrees of freedom",
        "t tails of normal cells when scores are computed",
        "by hand: heavier than Gaussian, light enough that a cell five standard deviations off is odd",
    )
    outlier_share: float = number(
        0.01,
        "fit to one tube",
        "fraction",
        "share of the broad outlier component at the start of a fit",
        "by hand: only a start: the fit changes it",
    )
    outlier_sd: float = number(
        1.2,
        "fit to one tube",
        "decades",
        "its standard deviation: wider than any population",
        "by hand: a population spreads by 0.2 to 0.4 decades",
    )
    staining_sd: float = number(
        0.6,
        "fit to one tube",
        "decades",
        "expected size of a tube's common shift; weak, since the cells tell it well",
        "measured marrows of one laboratory shift by 0.1 to 0.5 (nucleic acid dye)",
    )
    staining_events: float = number(
        50.0,
        "fit to one tube",
        "events",
        "a component with fewer cells does not tell the staining",
        "by hand: the mean of 50 cells is a seventh of a standard deviation uncertain",
    )
    staining_cells: int = number(
        6_000,
        "fit to one tube",
        "cells",
        "cells that tell the staining of a tube",
        "by hand: cost; ten components need no more",
    )
    staining_cells_least: int = number(
        300,
        "fit to one tube",
        "cells",
        "fewer cells outside the window do not tell the staining",
        "by hand: ten components of 30 cells",
    )
    staining_components: int = number(
        10,
        "fit to one tube",
        "count",
        "components of the tube that others are laid upon",
        "by hand: lineages outside the B-lineage window, some of two components",
    )
    tube_mixture_steps: int = number(
        15,
        "fit to one tube",
        "EM steps",
        "steps of a mixture fitted to cells of that tube, or to its doublets",
        "by hand: a limit of time; the start is by k-means",
    )
    staining_blur: tuple[float, ...] = number(
        (0.6, 0.45, 0.3, 0.2, 0.1, 0.05, 0.0, 0.0),
        "fit to one tube",
        "decades",
        "standard deviations by which the reference is broadened while it is laid on a tube",
        "by hand: from wider than usual shifts down to none, so that no neighbour catches the fit",
    )
    staining_between_sd: float = number(
        0.2,
        "fit to one tube",
        "decades",
        "spread of populations between tubes while the staining is looked for",
        "by hand: populations differ a little beside the common shift",
    )
    tube_cells: int = number(
        30_000,
        "fit to one tube",
        "cells",
        "cells that a tube's model is fitted to",
        "by hand: cost; rare populations keep their reference's shape",
    )
    tube_steps: int = number(
        12,
        "fit to one tube",
        "EM steps",
        "steps of that fit",
        "by hand: a limit of time: the fit starts near its end",
    )
    tube_shape_events: float = number(
        600.0,
        "fit to one tube",
        "pseudo-events",
        "weight of the reference's covariance in that of a tube",
        "by hand: shapes are learned from controls; only a population of many cells may differ",
    )
    furthest_place: float = number(
        4.0,
        "fit to one tube",
        "between-tube SD",
        "a population of a tube lies at most this far from its place in any one marker",
        "by hand: one ordinary population in 16,000 lies further in one marker",
    )
    place_quantile: float = number(
        0.9999,
        "fit to one tube",
        "fraction",
        "normal populations whose place, by all markers together, is no further away than what is believed",
        "by hand: one population in 10,000: a few hundred tubes show none by chance",
    )
    widest_population: float = number(
        1.2,
        "fit to one tube",
        "ratio",
        "a population of a tube spreads at most this many times as widely as in controls",
        "by hand: a fifth wider is ordinary; a population that covers leukaemia beside it is wider",
    )
    rare_share_start: float = number(
        1e-4,
        "fit to one tube",
        "fraction",
        "starting share of doublets, and of leukaemia of unknown phenotype",
        "by hand: the level that is looked for",
    )
    component_share_least: float = number(
        1e-7,
        "fit to one tube",
        "fraction",
        "smallest share of doublets, masked cells and leukaemia during a fit",
        "by hand: a share of zero could not grow again; 1e-7 is less than a cell in most tubes",
    )

    doublet_components: int = number(
        8,
        "doublets",
        "count",
        "components of the doublets' density",
        "by hand: each kind of precursor with each frequent partner",
    )
    doublet_sd_least: float = number(
        0.08,
        "doublets",
        "decades",
        "smallest standard deviation of these",
        "by hand: two stainings are added, each of at least 0.05 decades",
    )
    doublet_seed: int = number(
        20,
        "doublets",
        "",
        "seed that pairs the cells",
        "by hand: any seed",
    )
    doublet_share_most: float = number(
        0.02,
        "doublets",
        "fraction",
        "largest share of these",
        "by hand: assumed share that passes the singlet gate; a leukaemia must not become doublets",
    )

    masked_share: float = number(
        1e-3,
        "markers masked by a drug",
        "fraction",
        "starting share of normal cells whose markers a drug has masked",
        "by hand: only a start: the fit changes it",
    )
    masked_marker_sd: float = number(
        0.8,
        "markers masked by a drug",
        "decades",
        "spread of a marker that a drug may have masked on normal cells",
        "by hand: assumed: from lost to normal is about a decade and a half",
    )
    staining_span_least: float = number(
        1.0,
        "staining control",
        "decades",
        "the brightest cells of a marker are taken to lie this far above the lowest",
        "by hand: a marker that no normal cell has gives no scale of its own",
    )
    negative_quantile: float = number(
        0.1,
        "markers masked by a drug",
        "fraction",
        "quantile of the normal components at which a marker counts as absent",
        "by hand: most markers are absent on more than a tenth of the populations",
    )

    odd_marker_share: float = number(
        0.3,
        "prior of blasts",
        "fraction",
        "leukaemias that are odd in one marker: a Gaussian over patients alone would take them for impossible",
        "by hand: assumed: an unusual marker is common in B-ALL and not the rule",
    )
    odd_marker_width: float = number(
        3.0,
        "prior of blasts",
        "ratio",
        "such a leukaemia lies this many times as widely in that marker",
        "by hand: assumed: wide enough to reach from present to absent",
    )
    blast_tail_degrees: float = number(
        20.0,
        "prior of blasts",
        "degrees of freedom",
        "t tails of blasts: cells a little outside still belong to them",
        "by hand: between normal cells (12) and a Gaussian: a place, not a rule",
    )

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

    staining_control_outside: int = number(
        40_000,
        "staining control",
        "cells",
        "cells outside the window that are looked at, at most",
        "by hand: cost; a share of 5 % is told to 0.1 %",
    )
    staining_control_inside: int = number(
        20_000,
        "staining control",
        "cells",
        "cells of the window that are looked at, at most; rare carriers are here",
        "by hand: cost; rare carriers are a few per cent of these",
    )
    carrier_gap: float = number(
        0.8,
        "staining control",
        "decades",
        "a population carries a marker from this far above the lowest populations on",
        "by hand: four times the usual spread of a population",
    )
    without_gap: float = number(
        0.35,
        "staining control",
        "decades",
        "a population this near to the lowest ones does not carry the marker",
        "by hand: within two spreads of the lowest populations",
    )
    without_level: float = number(
        1.3,
        "staining control",
        "decades",
        "level of cells without a marker where every population carries it",
        "by hand: assumed top of autofluorescence on the logicle scale",
    )
    without_share_least: float = number(
        0.05,
        "staining control",
        "fraction",
        "cells without a marker must be this share of those looked at: of few, most are cells assigned wrongly",
        "by hand: assumed error of assigning cells to populations",
    )
    other_markers_sd: float = number(
        0.15,
        "staining control",
        "decades",
        "the other markers may be stained this much otherwise than in the controls",
        "by hand: as the usual spread of staining",
    )
    carrier_probability: float = number(
        0.9,
        "staining control",
        "probability",
        "from this probability of its populations a cell is called a carrier",
        "by hand: assumed: one in ten may be something else",
    )
    stained_at: float = number(
        0.5,
        "staining control",
        "ratio",
        "a carrier is stained from this part of the way to its expected level on",
        "by hand: half way between absent and expected",
    )
    bright_at: float = number(
        0.6,
        "staining control",
        "ratio",
        "a cell is bright from this part of the way to the brightest population on",
        "by hand: above half way, so that dim cells do not count",
    )
    upper_quantile: float = number(
        0.85,
        "staining control",
        "fraction",
        "quantile of the carriers that dim and young cells among them do not move",
        "by hand: above the dim and young cells, below the noise of the highest",
    )
    carriers_placed: int = number(
        10,
        "staining control",
        "cells",
        "fewer carriers have no place",
        "by hand: a median of ten cells is the fewest that means something",
    )
    carriers_least: int = number(
        25,
        "staining control",
        "cells",
        "fewer carriers prove nothing",
        "by hand: where none of 25 is stained, about 11 % at most are (95 %)",
    )
    bright_least: int = number(
        20,
        "staining control",
        "cells",
        "so many bright cells show that an antibody works, whatever they are",
        "by hand: as many as a detection",
    )
    carriers_stained_least: float = number(
        0.6,
        "staining control",
        "fraction",
        "carriers of which a control stains less prove nothing",
        "by hand: the marker must be the rule among carriers",
    )
    absent_stained: float = number(
        0.15,
        "staining control",
        "ratio",
        "an antibody is absent where its carriers are stained in less than this part of what the controls show (95 %)",
        "forgotten antibodies of simulated tubes stain 0.000 of their carriers, sound ones 0.76 and more",
    )
    absent_bright: float = number(
        0.05,
        "staining control",
        "ratio",
        "and bright cells are rarer than this part of what any control has",
        "by hand: a few bright events are debris and aggregates",
    )
    carrier_shift_sd: float = number(
        0.15,
        "staining control",
        "decades",
        "spread of the carriers' place between ordinary tubes",
        "by hand: assumed; the laboratory's own controls replace it",
    )
    without_shift_sd: float = number(
        0.09,
        "staining control",
        "decades",
        "spread of the place of cells without the marker between ordinary tubes",
        "by hand: assumed smaller than that of carriers; own controls replace it",
    )
    staining_pseudo_tubes: float = number(
        4.0,
        "staining control",
        "tubes",
        "tubes that these two spreads are worth beside the controls",
        "by hand: four controls are believed as much",
    )
    staining_tail: float = number(
        0.001,
        "staining control",
        "fraction",
        "ordinary tubes beyond a limit, on either side",
        "by hand: one marker in five hundred is called shifted by chance",
    )
    staining_shift_least: float = number(
        0.3,
        "staining control",
        "decades",
        "smaller shifts of one marker are no fault",
        "by hand: a factor of two, by which lots differ",
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
        "by hand: assumed: one antibody in five may lack cells that prove it",
    )

    blast_markers_missing: int = number(
        2,
        "staining control",
        "markers",
        "a tube that lacks so many of CD19, CD10, CD20, CD34, CD22 and CD24 can be trusted in neither direction",
        "by hand: one missing marker is made good by the others",
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

    laip_cells: int = number(
        30_000,
        "diagnosis",
        "cells",
        "cells of the window that a phenotype is learned from",
        "by hand: cost; three components need no more",
    )
    laip_stored_cells: int = number(
        2_000,
        "diagnosis",
        "cells",
        "cells that are kept for the spike-in",
        "by hand: a spike-in at 1e-4 of a million draws 100",
    )
    laip_cells_per_number: int = number(
        3,
        "diagnosis",
        "cells per component and marker",
        "fewer cells are not divided into so many components",
        "by hand: three cells for every number of a covariance",
    )
    laip_components: int = number(
        3,
        "diagnosis",
        "count",
        "components of a phenotype, at most",
        "by hand: subclones of one leukaemia that differ in a marker",
    )
    laip_rounds: int = number(
        2,
        "diagnosis",
        "count",
        "times that phenotype and normal cells are refined in turn",
        "by hand: once to find it, once to correct it",
    )
    laip_steps: int = number(
        15,
        "diagnosis",
        "EM steps",
        "steps of every refinement",
        "by hand: a limit of time",
    )
    laip_start_steps: int = number(
        30,
        "diagnosis",
        "EM steps",
        "steps of the first fit to aberrant cells",
        "by hand: a limit of time; the start is by k-means",
    )
    laip_sd_start: float = number(
        0.05,
        "diagnosis",
        "decades",
        "smallest standard deviation in that first fit",
        "by hand: as mixture_sd_least",
    )
    laip_sd_least: float = number(
        0.04,
        "diagnosis",
        "decades",
        "smallest standard deviation of a component",
        "by hand: assumed: a leukaemia may be more uniform than normal populations",
    )
    laip_shape_events: float = number(
        20.0,
        "diagnosis",
        "pseudo-events",
        "weight of the average covariance in that of a component",
        "by hand: as mixture_shape_events, with cells of one kind",
    )
    laip_share_most: float = number(
        0.9,
        "diagnosis",
        "fraction",
        "largest leukaemic share that a fit starts from",
        "by hand: some cells must be left to be normal",
    )
    laip_share_limit: float = number(
        0.98,
        "diagnosis",
        "fraction",
        "largest leukaemic share during a refinement",
        "by hand: normal cells keep a share, or none could take a cell back",
    )
    laip_cell_log_odds: float = number(
        2.0,
        "diagnosis",
        "natural log",
        "a cell of the diagnosis tube is leukaemic from these log odds on",
        "by hand: seven to one",
    )
    aberrant_at_start: float = number(
        0.5,
        "diagnosis",
        "fraction",
        "cells of a component that must have been aberrant before it was refined; else it is the tube's own B cells",
        "by hand: the majority",
    )
    laip_component_share_least: float = number(
        0.02,
        "diagnosis",
        "fraction",
        "a component with a smaller share of the phenotype is dropped",
        "by hand: assumed error of assigning cells to components",
    )
    indistinct_per_million: float = number(
        300.0,
        "diagnosis",
        "cells per million",
        "a component that claims more of the median control is normal",
        "by hand: three times the level that is looked for",
    )
    indistinct_score: float = number(
        8.0,
        "diagnosis",
        "natural log",
        "score from which it claims a cell",
        "by hand: well above every cut that is chosen",
    )
    indistinct_steps: int = number(
        5,
        "diagnosis",
        "EM steps",
        "steps of the fit to a control",
        "by hand: a limit of time: only the place is adapted",
    )
    abundance_groups: int = number(
        6,
        "diagnosis",
        "count",
        "groups into which the window is divided for its abundances",
        "by hand: assumed stages of B cells, and one or two of leukaemia",
    )
    abundance_cells: int = number(
        8_000,
        "diagnosis",
        "cells",
        "cells that these groups are fitted to",
        "by hand: cost; six components need no more",
    )
    abundance_steps: int = number(
        25,
        "diagnosis",
        "EM steps",
        "steps of that fit",
        "by hand: a limit of time",
    )
    abundance_sd_least: float = number(
        0.05,
        "diagnosis",
        "decades",
        "smallest standard deviation of these groups",
        "by hand: as mixture_sd_least",
    )
    abundance_cells_least: int = number(
        20,
        "diagnosis",
        "cells per marker",
        "fewer cells in the window are not divided",
        "by hand: as many as a detection",
    )
    abundance_share_least: float = number(
        0.02,
        "diagnosis",
        "fraction",
        "a group below this share of the nucleated cells is not judged by its abundance",
        "by hand: smaller groups are found by their phenotype",
    )
    abundance_ratio: float = number(
        10.0,
        "diagnosis",
        "ratio",
        "a group counts from this many times the largest share of a control in its place",
        "by hand: numbers of haematogones vary several-fold between marrows",
    )
    abundance_place_sd: float = number(
        0.15,
        "diagnosis",
        "decades",
        "distance of one place in two tubes after their common shift",
        "by hand: as the usual spread of staining",
    )
    abundance_mature_distance: float = number(
        2.5,
        "diagnosis",
        "Mahalanobis distance",
        "groups this near to mature B cells are those: their number varies a hundredfold between marrows",
        "by hand: 95 of 100 cells of a population lie nearer, by two markers",
    )

    marker_shift_least: float = number(
        0.3,
        "diagnosis",
        "decades",
        "smaller shifts are not called over- or under-expression",
        "by hand: a factor of two",
    )

    drift_sd: float = number(
        0.22,
        "phenotype match",
        "decades",
        "expected drift of a marker between two tubes of one patient",
        "group means of normal B cells differ by 0.1 to 0.3 between two tubes of one person (128 persons)",
    )
    drift_unreliable: float = number(
        2.0,
        "phenotype match",
        "ratio",
        "times the drift for markers that the therapy given may take away",
        "by hand: the therapy acts on this marker",
    )
    drift_shifted: float = number(
        1.5,
        "phenotype match",
        "ratio",
        "times the drift for markers that steroids move",
        "by hand: steroids move it, less than a targeted therapy",
    )
    match_reach: float = number(
        -4.0,
        "phenotype match",
        "natural log",
        "cells below this under the broadened phenotype are not looked at again",
        "by hand: a cell there could gain nothing",
    )
    match_start_share: float = number(
        1e-4,
        "phenotype match",
        "fraction",
        "share at the start of a fit, at least",
        "by hand: the level that is looked for",
    )
    match_start_events: float = number(
        20.0,
        "phenotype match",
        "events",
        "events at the start of a fit, at least",
        "by hand: as many as a detection",
    )
    match_share_most: float = number(
        0.95,
        "phenotype match",
        "fraction",
        "largest share of a fit",
        "by hand: some cells must be left to be normal",
    )
    match_steps: int = number(
        15,
        "phenotype match",
        "EM steps",
        "steps of a fit, at most",
        "by hand: a limit of time",
    )
    match_shift_tolerance: float = number(
        0.002,
        "phenotype match",
        "decades",
        "a fit has converged when its shift changes by less",
        "by hand: far below the noise of a detector",
    )
    match_share_tolerance: float = number(
        0.01,
        "phenotype match",
        "ratio",
        "a fit has converged when its share changes by less",
        "by hand: far below the Poisson error of a count",
    )
    match_cells: int = number(
        100_000,
        "phenotype match",
        "cells",
        "cells within reach that a fit uses, evenly thinned: a diagnosis tube may hold millions",
        "by hand: cost; a share is told to a few per mille",
    )
    match_all_below: int = number(
        10_000,
        "phenotype match",
        "cells",
        "a fit to thinned cells that explains fewer is made again with all: none of a rare group is left out",
        "by hand: a tenth of match_cells",
    )
    residual_drift_sd: float = number(
        0.04,
        "phenotype match",
        "decades",
        "further scatter of cells whose shift is known, against the diagnosis",
        "by hand: assumed",
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
        "by hand: a likelihood ratio of 160,000",
    )
    match_gain_per_event: float = number(
        1.0,
        "phenotype match",
        "natural log",
        "gain per event from which they form a group",
        "by hand: each cell almost three times likelier than as a normal one",
    )
    match_strain_quantile: float = number(
        0.99,
        "phenotype match",
        "fraction",
        "drifts between two tubes of one patient that stay below; cells that match only beyond it must each be as "
        "unlike normal cells as those of a group of unknown phenotype (gain_per_event_counted)",
        "by hand: one drift in a hundred lies beyond",
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
        "by hand: seven times likelier under that fit",
    )

    group_reach: float = number(
        -3.0,
        "compact groups",
        "natural log",
        "cells below this score under the prior of blasts are not looked at",
        "by hand: a cell there could gain nothing",
    )
    groups_most: int = number(
        3,
        "compact groups",
        "count",
        "groups that are looked for in a tube",
        "by hand: cost: each is searched for",
    )
    group_events_least: float = number(
        8.0,
        "compact groups",
        "events",
        "smallest group",
        "by hand: covariances of less are those of the typical leukaemia alone",
    )
    group_start_events: float = number(
        20.0,
        "compact groups",
        "events",
        "size of a group at the start of its growth",
        "by hand: as many as a detection",
    )
    seed_cells: int = number(
        3_000,
        "compact groups",
        "cells",
        "cells among which seeds are looked for; the cost is their square",
        "by hand: their distances are nine million",
    )
    seed_worth_least: float = number(
        0.01,
        "compact groups",
        "natural log",
        "a cell that would gain less in a group is no seed",
        "by hand: such a cell is normal",
    )
    seed_cells_least: int = number(
        5,
        "compact groups",
        "cells",
        "fewer such cells give no seed",
        "by hand: fewer have no neighbourhood",
    )
    seeds: int = number(
        5,
        "compact groups",
        "count",
        "seeds that a group is grown from; the best one is kept",
        "by hand: cost: each is grown",
    )
    seeds_odd: int = number(
        2,
        "compact groups",
        "count",
        "further seeds, by how unlike normal cells are wherever leukaemias usually lie: one may be odd in a marker",
        "by hand: cost",
    )
    seed_distance: float = number(
        9.0,
        "compact groups",
        "squared typical SD",
        "two seeds are at least this far apart",
        "by hand: three standard deviations",
    )
    group_neighbourhood: float = number(
        150.0,
        "compact groups",
        "squared typical SD",
        "cells this near are looked at while a group grows",
        "by hand: ten markers, each almost four standard deviations off",
    )
    group_steps: int = number(
        25,
        "compact groups",
        "EM steps",
        "steps of growth, at most",
        "by hand: a limit of time",
    )
    group_shift_tolerance: float = number(
        0.003,
        "compact groups",
        "decades",
        "growth has ended when the centre moves by less",
        "by hand: far below the noise of a detector",
    )
    group_share_tolerance: float = number(
        0.01,
        "compact groups",
        "ratio",
        "growth has ended when the share changes by less",
        "by hand: far below the Poisson error of a count",
    )
    group_shape_events: float = number(
        25.0,
        "compact groups",
        "pseudo-events",
        "weight of a typical leukaemia's covariance in that of a group",
        "by hand: a group of 25 cells is half its own",
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
        "by hand: each cell seven times likelier than as a normal one",
    )
    gain_per_event_atypical: float = number(
        1.2,
        "compact groups",
        "natural log",
        "gain per event from which a group forbids a negative answer",
        "by hand: each cell three times likelier than as a normal one",
    )

    place_share: float = number(
        0.9,
        "comparison with controls",
        "fraction",
        "cells of a group that lie in what counts as its place",
        "by hand: most of its cells, without its tails",
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
        "by hand: beyond what a search over all places gains by chance",
    )
    offscale_channels_least: int = number(
        4,
        "off-scale cells",
        "channels",
        "fewest measured channels by which an off-scale cell is judged",
        "by hand: three channels do not tell lineages apart",
    )
    excluded_place_share: float = number(
        0.95,
        "off-scale cells",
        "share",
        "of a phenotype's cells within whose place excluded events are looked for",
        "by hand: nearly all, without the tails",
    )
    offscale_measured_share: float = number(
        0.9,
        "off-scale cells",
        "share",
        "of a group's cells that a channel must be measured in to be used",
        "by hand: a channel that lacks a tenth of the cells would bend the place",
    )
    carry_over_start: float = number(
        0.05,
        "carry-over",
        "fraction",
        "of the run in which cells of the tube before may come",
        "by hand: assumed: what remains of the tube before is rinsed out early",
    )
    carry_over_share: float = number(
        0.8,
        "carry-over",
        "fraction",
        "of a group's cells that must come there to be carry-over; even cells give 0.05",
        "by hand: sixteen times what even cells give",
    )
    carry_over_least: int = number(
        8,
        "carry-over",
        "cells",
        "fewest cells there; so many of ten by chance have p < 1e-8",
        "by hand: as group_events_least",
    )
    carry_over_late: int = number(
        10,
        "carry-over",
        "cells",
        "most cells of such a group in the rest of the run: half of a detection",
        "by hand: leukaemia of the tube itself must not hide behind it",
    )
    group_sd_unknown: float = number(
        0.2,
        "comparison with controls",
        "decades",
        "spread of a group of which only medians are recorded, where earlier decisions are compared with it",
        "by hand: the usual spread of a population",
    )
    same_place: float = number(
        3.0,
        "comparison with controls",
        "Mahalanobis distance",
        "centres nearer than this, by the mean of both covariances, are one population",
        "by hand: three standard deviations",
    )
    like_normal_distance: float = number(
        2.5,
        "comparison with controls",
        "Mahalanobis distance",
        "a group nearer than this to a normal B-lineage population may be a regenerating one",
        "real blasts lie 6.1 (5th percentile 3.2) from the nearest population of their own marrow (332 patients)",
    )
    positive_quantile: float = number(
        0.95,
        "comparison with controls",
        "fraction",
        "quantile of the normal components at which a marker is bright",
        "by hand: the brightest population, without its extremes",
    )
    positive_least: float = number(
        0.5,
        "comparison with controls",
        "decades",
        "a marker is positive from this far above its negative level",
        "by hand: a factor of three",
    )
    covered_share: float = number(
        0.5,
        "comparison with controls",
        "fraction",
        "a group in the same place with this share of another's cells is the same group",
        "by hand: the majority of its cells",
    )

    false_groups_counted: float = number(
        0.01,
        "error rate of a group",
        "groups per tube",
        "a group counts where fewer false groups as odd are expected in marrow without leukaemia",
        "issue: at most one clean tube in a hundred falsely called",
    )
    dye_most: float = number(
        1.3,
        "error rate of a group",
        "decades",
        "a group brighter in a nucleic acid dye than normal B cells by more is a question: no cell holds that much "
        "nucleic acid, cell aggregates do",
        "by hand: cell aggregates of one tube had 1.5; blasts of one person in another's marrow up to 1.2, because the "
        "dye of two tubes differs; 332 leukaemias in their own tube 0.16 with a standard deviation of 0.18",
    )
    end_of_scale: float = number(
        0.1,
        "error rate of a group",
        "decades",
        "a group within so much of the top of a marker's scale, or so far below its zero, is a question: its cells are "
        "too bright for a detector",
        "by hand: such groups of a clean tube lay within 0.01 of the top in CD20, and 2.4 below zero in CD10",
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
        "by hand: a tube of usual size",
    )
    false_gain_least: float = number(
        20.0,
        "error rate of a group",
        "natural log",
        "the excess of gains over this one has a tail that is modelled; smaller groups are chance",
        "by hand: a likelihood ratio that chance gives in every tube",
    )
    prior_tubes: float = number(
        30.0,
        "error rate of a group",
        "tubes",
        "tubes that the development marrows count as beside a laboratory's own controls",
        "by hand: fewer than the 49 development tubes: they are of other laboratories",
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
        "by hand: a population of two of ten controls is believed by half",
    )

    controls_judged_from: int = number(
        4,
        "judgement of controls",
        "tubes",
        "with fewer controls none is judged: nobody can say which of them is odd",
        "by hand: three others, the fewest that outvote one",
    )
    false_groups_odd: float = number(
        0.02,
        "judgement of controls",
        "groups per tube",
        "a control is odd from this error rate of a group on: twice that of a group that counts, so that no group of a "
        "control that stays counts as background in another tube",
        "by hand: twice false_groups_counted",
    )
    odd_controls_most: float = number(
        0.34,
        "judgement of controls",
        "fraction",
        "at most this part of the controls is left out as odd; where more are odd they stay and are named",
        "by hand: a third: the rest must be the majority by far",
    )
    lost_cells_ratio: float = number(
        0.7,
        "judgement of controls",
        "ratio",
        "a control is odd where the nucleated share of its events is below this part of the lowest of the others",
        "by hand: below the range of the others by almost a third",
    )

    cut_least: float = number(
        4.0,
        "cut",
        "natural log",
        "lowest cut: 1.8 % of normal cells at most, where the normal model is right",
        "by hand: a likelihood ratio of 55",
    )
    cut_most: float = number(
        12.0,
        "cut",
        "natural log",
        "highest cut: six normal cells per million",
        "by hand: six per million is near the default of background_per_million",
    )
    cut_step: float = number(
        0.25,
        "cut",
        "natural log",
        "step at which cuts are tried",
        "by hand: a likelihood ratio of 1.3",
    )
    cut_without_controls: float = number(
        4.0,
        "cut",
        "natural log",
        "where no control can set the cut it lies this far above the lowest one",
        "by hand: twice the lowest cut: nobody has seen what it costs",
    )
    cut_background_share: float = number(
        0.4,
        "cut",
        "ratio",
        "part of the allowed background that controls may hold on average",
        "by hand: leaves room for the error of a mean of few controls",
    )
    cut_worst_ratio: float = number(
        3.0,
        "cut",
        "ratio",
        "times the allowed background that the worst control may hold",
        "by hand: Poisson counts of a few cells differ as much",
    )
    cut_set_aside_from: int = number(
        5,
        "cut",
        "tubes",
        "from this number of controls on the worst is set aside for the cut (never for the background): one "
        "regenerating marrow must not take the sensitivity of all others",
        "by hand: four others remain",
    )
    group_cut: float = number(
        5.0,
        "cut",
        "natural log",
        "cut inside a compact group, which as a whole has been judged already",
        "by hand: a likelihood ratio of 150",
    )
    background_alone: float = number(
        0.001,
        "cut",
        "probability",
        "a control stands alone with its background where the others together make as many cells less likely than this",
        "by hand: divided by the number of controls: one laboratory in a thousand by chance",
    )
    cut_leukaemia_lost: float = number(
        0.01,
        "cut",
        "fraction",
        "part of a leukaemia that the cut may leave out although controls would allow a lower one",
        "python -m benchmarks.accuracy.recall: false events beside leukaemia far from normal cells",
    )
    cut_draws: int = number(
        2_000, "cut", "cells", "cells drawn from a phenotype that tell this part", "by hand: twenty cells lie below"
    )
    high_background_ratio: float = number(
        4.0,
        "cut",
        "ratio",
        "times the allowed background from which HIGH_BACKGROUND is raised",
        "by hand: above cut_worst_ratio: no cut keeps the background",
    )

    burden_share: float = number(
        0.01,
        "heavy burden",
        "fraction",
        "share from which leukaemia is looked for before the normal model is fitted, which it would pull",
        "by hand: from here on the normal model is pulled",
    )
    burden_cells: int = number(
        10_000,
        "heavy burden",
        "cells",
        "cells of the window that tell whether it is that much",
        "by hand: a share of 1 % is told to 0.1 %",
    )
    burden_events_least: int = number(
        200,
        "heavy burden",
        "events",
        "smallest such leukaemia",
        "by hand: enough for a phenotype of its own",
    )
    burden_confirmed: float = number(
        0.5,
        "heavy burden",
        "fraction",
        "part of that share that must be found as a phenotype",
        "by hand: the majority",
    )
    heavy_share: float = number(
        0.02,
        "heavy burden",
        "fraction",
        "share from which the cut follows the burden",
        "by hand: twice burden_share: the background no longer decides",
    )
    heavy_cut: float = number(
        2.0,
        "heavy burden",
        "natural log",
        "cut for a burden found in the tube itself",
        "by hand: seven times likelier than normal",
    )
    heavy_cut_least: float = number(
        0.0,
        "heavy burden",
        "natural log",
        "lowest cut then, with a known phenotype",
        "by hand: likelier than normal",
    )

    spike_drift_sd: float = number(
        0.15,
        "spike-in",
        "decades per marker",
        "drift of spiked cells against their source",
        "by hand: as the usual spread of staining",
    )
    spike_detected_share: float = number(
        0.8,
        "spike-in",
        "fraction",
        "spike-ins that must be detected for the check to pass",
        "by hand: four of the five replicates",
    )
    spike_kinds: int = number(
        10,
        "spike-in",
        "count",
        "kinds of leukaemia that are tried without a diagnosis tube, at most",
        "by hand: cost: each is searched for",
    )
    spike_kinds_seed: int = number(
        332,
        "spike-in",
        "",
        "seed of the phenotypes that are drawn from the prior",
        "by hand: any seed; the number of patients behind the prior",
    )
    spike_near_sd: float = number(
        1.5,
        "spike-in",
        "SD over patients",
        "the leukaemia that is tried nearest to normal B cells lies nearer than the average one of its stage by so "
        "much in every marker",
        "the hardest of 116 development leukaemias lies there (python -m benchmarks.accuracy.places --shifts)",
    )
    spike_near_share: float = number(
        0.1,
        "spike-in",
        "fraction",
        "leukaemias in the place of a stage of haematogones that this one stands for",
        "by hand: assumed",
    )
    spike_kinds_found_share: float = number(
        0.9,
        "spike-in",
        "fraction",
        "kinds that must be found for a negative answer",
        "nine in ten leukaemias",
    )
    spike_step_loss: float = number(
        0.1,
        "spike-in",
        "fraction",
        "a step on the way from the raw file that loses more of the spiked cells is named",
        "by hand: the Poisson error of a hundred spiked cells",
    )
    library_entries_least: int = number(
        3,
        "spike-in",
        "phenotypes",
        "fewer do not make a library",
        "by hand: one or two patients are no library",
    )
