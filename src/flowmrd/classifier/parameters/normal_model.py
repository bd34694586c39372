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
