"""The staining of a tube: for every marker, the common shift of all its cells against the reference."""

from __future__ import annotations

import numpy as np

from flowmrd.classifier.mixture import Floats, Mixture, em_step, fit_mixture, log_density_of_products, products
from flowmrd.classifier.parameters import ClassifierParameters


def align(samples: list[Floats], rng: np.random.Generator, parameters: ClassifierParameters) -> Floats:
    """Common shift of every tube's cells against those of the most typical tube, shape (tubes, d), decades."""
    medians = np.array([np.median(x, axis=0) for x in samples])
    typical = int(np.abs(medians - np.median(medians, axis=0)).sum(axis=1).argmin())
    rows = rng.permutation(len(samples[typical]))[: parameters.staining_cells]
    mixture = fit_mixture(
        samples[typical][rows],
        parameters.staining_components,
        rng,
        parameters,
        sd_least=parameters.population_sd_least,
        steps=parameters.tube_mixture_steps,
    )
    return np.array([staining_shift(mixture, x, parameters) for x in samples])


def staining_shift(mixture: Mixture, x: Floats, parameters: ClassifierParameters) -> Floats:
    """Shift at which a mixture lies best on the cells x (n, d), shape (d,), decades.

    The mixture is broadened at first, so that it catches cells from afar, and sharpened step by step.
    """
    step = max(1, len(x) // parameters.staining_cells)
    cells = x[::step]
    centre = cells.mean(axis=0)
    table = products(cells, centre)
    weight = np.ones(len(cells))
    shift = np.zeros(mixture.d)
    share = parameters.outlier_share
    outliers = np.log(share) + log_density_of_products(outlier_component(centre, parameters), table, centre)
    agreement = np.full((mixture.k, mixture.d), parameters.staining_between_sd)
    for blur in parameters.staining_blur:
        broad = mixture.shifted(shift).broadened(blur**2 * np.eye(mixture.d))
        stats = em_step(broad.with_share(1.0 - share), table, centre, weight, outliers[None]).moments
        precision = stats.effective[:, None] / np.diagonal(broad.covariance, axis1=1, axis2=2)
        shift = common_shift(stats.mean - mixture.mean, stats.effective, precision, agreement, parameters)
    return shift


def outlier_component(centre: Floats, parameters: ClassifierParameters) -> Mixture:
    """The broad component for cells that fit no population, so that they do not pull normal populations."""
    return Mixture(np.ones(1), centre[None], parameters.outlier_sd**2 * np.eye(len(centre))[None])


def common_shift(
    offset: Floats, effective: Floats, precision: Floats, between_tube_sd: Floats, parameters: ClassifierParameters
) -> Floats:
    """Shift on which all components agree, each weighted by how well tube and reference determine it; shape (d,).

    Parameters
    ----------
    offset
        Shape (k, d): mean of a component's cells in the tube minus its mean in the reference, decades.
    effective, precision
        Number of events behind each component, shape (k,), and the precision of their mean, shape (k, d).
    between_tube_sd
        Shape (k, d): standard deviation of the components' places between tubes, decades.
    """
    known = effective[:, None] > parameters.staining_events
    weight = known / (between_tube_sd**2 + 1.0 / np.maximum(precision, 1e-9))
    out: Floats = (weight * offset).sum(axis=0) / (weight.sum(axis=0) + 1.0 / parameters.staining_sd**2)
    return out
