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
