"""The hierarchical mixture of the controls, and where blasts lie before a patient is known."""

from __future__ import annotations

from dataclasses import dataclass

from flowmrd.classifier.parameters.number import number

__all__ = ["NormalModelNumbers"]


@dataclass(frozen=True)
class NormalModelNumbers:
    """The hierarchical mixture of the controls, and where blasts lie before a patient is known."""

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
        "training cells of all controls together",
        "by hand: cost",
    )
    training_cells_least: int = number(
        1_500,
        "normal model",
        "cells",
        "smallest number of training cells from one control",
        "by hand: a reference of many controls must still see rare populations of each",
    )
    training_cells_most: int = number(
        12_000,
        "normal model",
        "cells",
        "largest number of training cells from one control",
        "by hand: no control may outweigh the others",
    )
    training_window_share: float = number(
        2 / 3,
        "normal model",
        "fraction",
        "share of the training cells of a sample that come from the B-lineage window",
        "by hand: the window decides, and is a few per cent of a tube",
    )
    start_cells: int = number(
        20_000,
        "normal model",
        "cells",
        "number of pooled cells to which the first mixture is fitted",
        "by hand: only a start; a third of the training cells",
    )
    start_steps: int = number(
        12,
        "normal model",
        "EM steps",
        "steps of the fit of the first mixture",
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
        "spread between tubes that is assumed at the start",
        "by hand: wide on purpose: the tubes narrow it",
    )
    between_tube_sd_least: float = number(
        0.08,
        "normal model",
        "decades",
        "smallest spread of a population between tubes, after their staining is taken out",
        "by hand: two tubes of one laboratory never agree better, and few controls may by chance",
    )
    between_tube_sd_few: float = number(
        0.15,
        "normal model",
        "decades",
        "spread between tubes in the pseudo-tubes of the next line",
        "by hand: between the least spread and the one assumed at the start",
    )
    between_tube_pseudo_tubes: float = number(
        2.0,
        "normal model",
        "tubes",
        "number of pseudo-tubes that keep the spread reasonable with few controls",
        "by hand: two controls, the fewest that tell a spread, are believed as much",
    )
    half_trusted_events: float = number(
        20.0,
        "normal model",
        "events",
        "number of events of a population at which its place in a tube is half its own and half the expected one",
        "by hand: the mean of 20 cells is a fifth of a standard deviation uncertain",
    )
    in_window_share: float = number(
        0.5,
        "normal model",
        "fraction",
        "a component belongs to the B-lineage window if more than this share of its cells lie in it",
        "by hand: the majority of its cells",
    )
    sample_cells: int = number(
        3_000,
        "normal model",
        "cells",
        "number of cells of a tube from which a share or a density is computed: of normal populations in the "
        "window and outside it, and of doublets",
        "by hand: a share of one half is then known to within 1 %",
    )
    place_cells_least: int = number(
        100,
        "normal model",
        "cells",
        "smallest number of cells that give the place of a population (normal B cells, doublets, anchors of the "
        "catalogue) or lend their pulse shape to spiked cells",
        "by hand: the mean of 100 cells is a tenth of a standard deviation uncertain",
    )
    reference_folds: int = number(
        5,
        "normal model",
        "count",
        "largest number of folds of controls",
        "by hand: cost: a reference is fitted for each",
    )
    stage_events: int = number(
        30,
        "normal model",
        "events",
        "smallest number of cells of a named population in a control that give its place",
        "by hand: the mean of 30 cells is less than a fifth of a standard deviation uncertain",
    )

    odd_marker_share: float = number(
        0.3,
        "prior of blasts",
        "fraction",
        "share of leukaemias that are aberrant in one marker, which a Gaussian over patients alone would take for "
        "impossible",
        "by hand: assumed: an unusual marker is common in B-ALL and not the rule",
    )
    odd_marker_width: float = number(
        3.0,
        "prior of blasts",
        "ratio",
        "factor by which such a leukaemia is spread more widely in that marker",
        "by hand: assumed: wide enough to reach from present to absent",
    )
    blast_tail_degrees: float = number(
        20.0,
        "prior of blasts",
        "degrees of freedom",
        "degrees of freedom of the t tails of blasts, so that cells a little outside still belong to them",
        "by hand: between normal cells (12) and a Gaussian: a place, not a rule",
    )
