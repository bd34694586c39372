"""Which groups count: error rate, judgement of controls, cut, heavy burden."""

from __future__ import annotations

from dataclasses import dataclass

from flowmrd.classifier.parameters.number import number

__all__ = ["EvidenceNumbers"]


@dataclass(frozen=True)
class EvidenceNumbers:
    """Which groups count: error rate, judgement of controls, cut, heavy burden."""

    false_groups_counted: float = number(
        0.01,
        "error rate of a group",
        "groups per tube",
        "a group counts if fewer equally unusual groups are expected in marrow without leukaemia",
        "issue: at most one clean tube in a hundred falsely called",
    )
    end_of_scale: float = number(
        0.1,
        "error rate of a group",
        "decades",
        "a group nearer than this to the top of a marker's scale, or further than this below its zero, is a "
        "question: its cells are too bright for a detector",
        "by hand: such groups of a clean tube lay within 0.01 of the top in CD20, and 2.4 below zero in CD10",
    )
    beyond_brightest: float = number(
        0.5,
        "error rate of a group",
        "decades",
        "a group this much brighter in an antibody than the brightest leukaemia of development persons is a question",
        "by hand: leukaemias exceed it by up to 0.4 if staining differs as between tubes, groups of detector faults by "
        "0.6 or more",
    )
    below_negative: float = number(
        0.7,
        "error rate of a group",
        "decades",
        "a group this much dimmer in an antibody than cells without the antigen is a question",
        "332 leukaemias lie at most 0.4 below these (`python -m benchmarks.accuracy.places --brightest`)",
    )
    false_groups_beside: float = number(
        0.001,
        "error rate of a group",
        "groups per tube",
        "a questionable group counts, after the normal cells were fitted beside it, if fewer are expected",
        "after that fit, four leukaemias of 1e-3 had 0.0003 or less, and a false group of a clean tube 0.03",
    )
    false_groups_atypical: float = number(
        0.1,
        "error rate of a group",
        "groups per tube",
        "a group rules out a negative answer if fewer are expected, and is ignored if more are",
        "issue: nine clean tubes of ten answered",
    )
    standard_cells: int = number(
        450_000,
        "error rate of a group",
        "nucleated cells",
        "number of nucleated cells of the tube to which gains are converted, since the gain of a population grows "
        "with the number of its cells",
        "by hand: a tube of usual size",
    )
    false_gain_least: float = number(
        20.0,
        "error rate of a group",
        "natural log",
        "smallest gain of the groups whose tail is modelled; smaller groups are chance",
        "by hand: a likelihood ratio that chance gives in every tube",
    )
    prior_tubes: float = number(
        30.0,
        "error rate of a group",
        "tubes",
        "number of tubes as which the development marrows count beside a laboratory's own controls",
        "by hand: fewer than the 74 development tubes: they are of other laboratories",
    )
    prior_groups_per_tube: float = number(
        0.5,
        "error rate of a group",
        "groups per tube",
        "false groups per tube in the development marrows",
        "python -m benchmarks.accuracy.groups: 36 in 74 tubes of development persons (seeds 4101 and 4102)",
    )
    prior_log_gain: float = number(
        1.2,
        "error rate of a group",
        "natural log",
        "mean excess of the log gain of these groups",
        "python -m benchmarks.accuracy.groups",
    )
    prior_gain_per_event: float = number(
        0.5,
        "error rate of a group",
        "natural log",
        "mean excess of the gain per event of these groups",
        "python -m benchmarks.accuracy.groups",
    )
    same_place_tubes: float = number(
        10.0,
        "error rate of a group",
        "tubes",
        "number of pseudo-tubes without a group towards which the share of controls with a group in a place is "
        "shrunken",
        "by hand: a population of two of ten controls is believed by half",
    )

    controls_judged_from: int = number(
        4,
        "judgement of controls",
        "tubes",
        "smallest number of controls that are judged; with fewer, nobody can say which one is odd",
        "by hand: three others, the fewest that outvote one",
    )
    false_groups_odd: float = number(
        0.02,
        "judgement of controls",
        "groups per tube",
        "a control is odd if one of its groups has a lower error rate; it is twice that of a group that counts, so "
        "that no group of a control that stays counts as background in another tube",
        "by hand: twice false_groups_counted",
    )
    odd_controls_most: float = number(
        0.34,
        "judgement of controls",
        "fraction",
        "largest share of the controls that is left out as odd; where more are odd, they stay and are named",
        "by hand: a third: the rest must be the majority by far",
    )
    lost_cells_ratio: float = number(
        0.7,
        "judgement of controls",
        "ratio",
        "a control is odd if the nucleated share of its events is below this part of the lowest of the others",
        "by hand: below the range of the others by almost a third",
    )

    cut_least: float = number(
        4.0,
        "cut",
        "natural log",
        "lowest cut, which passes at most 1.8 % of normal cells where the normal model is right",
        "by hand: a likelihood ratio of 55",
    )
    cut_most: float = number(
        12.0,
        "cut",
        "natural log",
        "highest cut, which passes six normal cells per million",
        "by hand: six per million is near the default of background_per_million",
    )
    cut_step: float = number(
        0.25,
        "cut",
        "natural log",
        "step between the cuts that are tried",
        "by hand: a likelihood ratio of 1.3",
    )
    cut_without_controls: float = number(
        4.0,
        "cut",
        "natural log",
        "distance of the cut from the lowest one if no control can set it",
        "by hand: twice the lowest cut: nobody has seen what it costs",
    )
    cut_background_share: float = number(
        0.4,
        "cut",
        "ratio",
        "share of the allowed background that controls may hold on average",
        "by hand: leaves room for the error of a mean of few controls",
    )
    cut_worst_ratio: float = number(
        3.0,
        "cut",
        "ratio",
        "factor on the allowed background for the worst control",
        "by hand: Poisson counts of a few cells differ as much",
    )
    cut_set_aside_from: int = number(
        5,
        "cut",
        "tubes",
        "number of controls from which the worst is set aside for the cut (never for the background), so that one "
        "regenerating marrow does not reduce the sensitivity of all tubes",
        "by hand: four others remain",
    )
    group_cut: float = number(
        5.0,
        "cut",
        "natural log",
        "lowest cut inside a compact group, which was already judged as a whole; a cell of a small group must score "
        "higher to be more probably the group's than normal (cut_of_groups)",
        "by hand: a likelihood ratio of 150",
    )
    background_alone: float = number(
        0.001,
        "cut",
        "probability",
        "a control stands alone if the probability of its number of cells, given the other controls, is lower",
        "by hand: divided by the number of controls: one laboratory in a thousand by chance",
    )
    cut_leukaemia_lost: float = number(
        0.01,
        "cut",
        "fraction",
        "share of a leukaemia that the cut may leave out although controls would allow a lower cut",
        "python -m benchmarks.accuracy.recall: false events beside leukaemia far from normal cells",
    )
    cut_added_ratio: float = number(
        2.0,
        "cut",
        "ratio",
        "a lower cut may add this many times the leukaemic cells that the phenotype itself has below the present one; "
        "what it adds beyond that are normal cells that no control has",
        "by hand: as many normal cells as leukaemic ones, which is what the cut accepts; one of forty kept-aside tubes "
        "led to it (3,015 normal cells called beside 426 leukaemic ones)",
    )
    cut_draws: int = number(
        2_000,
        "cut",
        "cells",
        "number of cells that are drawn from a phenotype to find that share",
        "by hand: twenty cells lie below",
    )
    high_background_ratio: float = number(
        4.0,
        "cut",
        "ratio",
        "factor on the allowed background from which HIGH_BACKGROUND is raised",
        "by hand: above cut_worst_ratio: no cut keeps the background",
    )

    burden_share: float = number(
        0.01,
        "heavy burden",
        "fraction",
        "share from which leukaemia is searched for before the normal model is fitted, since it would pull the model",
        "by hand: from here on the normal model is pulled",
    )
    burden_cells: int = number(
        10_000,
        "heavy burden",
        "cells",
        "number of cells of the window from which that share is computed",
        "by hand: a share of 1 % is then known to within 0.1 %",
    )
    burden_events_least: int = number(
        200,
        "heavy burden",
        "events",
        "smallest number of events of such a leukaemia",
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
        "lowest cut for a heavy burden with a known phenotype",
        "by hand: likelier than normal",
    )
