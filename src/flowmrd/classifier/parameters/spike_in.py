"""The check by spiked cells, and the library of phenotypes."""

from __future__ import annotations

from dataclasses import dataclass

from flowmrd.classifier.parameters.number import number

__all__ = ["SpikeInNumbers"]


@dataclass(frozen=True)
class SpikeInNumbers:
    """The check by spiked cells, and the library of phenotypes."""

    spike_drift_sd: float = number(
        0.15,
        "spike-in",
        "decades per marker",
        "drift of spiked cells against their source",
        "by hand: as the usual spread of staining",
    )
    spike_detected_share: float = number(
        0.8,
        "spike-in",
        "fraction",
        "share of the spike-ins that must be detected for the check to pass",
        "by hand: four of the five replicates",
    )
    spike_kinds: int = number(
        20,
        "spike-in",
        "count",
        "number of kinds of leukaemia that stand for all drawn ones but the nearest without a diagnosis tube; largest "
        "number of entries of a library that are tried",
        "by hand: each stands for 4 % of the patients, so no kind decides alone; cost: each is searched for",
    )
    spike_kinds_drawn: int = number(
        160,
        "spike-in",
        "count",
        "number of kinds that are drawn from the prior, of which the nearest and a few others are tried",
        "by hand: each stands for 0.6 % of the patients, far below the tenth that may be missed",
    )
    spike_kinds_nearest: int = number(
        20,
        "spike-in",
        "count",
        "number of the drawn kinds that are each tried because they lie nearest to normal cells",
        "python -m benchmarks.accuracy.kinds: 29 of 31 misses of six tubes are among the 20 nearest of 160 kinds",
    )
    spike_kinds_cells: int = number(
        100,
        "spike-in",
        "cells",
        "number of cells of a drawn kind that tell how far it lies from normal cells",
        "by hand: the mean gain is then known to a tenth of its spread",
    )
    spike_kinds_seed: int = number(
        332,
        "spike-in",
        "",
        "seed of the phenotypes that are drawn from the prior",
        "by hand: any seed; the number of patients behind the prior",
    )
    spike_near_sd: float = number(
        1.5,
        "spike-in",
        "SD over patients",
        "distance by which the kind that is nearest to normal B cells lies nearer than the average one of its "
        "stage, in every marker",
        "the hardest of 116 development leukaemias lies there (python -m benchmarks.accuracy.places --shifts)",
    )
    spike_near_share: float = number(
        0.1,
        "spike-in",
        "fraction",
        "share of the leukaemias in the place of a stage of haematogones that this kind stands for",
        "by hand: assumed",
    )
    spike_kinds_found_share: float = number(
        0.9,
        "spike-in",
        "fraction",
        "share of the patients whose kinds must be found for a negative answer",
        "nine in ten leukaemias",
    )
    spike_step_loss: float = number(
        0.1,
        "spike-in",
        "fraction",
        "smallest share of spiked cells lost in a step from the raw file to the count at which the step is named",
        "by hand: the Poisson error of a hundred spiked cells",
    )
    library_entries_least: int = number(
        3,
        "spike-in",
        "phenotypes",
        "smallest number of phenotypes in a library",
        "by hand: one or two patients are no library",
    )
