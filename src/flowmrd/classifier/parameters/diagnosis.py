"""The phenotype (LAIP) of a diagnosis tube."""

from __future__ import annotations

from dataclasses import dataclass

from flowmrd.classifier.parameters.number import number

__all__ = ["DiagnosisNumbers"]


@dataclass(frozen=True)
class DiagnosisNumbers:
    """The phenotype (LAIP) of a diagnosis tube."""

    laip_stored_cells: int = number(
        2_000,
        "diagnosis",
        "cells",
        "number of cells that are kept for the spike-in",
        "by hand: a spike-in at 1e-4 of a million draws 100",
    )
    laip_cells_per_number: int = number(
        3,
        "diagnosis",
        "cells per component and marker",
        "smallest number of cells per component and marker at which a phenotype is divided into so many components",
        "by hand: three cells for every number of a covariance",
    )
    laip_components: int = number(
        3,
        "diagnosis",
        "count",
        "largest number of components of a phenotype",
        "by hand: subclones of one leukaemia that differ in a marker",
    )
    laip_rounds: int = number(
        2,
        "diagnosis",
        "count",
        "number of times that phenotype and normal cells are refined in turn",
        "by hand: once to find it, once to correct it",
    )
    phenotype_steps: int = number(
        15,
        "diagnosis",
        "EM steps",
        "steps of the fit of a phenotype, at diagnosis and in a tube, or of the share of cells that a detector lost",
        "by hand: a limit of time",
    )
    laip_start_steps: int = number(
        30,
        "diagnosis",
        "EM steps",
        "steps of the first fit to aberrant cells",
        "by hand: a limit of time; the start is by k-means",
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
        "largest leukaemic share at the start of a fit",
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
        "smallest log odds at which a cell of the diagnosis tube is leukaemic",
        "by hand: seven to one",
    )
    aberrant_at_start: float = number(
        0.5,
        "diagnosis",
        "fraction",
        "smallest share of a component's cells that were aberrant before the fit; a component with less is the "
        "tube's own B cells",
        "by hand: the majority",
    )
    laip_component_share_least: float = number(
        0.02,
        "diagnosis",
        "fraction",
        "smallest share of a phenotype in one component; a component with less is dropped",
        "by hand: assumed error of assigning cells to components",
    )
    indistinct_per_million: float = number(
        300.0,
        "diagnosis",
        "cells per million",
        "a component that claims more cells of the median control is normal",
        "by hand: three times the level that is looked for",
    )
    indistinct_score: float = number(
        8.0,
        "diagnosis",
        "natural log",
        "smallest score at which a component claims a cell of a control",
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
        "number of groups into which the window is divided for its abundances",
        "by hand: assumed stages of B cells, and one or two of leukaemia",
    )
    abundance_cells: int = number(
        8_000,
        "diagnosis",
        "cells",
        "number of cells to which these groups are fitted",
        "by hand: cost; six components need no more",
    )
    abundance_steps: int = number(
        25,
        "diagnosis",
        "EM steps",
        "steps of the fit of these groups",
        "by hand: a limit of time",
    )
    abundance_cells_least: int = number(
        20,
        "diagnosis",
        "cells per marker",
        "smallest number of cells in a window that is divided",
        "by hand: as many as a detection",
    )
    abundance_share_least: float = number(
        0.02,
        "diagnosis",
        "fraction",
        "smallest share of the nucleated cells of a group that is judged by its abundance",
        "by hand: smaller groups are found by their phenotype",
    )
    abundance_ratio: float = number(
        10.0,
        "diagnosis",
        "ratio",
        "a group counts if it is this many times the largest share in its place in a control",
        "by hand: numbers of haematogones vary several-fold between marrows",
    )
    abundance_place_sd: float = number(
        0.15,
        "diagnosis",
        "decades",
        "standard deviation of the same place between two tubes, after their common shift",
        "by hand: as the usual spread of staining",
    )
    abundance_mature_distance: float = number(
        2.5,
        "diagnosis",
        "Mahalanobis distance",
        "groups with a smaller distance from mature B cells are mature B cells, whose number varies a hundredfold "
        "between marrows",
        "by hand: 95 of 100 cells of a population lie nearer, by two markers",
    )
    diagnosis_disagreement: float = number(
        0.1,
        "diagnosis",
        "fraction",
        "largest difference of the learned from the counted share of leukaemia in a diagnosis tube, as a share of the "
        "larger",
        "by hand: leads to a remark only",
    )
    marker_shift_least: float = number(
        0.3,
        "diagnosis",
        "decades",
        "smallest shift that is called over- or under-expression",
        "by hand: a factor of two",
    )
