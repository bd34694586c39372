"""Is every antibody in the tube: the staining control."""

from __future__ import annotations

from dataclasses import dataclass

from flowmrd.classifier.parameters.number import number

__all__ = ["StainingNumbers"]


@dataclass(frozen=True)
class StainingNumbers:
    """Is every antibody in the tube: the staining control."""

    staining_span_least: float = number(
        1.0,
        "staining control",
        "decades",
        "the brightest cells of a marker are taken to lie this far above the lowest",
        "by hand: a marker that no normal cell has gives no scale of its own",
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
