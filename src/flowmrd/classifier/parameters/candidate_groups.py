"""Candidate groups: how compact, how many cells controls hold in their place."""

from __future__ import annotations

from dataclasses import dataclass

from flowmrd.classifier.parameters.number import number

__all__ = ["CandidateGroupNumbers"]


@dataclass(frozen=True)
class CandidateGroupNumbers:
    """Candidate groups: how compact, how many cells controls hold in their place."""

    group_reach: float = number(
        -3.0,
        "compact groups",
        "natural log",
        "cells with a lower score under the prior of blasts are not searched",
        "by hand: a cell there could gain nothing",
    )
    groups_most: int = number(
        3,
        "compact groups",
        "count",
        "largest number of groups that are searched for in a tube",
        "by hand: cost: each is searched for",
    )
    group_events_least: float = number(
        8.0,
        "compact groups",
        "events",
        "smallest number of events in a group",
        "by hand: covariances of less are those of the typical leukaemia alone",
    )
    start_events: float = number(
        20.0,
        "compact groups",
        "events",
        "number of events of a group at the start of its growth, and of a known phenotype at the start of its fit",
        "by hand: as many as a detection",
    )
    seed_cells: int = number(
        3_000,
        "compact groups",
        "cells",
        "number of cells among which seeds are searched for; the cost is its square",
        "by hand: their distances are nine million",
    )
    seed_worth_least: float = number(
        0.01,
        "compact groups",
        "natural log",
        "smallest gain that a seed would have as part of a group",
        "by hand: such a cell is normal",
    )
    seed_cells_least: int = number(
        5,
        "compact groups",
        "cells",
        "smallest number of cells with that gain; with fewer there is no seed",
        "by hand: fewer have no neighbourhood",
    )
    seeds: int = number(
        5,
        "compact groups",
        "count",
        "number of seeds from which a group is grown; the best result is kept",
        "by hand: cost: each is grown",
    )
    seeds_odd: int = number(
        2,
        "compact groups",
        "count",
        "number of further seeds, among cells unlike normal ones wherever leukaemias usually lie, since one may be "
        "aberrant in a marker",
        "by hand: cost",
    )
    seed_distance: float = number(
        9.0,
        "compact groups",
        "squared typical SD",
        "smallest distance between two seeds",
        "by hand: three standard deviations",
    )
    group_neighbourhood: float = number(
        150.0,
        "compact groups",
        "squared typical SD",
        "largest distance of the cells that take part in the growth of a group",
        "by hand: ten markers, each almost four standard deviations off",
    )
    group_margin: float = number(
        1.0,
        "compact groups",
        "natural log",
        "by how much a group must explain a cell better than normal cells do, so that the cell belongs to it",
        "python -m benchmarks.accuracy.levels: at 0 groups take in the rim of normal cells, at 2 rims are counted",
    )
    group_steps: int = number(
        25,
        "compact groups",
        "EM steps",
        "largest number of steps of growth",
        "by hand: a limit of time",
    )
    group_shift_tolerance: float = number(
        0.003,
        "compact groups",
        "decades",
        "growth ends when the centre moves by less",
        "by hand: far below the noise of a detector",
    )
    share_tolerance: float = number(
        0.01,
        "compact groups",
        "ratio",
        "growth of a group, or the fit of a phenotype, ends when the share changes by less",
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
        "smallest gain per event of a group that counts: the cells of a leukaemia are each clearly unlike normal "
        "ones, while a normal population that the model describes badly is large and gains little per cell",
        "by hand: each cell seven times likelier than as a normal one",
    )
    gain_per_event_clear: float = number(
        3.0,
        "compact groups",
        "natural log",
        "smallest gain per event of a group that counts without a diagnosis tube; with less it is a question",
        "python -m benchmarks.accuracy.groups: the leukaemias that count gain 3.1 or more (seed 4201, 30 pairs), and "
        "95 % of the groups of clean tubes 3.4 or less (seeds 4101 and 4102)",
    )
    gain_per_event_atypical: float = number(
        1.8,
        "compact groups",
        "natural log",
        "smallest gain per event of a group that rules out a negative answer",
        "python -m benchmarks.accuracy.groups: from there on groups of marrow without leukaemia become fewer",
    )

    place_share: float = number(
        0.9,
        "comparison with controls",
        "fraction",
        "share of the cells of a group that lie in its place, by definition",
        "by hand: most of its cells, without its tails",
    )
    control_abundance_ratio: float = number(
        0.03,
        "comparison with controls",
        "ratio",
        "smallest ratio of a group to the controls' mean in its place; below it the normal model is wrong there",
        "12 marrows and 8 controls without leukaemia had 0.01, real leukaemias at 1e-4 at least 0.04, in the median 5",
    )
    question_abundance_ratio: float = number(
        1.0,
        "comparison with controls",
        "ratio",
        "the same for a group that is too common in marrow without leukaemia to count: it is a question only if the "
        "tube has at least as many cells there as controls have on average",
        "python -m benchmarks.accuracy.groups: of 9 questions of 60 clean development tubes 4 lie below it, and of 80 "
        "with the hardest leukaemias one; at 5 two of these",
    )
    group_gain_least: float = number(
        45.0,
        "comparison with controls",
        "natural log",
        "smallest log-likelihood gain of a group that counts, even if few controls would allow a smaller one",
        "by hand: beyond what a search over all places gains by chance",
    )
    group_sd_unknown: float = number(
        0.2,
        "comparison with controls",
        "decades",
        "spread that is assumed for a group of which only medians are recorded, when earlier decisions are "
        "compared with it",
        "by hand: the usual spread of a population",
    )
    same_place: float = number(
        3.0,
        "comparison with controls",
        "Mahalanobis distance",
        "two centres with a smaller distance, by the mean of both covariances, are one population",
        "by hand: three standard deviations",
    )
    like_normal_distance: float = number(
        2.5,
        "comparison with controls",
        "Mahalanobis distance",
        "a group with a smaller distance from a normal B-lineage population may be a regenerating one",
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
        "smallest distance of a positive marker from its negative level",
        "by hand: a factor of three",
    )
    covered_share: float = number(
        0.5,
        "comparison with controls",
        "fraction",
        "a group in another group's place is the same group if it has at least this share of its cells",
        "by hand: the majority of its cells",
    )
