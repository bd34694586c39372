"""What the configuration of a run decides, and every Gaussian mixture that is fitted from nothing."""

from __future__ import annotations

from dataclasses import dataclass

from flowmrd.classifier.parameters.number import number

__all__ = ["RunNumbers"]


@dataclass(frozen=True)
class RunNumbers:
    """What the configuration of a run decides, and every Gaussian mixture that is fitted from nothing."""

    background_per_million: float = number(
        5.0,
        "run",
        "events per million",
        "background that the cut keeps in controls",
        "config laip.background_per_million",
    )
    target: float = number(1e-4, "run", "fraction", "level of the spike-in", "config mrd.target")
    detect_events: int = number(
        20, "run", "events", "smallest number of events that counts as detected", "config mrd.min_detect_events"
    )
    replicates: int = number(5, "run", "count", "number of spike-ins per tube", "config mrd.spike_in_replicates")
    unreliable: frozenset[str] = number(
        frozenset[str](),
        "run",
        "markers",
        "markers that the targeted therapy may have removed",
        "panel, sheet",
    )
    shifted: frozenset[str] = number(frozenset[str](), "run", "markers", "markers whose level steroids change", "panel")
    seed: int = number(20240093, "run", "", "seed of every random draw", "config laip.seed")

    mixture_sd_least: float = number(
        0.05,
        "mixtures",
        "decades",
        "smallest standard deviation of a component in any direction, where no other is given",
        "by hand: a component of few cells must not shrink to a point; no staining is sharper",
    )
    mixture_shape_events: float = number(
        30.0,
        "mixtures",
        "pseudo-events",
        "weight of the average covariance in that of a component",
        "by hand: a component of 30 cells or fewer cannot tell the covariances of ten markers",
    )
    mixture_steps: int = number(
        40,
        "mixtures",
        "EM steps",
        "steps of a fit, where no other number is given",
        "by hand: a limit of time",
    )
    mixture_gain_least: float = number(
        1e-4,
        "mixtures",
        "natural log per cell",
        "a fit ends when a step gains less log likelihood",
        "by hand: a smaller gain changes no score that a cut distinguishes",
    )
    mixture_start_steps: int = number(
        8,
        "mixtures",
        "k-means steps",
        "steps that place the components before a fit",
        "by hand: only a start: EM moves the components on",
    )
