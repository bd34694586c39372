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
        10,
        "spike-in",
        "count",
        "largest number of kinds of leukaemia that are tried without a diagnosis tube",
        "by hand: cost: each is searched for",
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
