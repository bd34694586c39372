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
        "smallest distance that is assumed between the brightest and the lowest cells of a marker",
        "by hand: a marker that no normal cell has gives no scale of its own",
    )
    staining_control_outside: int = number(
        40_000,
        "staining control",
        "cells",
        "largest number of examined cells outside the window",
        "by hand: cost; a share of 5 % is then known to within 0.1 %",
    )
    staining_control_inside: int = number(
        20_000,
        "staining control",
        "cells",
        "largest number of examined cells in the window, where rare carriers are",
        "by hand: cost; rare carriers are a few per cent of these",
    )
    carrier_gap: float = number(
        0.8,
        "staining control",
        "decades",
        "smallest distance from the lowest populations at which a population carries a marker",
        "by hand: four times the usual spread of a population",
    )
    without_gap: float = number(
        0.35,
        "staining control",
        "decades",
        "largest distance from the lowest populations at which a population does not carry the marker; from there "
        "on a cell is stained by a nucleic acid dye",
        "by hand: within two spreads of the lowest populations",
    )
    without_level: float = number(
        1.3,
        "staining control",
        "decades",
        "level of cells without a marker that is assumed if every population carries it",
        "by hand: assumed top of autofluorescence on the logicle scale",
    )
    without_share_least: float = number(
        0.05,
        "staining control",
        "fraction",
        "smallest share of examined cells that lack a marker; of fewer, most are cells that were assigned wrongly",
        "by hand: assumed error of assigning cells to populations",
    )
    other_markers_sd: float = number(
        0.15,
        "staining control",
        "decades",
        "difference in the staining of the other markers from the controls that is allowed",
        "by hand: as the usual spread of staining",
    )
    carrier_probability: float = number(
        0.9,
        "staining control",
        "probability",
        "smallest probability of belonging to carrier populations at which a cell is a carrier",
        "by hand: assumed: one in ten may be something else",
    )
    stained_at: float = number(
        0.5,
        "staining control",
        "ratio",
        "part of the way to its expected level from which a carrier is stained by an antibody",
        "by hand: half way between absent and expected",
    )
    bright_at: float = number(
        0.6,
        "staining control",
        "ratio",
        "part of the way to the brightest population from which a cell is bright",
        "by hand: above half way, so that dim cells do not count",
    )
    upper_quantile: float = number(
        0.85,
        "staining control",
        "fraction",
        "quantile of the carriers that does not depend on dim and young cells among them",
        "by hand: above the dim and young cells, below the noise of the highest",
    )
    carriers_placed: int = number(
        10,
        "staining control",
        "cells",
        "smallest number of carriers whose level is used",
        "by hand: a median of ten cells is the fewest that means something",
    )
    carriers_least: int = number(
        25,
        "staining control",
        "cells",
        "smallest number of carriers that can prove a missing antibody",
        "by hand: where none of 25 is stained, about 11 % at most are (95 %)",
    )
    bright_least: int = number(
        20,
        "staining control",
        "cells",
        "number of bright cells, of any kind, that prove that an antibody works",
        "by hand: as many as a detection",
    )
    carriers_stained_least: float = number(
        0.6,
        "staining control",
        "fraction",
        "smallest share of stained carriers in a control; with less, carriers prove nothing",
        "by hand: the marker must be the rule among carriers",
    )
    absent_stained: float = number(
        0.15,
        "staining control",
        "ratio",
        "an antibody is absent if its carriers are stained in less than this part of the controls' share (95 %)",
        "forgotten antibodies of simulated tubes stain 0.000 of their carriers, sound ones 0.76 and more",
    )
    absent_bright: float = number(
        0.05,
        "staining control",
        "ratio",
        "and if bright cells are rarer than this part of their share in any control",
        "by hand: a few bright events are debris and aggregates",
    )
    carrier_shift_sd: float = number(
        0.15,
        "staining control",
        "decades",
        "spread of the carriers' level between ordinary tubes",
        "by hand: assumed; the laboratory's own controls replace it",
    )
    varying_carrier_sd: float = number(
        0.42,
        "staining control",
        "decades",
        "the same where carriers differ between persons: CD10 by the maturity of granulocytes, CD38 by activation",
        "python -m benchmarks.accuracy.staining: 0.47 (CD10) and 0.39 (CD38) in 58 tubes of development "
        "persons, 0.15 to 0.18 for CD19, CD20 and CD45",
    )
    without_shift_sd: float = number(
        0.13,
        "staining control",
        "decades",
        "spread of the level of cells without the marker between ordinary tubes",
        "python -m benchmarks.accuracy.staining: 0.10 to 0.15 of five antibodies in 58 tubes of development persons",
    )
    staining_pseudo_tubes: float = number(
        4.0,
        "staining control",
        "tubes",
        "weight of these two spreads beside the controls, in tubes",
        "by hand: four controls are believed as much",
    )
    staining_tail: float = number(
        0.001,
        "staining control",
        "fraction",
        "share of ordinary tubes beyond a limit, on either side",
        "by hand: one marker in five hundred is called shifted by chance",
    )
    staining_shift_least: float = number(
        0.3,
        "staining control",
        "decades",
        "smallest shift of one marker that is a fault",
        "by hand: a factor of two, by which lots differ",
    )
    without_alone_limits: float = number(
        2.0,
        "staining control",
        "ratio",
        "factor on the ordinary limit for cells without a marker whose carriers did not move with them",
        "a sound tube of a development person: dim cells +0.41, carriers -0.22, limit 0.40",
    )
    unverified_share: float = number(
        0.2,
        "staining control",
        "fraction",
        "largest share of a tube's antibodies (other than CD19) that no cell verifies, with which it may be negative",
        "by hand: assumed: one antibody in five may lack cells that prove it",
    )
    blast_markers_missing: int = number(
        2,
        "staining control",
        "markers",
        "number of missing markers among CD19, CD10, CD20, CD34, CD22 and CD24 at which a tube cannot be trusted "
        "in either direction",
        "by hand: one missing marker is made good by the others",
    )
