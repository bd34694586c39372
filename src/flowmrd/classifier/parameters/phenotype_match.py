"""That phenotype at follow-up: its match, cells off scale, cells carried over from the tube before."""

from __future__ import annotations

from dataclasses import dataclass

from flowmrd.classifier.parameters.number import number

__all__ = ["PhenotypeMatchNumbers"]


@dataclass(frozen=True)
class PhenotypeMatchNumbers:
    """That phenotype at follow-up: its match, cells off scale, cells carried over from the tube before."""

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
        "factor on the drift for markers that the therapy may remove",
        "by hand: the therapy acts on this marker",
    )
    drift_shifted: float = number(
        1.5,
        "phenotype match",
        "ratio",
        "factor on the drift for markers whose level steroids change",
        "by hand: steroids move it, less than a targeted therapy",
    )
    match_reach: float = number(
        -4.0,
        "phenotype match",
        "natural log",
        "cells with a lower score under the broadened phenotype are not searched again",
        "by hand: a cell there could gain nothing",
    )
    match_near_by: float = number(
        0.99,
        "phenotype match",
        "share",
        "share of a drifted phenotype's cells whose place alone is looked at where other cells pulled the fit too far",
        "by hand: nearly all; other cells of the tube are not this leukaemia",
    )
    match_share_most: float = number(
        0.95,
        "phenotype match",
        "fraction",
        "largest share of a fit",
        "by hand: some cells must be left to be normal",
    )
    match_shift_tolerance: float = number(
        0.002,
        "phenotype match",
        "decades",
        "a fit has converged if its shift changes by less",
        "by hand: far below the noise of a detector",
    )
    match_cells: int = number(
        100_000,
        "phenotype match",
        "cells",
        "largest number of cells within reach that a fit uses, evenly thinned, since a diagnosis tube may hold "
        "millions",
        "by hand: cost; a share is then known to within a few per mille",
    )
    match_all_below: int = number(
        10_000,
        "phenotype match",
        "cells",
        "a fit to thinned cells that explains fewer cells is repeated with all of them, so that no cell of a rare "
        "group is left out",
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
        "largest shift of a phenotype, by all markers; beyond it lies another phenotype",
        "drift of 0.3 decades in each of nine markers stays below with 99.99 %",
    )
    strain_most_in_one: float = number(
        5.0,
        "phenotype match",
        "drift SD",
        "largest shift of a phenotype in one marker; beyond it lies another phenotype",
        "drift of 0.3 decades in each of nine markers stays below with 99.8 %",
    )
    match_gain: float = number(
        12.0,
        "phenotype match",
        "natural log",
        "smallest log-likelihood gain of cells that match the phenotype and form a group; below it they are "
        "scattered normal cells at its rim",
        "by hand: a likelihood ratio of 160,000",
    )
    match_gain_per_event: float = number(
        1.0,
        "phenotype match",
        "natural log",
        "smallest gain per event of such a group",
        "by hand: each cell almost three times likelier than as a normal one",
    )
    match_strain_quantile: float = number(
        0.99,
        "phenotype match",
        "fraction",
        "share of the drifts between two tubes of one patient that count as usual; cells that match only beyond "
        "them must each be as unlike normal cells as those of a group of unknown phenotype "
        "(gain_per_event_counted)",
        "by hand: one drift in a hundred lies beyond",
    )
    match_scatter_most: float = number(
        1.5,
        "phenotype match",
        "squared Mahalanobis distance per marker",
        "largest scatter of matching cells relative to the phenotype's; cells that scatter more are a diffuse group",
        "real blasts had 0.75 to 1.07 in 20 tubes, normal precursors of an odd marrow 1.3 to 2.0",
    )
    match_explained: float = number(
        2.0,
        "phenotype match",
        "natural log",
        "cells with a higher score are explained by the best fit and left out of the next one",
        "by hand: seven times likelier under that fit",
    )

    offscale_channels_least: int = number(
        4,
        "off-scale cells",
        "channels",
        "smallest number of measured channels by which an off-scale cell is judged",
        "by hand: three channels do not tell lineages apart",
    )
    excluded_place_share: float = number(
        0.95,
        "off-scale cells",
        "share",
        "share of a phenotype's cells whose place is searched for excluded events",
        "by hand: nearly all, without the tails",
    )
    excluded_uneven: float = number(
        0.001,
        "off-scale cells",
        "probability",
        "an unstable stretch whose cells of a phenotype are less probable than this, given how few the rest of the run "
        "holds, is not named: its signal was moved onto the phenotype",
        "by hand: leukaemia of a sample comes evenly; one tube of a thousand",
    )
    offscale_measured_share: float = number(
        0.9,
        "off-scale cells",
        "share",
        "smallest share of a group's cells in which a channel must be measured to be used",
        "by hand: a channel that lacks a tenth of the cells would bend the place",
    )

    carry_over_start: float = number(
        0.05,
        "carry-over",
        "fraction",
        "first part of the acquisition, in which cells of the previous tube may come",
        "by hand: assumed: what remains of the tube before is rinsed out early",
    )
    carry_over_share: float = number(
        0.8,
        "carry-over",
        "fraction",
        "smallest share of a group's cells in that part of the acquisition for carry-over; an even spread gives 0.05",
        "by hand: sixteen times what even cells give",
    )
    carry_over_least: int = number(
        8,
        "carry-over",
        "cells",
        "smallest number of cells in that part of the acquisition; so many of ten have p < 1e-8 by chance",
        "by hand: as group_events_least",
    )
    carry_over_late: int = number(
        10,
        "carry-over",
        "cells",
        "largest number of cells of such a group in the rest of the acquisition, which is half of a detection",
        "by hand: leukaemia of the tube itself must not hide behind it",
    )
    background_chance: float = number(
        0.05,
        "carry-over",
        "probability",
        "how probably the background of the controls alone gives the detection that a count without carried-over cells "
        "must be",
        "as the detection count of the verdict (docs/methods/limits.md)",
    )
    even_upper: float = number(
        0.975,
        "carry-over",
        "probability",
        "upper end of the expected number of cells where they come evenly, given those of the rest of the run",
        "upper end of a 95 % interval",
    )
    carry_over_excess: float = number(
        5.0,
        "carry-over",
        "ratio",
        "early cells of a counted group are carried over, though later ones are the sample's own, if they are so many "
        "times as many as cells that come evenly can be",
        "by hand: cells of a sample that settle come early too, but not five times as often",
    )
