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
        "spike-ins that must be detected for the check to pass",
        "by hand: four of the five replicates",
    )
    spike_kinds: int = number(
        10,
        "spike-in",
        "count",
        "kinds of leukaemia that are tried without a diagnosis tube, at most",
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
        "the leukaemia that is tried nearest to normal B cells lies nearer than the average one of its stage by so "
        "much in every marker",
        "the hardest of 116 development leukaemias lies there (python -m benchmarks.accuracy.places --shifts)",
    )
    spike_near_share: float = number(
        0.1,
        "spike-in",
        "fraction",
        "leukaemias in the place of a stage of haematogones that this one stands for",
        "by hand: assumed",
    )
    spike_kinds_found_share: float = number(
        0.9,
        "spike-in",
        "fraction",
        "kinds that must be found for a negative answer",
        "nine in ten leukaemias",
    )
    spike_step_loss: float = number(
        0.1,
        "spike-in",
        "fraction",
        "a step on the way from the raw file that loses more of the spiked cells is named",
        "by hand: the Poisson error of a hundred spiked cells",
    )
    library_entries_least: int = number(
        3,
        "spike-in",
        "phenotypes",
        "fewer do not make a library",
        "by hand: one or two patients are no library",
    )
