"""Model of normal marrow: a hierarchical Gaussian mixture over control tubes.

All controls share the components of one mixture. In each control the components are shifted together, which is its
staining, and each may move a little on its own. The model learns the size of these shifts, and
:mod:`flowmrd.classifier.tube_model` allows a sample no larger ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flowmrd.classifier.candidate_cells import Bools, CandidateCells, thin, training_sample
from flowmrd.classifier.mixture import (
    Floats,
    Mixture,
    component_log_density,
    em_step,
    fit_mixture,
    log_sum,
    products,
)
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.staining import align, common_shift


@dataclass(frozen=True)
class NormalModel:
    """Components of normal marrow and their variation between tubes.

    Attributes
    ----------
    features
        Marker names.
    mixture
        Components of the average control, decades.
    between_tube_sd
        Shape (k, d): standard deviation of each component's mean over tubes, after the common shift of each tube is
        taken out, decades.
    window_share
        Shape (k,): share of each component's cells that lie in the B-lineage window.
    in_window
        Shape (k,): whether a component belongs to the window.
    normal_b
        Shape (d,): centre of the window's normal cells, averaged over the controls, decades.
    """

    features: tuple[str, ...]
    mixture: Mixture
    between_tube_sd: Floats
    window_share: Floats
    in_window: Bools
    normal_b: Floats

    def select(self, features: tuple[str, ...]) -> NormalModel:
        """The model of some of its features."""
        if features == self.features:
            return self
        index = [self.features.index(name) for name in features]
        return NormalModel(
            features,
            self.mixture.marginal(index),
            self.between_tube_sd[:, index],
            self.window_share,
            self.in_window,
            self.normal_b[index],
        )


@dataclass
class _ControlState:
    """A control during the fit: products of its cells, their weights, and the places of its components."""

    table: Floats
    weight: Floats
    share: Floats
    mean: Floats


@dataclass(frozen=True)
class _Population:
    """The model of all controls during the fit."""

    mixture: Mixture
    between_tube_sd: Floats
    shifts: Floats


def fit_normal(
    tubes: list[CandidateCells], features: tuple[str, ...], seed: int, parameters: ClassifierParameters
) -> NormalModel:
    """Fit the hierarchical mixture to control tubes.

    Parameters
    ----------
    tubes
        Controls, in an order that does not depend on their content. Every tube counts the same whatever its size.
    features
        Markers to use; every tube has them all.

    Returns
    -------
    NormalModel
        With a single tube the spread between tubes is the smallest allowed.
    """
    tubes = [tube.select(features) for tube in tubes]
    rng = np.random.default_rng(seed)
    per_tube = max(parameters.training_cells_least, parameters.training_cells // max(len(tubes), 1))
    most = min(per_tube, parameters.training_cells_most)
    samples = [training_sample(tube, most, parameters.training_window_share) for tube in tubes]
    shifts = align([x for x, _ in samples], rng, parameters)
    # The tubes are brought to one staining first, so that the components are populations and not tubes.
    pooled = np.concatenate([x - shift for (x, _), shift in zip(samples, shifts, strict=True)])
    rows = rng.permutation(len(pooled))[: parameters.start_cells]
    start = fit_mixture(
        pooled[rows],
        parameters.components,
        rng,
        parameters,
        sd_least=parameters.population_sd_least,
        steps=parameters.start_steps,
    )
    centre = pooled.mean(axis=0)
    states = [
        _ControlState(products(x, centre), weight, start.weight.copy(), start.mean + shift)
        for (x, weight), shift in zip(samples, shifts, strict=True)
    ]
    spread = np.full((start.k, len(features)), parameters.between_tube_sd_start)
    model = _Population(start, spread, shifts)
    for _ in range(parameters.model_steps):
        model = _step(model, states, centre, parameters)
    share = _window_share(tubes, model.mixture, parameters)
    return NormalModel(
        features,
        model.mixture,
        model.between_tube_sd,
        share,
        share > parameters.in_window_share,
        _window_centre(tubes, model.mixture, parameters),
    )


def _step(
    model: _Population, tubes: list[_ControlState], centre: Floats, parameters: ClassifierParameters
) -> _Population:
    """One EM step over all tubes; updates their states."""
    mixture, shifts = model.mixture, model.shifts
    k, d = mixture.k, mixture.d
    floor = parameters.population_sd_least**2
    total_covariance, total_events = np.zeros((k, d, d)), np.zeros(k)
    means, events = np.empty((len(tubes), k, d)), np.empty((len(tubes), k))
    for t, tube in enumerate(tubes):
        local = Mixture(tube.share, tube.mean, mixture.covariance)
        stats = em_step(local, tube.table, centre, tube.weight).moments
        tube.share = (stats.count + 1e-6) / (stats.count + 1e-6).sum()
        variance = np.maximum(np.diagonal(mixture.covariance, axis1=1, axis2=2), floor)
        precision = stats.effective[:, None] / variance
        offset = stats.mean - mixture.mean
        shifts[t] = common_shift(offset, stats.effective, precision, model.between_tube_sd, parameters)
        tube.mean = moved(stats.mean, precision, mixture.mean + shifts[t], model.between_tube_sd)
        offset = stats.mean - tube.mean
        total_covariance += stats.effective[:, None, None] * (
            stats.covariance + offset[:, :, None] * offset[:, None, :]
        )
        total_events += stats.effective
        means[t], events[t] = tube.mean, stats.effective
    trust = events / (events + parameters.half_trusted_events)
    total = np.maximum(trust.sum(axis=0), 1e-9)
    shifts -= shifts.mean(axis=0)
    settled = means - shifts[:, None, :]
    mean = np.einsum("tk,tkd->kd", trust, settled) / total[:, None]
    spread = np.einsum("tk,tkd->kd", trust, (settled - mean) ** 2) / total[:, None]
    pseudo = parameters.between_tube_pseudo_tubes
    between = np.sqrt(
        (spread * total[:, None] + pseudo * parameters.between_tube_sd_few**2) / (total[:, None] + pseudo)
    )
    pooled = total_covariance.sum(axis=0) / max(total_events.sum(), 1.0)
    prior_events = parameters.population_shape_events
    covariance = (total_covariance + prior_events * pooled) / (total_events + prior_events)[:, None, None]
    weight = np.mean([tube.share for tube in tubes], axis=0)
    return _Population(
        Mixture(weight / weight.sum(), mean, covariance + floor * np.eye(d)),
        np.maximum(between, parameters.between_tube_sd_least),
        shifts,
    )


def moved(mean: Floats, precision: Floats, expected: Floats, between_tube_sd: Floats) -> Floats:
    """Places of the components in a tube, between the means of its cells and the expected places; shape (k, d)."""
    prior = 1.0 / between_tube_sd**2
    out: Floats = (precision * mean + prior * expected) / (precision + prior)
    return out


def _window_share(tubes: list[CandidateCells], mixture: Mixture, parameters: ClassifierParameters) -> Floats:
    """Share of each component's cells inside the window, over all tubes; between 0 and 1."""
    total, inside = np.full(mixture.k, 1e-9), np.zeros(mixture.k)
    for tube in tubes:
        for flag in (True, False):
            index = thin(tube.window == flag, parameters.sample_cells)
            if len(index) == 0:
                continue
            values = component_log_density(mixture, tube.values[index])
            mass = np.exp(values - log_sum(values)[:, None]).mean(axis=0) * (tube.window == flag).mean()
            total += mass
            inside += mass if flag else 0.0
    out: Floats = inside / total
    return out


def _window_centre(tubes: list[CandidateCells], mixture: Mixture, parameters: ClassifierParameters) -> Floats:
    """Median of the window's cells, averaged over the tubes that have enough of them."""
    least = parameters.place_cells_least
    centres = [np.median(tube.values[tube.window], axis=0) for tube in tubes if tube.window.sum() >= least]
    if not centres:
        centres = [(mixture.weight[:, None] * mixture.mean).sum(axis=0)]
    out: Floats = np.mean(np.asarray(centres, dtype=np.float64), axis=0)
    return out
