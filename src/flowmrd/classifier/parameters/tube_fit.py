"""The normal components in one tube: the fit, doublets, markers masked by a drug."""

from __future__ import annotations

from dataclasses import dataclass

from flowmrd.classifier.parameters.number import number

__all__ = ["TubeFitNumbers"]


@dataclass(frozen=True)
class TubeFitNumbers:
    """The normal components in one tube: the fit, doublets, markers masked by a drug."""

    tail_degrees: float = number(
        12.0,
        "fit to one tube",
        "degrees of freedom",
        "degrees of freedom of the t tails of normal cells when scores are computed",
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
        "standard deviation of the outlier component, which is wider than any population",
        "by hand: a population spreads by 0.2 to 0.4 decades",
    )
    staining_sd: float = number(
        0.6,
        "fit to one tube",
        "decades",
        "expected size of a tube's common shift; it has little weight, since the cells determine the shift well",
        "measured marrows of one laboratory shift by 0.1 to 0.5 (nucleic acid dye)",
    )
    staining_events: float = number(
        50.0,
        "fit to one tube",
        "events",
        "smallest number of cells of a component that contributes to the staining",
        "by hand: the mean of 50 cells is a seventh of a standard deviation uncertain",
    )
    staining_cells: int = number(
        6_000,
        "fit to one tube",
        "cells",
        "number of cells from which the staining of a tube is computed",
        "by hand: cost; ten components need no more",
    )
    staining_cells_least: int = number(
        300,
        "fit to one tube",
        "cells",
        "smallest number of cells outside the window from which the staining is computed",
        "by hand: ten components of 30 cells",
    )
    staining_components: int = number(
        10,
        "fit to one tube",
        "count",
        "number of components of the tube onto which the other tubes are aligned",
        "by hand: lineages outside the B-lineage window, some of two components",
    )
    tube_mixture_steps: int = number(
        15,
        "fit to one tube",
        "EM steps",
        "steps of a mixture that is fitted to cells of that tube, or to its doublets",
        "by hand: a limit of time; the start is by k-means",
    )
    staining_blur: tuple[float, ...] = number(
        (0.6, 0.45, 0.3, 0.2, 0.1, 0.05, 0.0, 0.0),
        "fit to one tube",
        "decades",
        "standard deviations by which the reference is broadened, step by step, while its shift onto a tube is "
        "searched for",
        "by hand: from wider than usual shifts down to none, so that no neighbour catches the fit",
    )
    staining_between_sd: float = number(
        0.2,
        "fit to one tube",
        "decades",
        "spread of populations between tubes while the staining is searched for",
        "by hand: populations differ a little beside the common shift",
    )
    fitted_cells: int = number(
        30_000,
        "fit to one tube",
        "cells",
        "number of cells of a tube to which its normal model, or the phenotype of its leukaemia, is fitted",
        "by hand: cost; rare populations keep their reference's shape",
    )
    tube_steps: int = number(
        12,
        "fit to one tube",
        "EM steps",
        "steps of the fit of a tube's model",
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
        "largest distance of a tube's population from its expected place in any one marker",
        "by hand: one ordinary population in 16,000 lies further in one marker",
    )
    place_quantile: float = number(
        0.9999,
        "fit to one tube",
        "fraction",
        "share of normal populations that lie within the accepted distance from their place, by all markers together",
        "by hand: one population in 10,000: a few hundred tubes show none by chance",
    )
    widest_population: float = number(
        1.2,
        "fit to one tube",
        "ratio",
        "largest ratio of a population's spread in a tube to its spread in controls",
        "by hand: a fifth wider is ordinary; a population that covers leukaemia beside it is wider",
    )
    rare_share_start: float = number(
        1e-4,
        "fit to one tube",
        "fraction",
        "starting share of doublets and of leukaemia; the smallest one of a known phenotype",
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
        "smallest standard deviation of the doublets' components",
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
        "largest share of doublets",
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
        "spread, on normal cells, of a marker that a drug may have masked",
        "by hand: assumed: from lost to normal is about a decade and a half",
    )
    negative_quantile: float = number(
        0.1,
        "markers masked by a drug",
        "fraction",
        "quantile of the normal components at which a marker counts as absent",
        "by hand: most markers are absent on more than a tenth of the populations",
    )
