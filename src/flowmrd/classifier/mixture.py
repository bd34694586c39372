"""Gaussian mixtures as arrays: densities, weighted EM, marginals.

All values are in *decades* (0..1 scale x 4.5), so that one prior fits all markers. The quadratic form of every
component is a linear function of the products ``x_i x_j``. Densities and sufficient statistics of all components are
then one matrix product each, which keeps a million events within seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import numpy.typing as npt

from flowmrd.classifier.parameters import ClassifierParameters

Floats = npt.NDArray[np.float64]
CHUNK = 65_536
BLOCK = 4_096
"""Number of cells computed at a time: their products (55 columns for nine markers) fit into a processor's cache."""
EM_BLOCK = 1_024
"""The same for an E-step, which also holds the responsibilities of some twenty components."""
LOG_2PI = float(np.log(2 * np.pi))


@dataclass(frozen=True)
class Mixture:
    """A Gaussian mixture.

    Attributes
    ----------
    weight
        Shape (k,), sums to 1.
    mean
        Shape (k, d), decades.
    covariance
        Shape (k, d, d), decades squared.
    """

    weight: Floats
    mean: Floats
    covariance: Floats

    @property
    def k(self) -> int:
        """Number of components."""
        return len(self.weight)

    @property
    def d(self) -> int:
        """Number of features."""
        return int(self.mean.shape[1])

    def marginal(self, columns: list[int]) -> Mixture:
        """The mixture in some of the features, which is exact for Gaussians."""
        index = np.asarray(columns, dtype=np.intp)
        return Mixture(self.weight, self.mean[:, index], self.covariance[:, index[:, None], index[None, :]])

    def shifted(self, shift: Floats) -> Mixture:
        """The mixture with all means moved by one vector of shape (d,)."""
        return replace(self, mean=self.mean + shift)

    def broadened(self, covariance: Floats) -> Mixture:
        """The mixture with ``covariance`` (d, d) added to every covariance, as after a common shift of unknown size."""
        return replace(self, covariance=self.covariance + covariance)

    def with_share(self, share: float) -> Mixture:
        """The mixture with weights that sum to ``share``; the other cells are left to something else."""
        return replace(self, weight=self.weight * share)

    def only(self, keep: npt.NDArray[np.bool_]) -> Mixture:
        """The mixture of the kept components, with weights that sum to 1."""
        weight = self.weight[keep]
        return Mixture(weight / weight.sum(), self.mean[keep], self.covariance[keep])


def combine(parts: Sequence[Mixture], shares: Sequence[float]) -> Mixture:
    """One mixture made of several, each with its share."""
    return Mixture(
        np.concatenate([part.weight * share for part, share in zip(parts, shares, strict=True)]),
        np.concatenate([part.mean for part in parts]),
        np.concatenate([part.covariance for part in parts]),
    )


def products(x: npt.NDArray[np.floating], centre: Floats) -> Floats:
    """Columns 1, x_i and x_i x_j (i <= j) of centred x, shape (n, 1 + d + d(d+1)/2).

    Each column is contiguous in memory, so that filling and multiplying are fast.
    """
    y = np.ascontiguousarray((np.asarray(x, dtype=np.float64) - centre).T)
    d, n = y.shape
    out = np.empty((1 + d + d * (d + 1) // 2, n))
    out[0] = 1.0
    out[1 : 1 + d] = y
    end = 1 + d
    for i in range(d):  # in the order of triu_indices
        begin, end = end, end + d - i
        np.multiply(y[i], y[i:], out=out[begin:end])
    return out.T


@cache
def _pairs(d: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], Floats]:
    """Rows and columns of the pairs i <= j, and how often each pair stands in a symmetric matrix."""
    rows, columns = np.triu_indices(d)
    return rows, columns, np.where(rows == columns, 1.0, 2.0)


def coefficients(mixture: Mixture, centre: Floats) -> tuple[Floats, Floats]:
    """Linear coefficients of the Mahalanobis distances, shape (p, k), and the log normalisation, shape (k,)."""
    d = mixture.d
    precision = np.linalg.inv(mixture.covariance)
    mean = mixture.mean - centre
    rows, columns, factor = _pairs(d)
    linear = np.einsum("kij,kj->ki", precision, mean)
    out = np.concatenate(
        [
            np.einsum("ki,ki->k", linear, mean)[:, None],
            -2.0 * linear,
            precision[:, rows, columns] * factor,
        ],
        axis=1,
    ).T
    _, logdet = np.linalg.slogdet(mixture.covariance)
    return np.ascontiguousarray(out), -0.5 * (d * LOG_2PI + logdet)


def mahalanobis_squared(mixture: Mixture, x: npt.NDArray[np.floating]) -> Floats:
    """Squared distances to every component, shape (n, k), contiguous for each component."""
    centre = mixture.mean.mean(axis=0)
    return _distances(coefficients(mixture, centre)[0], centre, x)


def _distances(coefficient: Floats, centre: Floats, x: npt.NDArray[np.floating]) -> Floats:
    """Squared distances (n, k) from the linear coefficients (p, k) of the distances."""
    weights = np.ascontiguousarray(coefficient.T)
    out = np.empty((len(weights), len(x)))
    for start in range(0, len(x), BLOCK):
        part = slice(start, start + BLOCK)
        np.matmul(weights, products(x[part], centre).T, out=out[:, part])
    return np.maximum(out, 0.0, out=out).T


def component_log_density(mixture: Mixture, x: npt.NDArray[np.floating], *, degrees: float | None = None) -> Floats:
    """Log of weight times density of every component, shape (n, k).

    Parameters
    ----------
    degrees
        Degrees of freedom of a multivariate t with the same scale matrix; None for the Gaussian. The heavier tail keeps
        stray normal cells from looking impossible.
    """
    centre = mixture.mean.mean(axis=0)
    coefficient, norm = coefficients(mixture, centre)
    distance = _distances(coefficient, centre, x)
    log_weight = np.log(np.maximum(mixture.weight, 1e-300))
    if degrees is None:
        return log_weight + norm - 0.5 * distance
    from scipy.special import gammaln

    d = mixture.d
    constant = gammaln((degrees + d) / 2) - gammaln(degrees / 2) - 0.5 * d * np.log(degrees / 2)
    heavy: Floats = log_weight + norm + constant - 0.5 * (degrees + d) * np.log1p(distance / degrees)
    return heavy


def chi2_quantile(probability: float, degrees: float) -> float:
    """Quantile of the chi-squared distribution.

    ``scipy.stats.chi2.ppf`` gives the same, but importing ``scipy.stats`` takes longer than classifying a tube.
    """
    from scipy.special import gammaincinv

    return float(2.0 * gammaincinv(degrees / 2, probability))


def log_sum(values: Floats) -> Floats:
    """Log of the sum of exponentials along the last axis."""
    if values.shape[-1] == 1:
        return values[..., 0]
    top = values.max(axis=-1)
    out: Floats = top + np.log(np.exp(values - top[..., None]).sum(axis=-1))
    return out


def log_density(mixture: Mixture, x: npt.NDArray[np.floating], *, degrees: float | None = None) -> Floats:
    """Log density, shape (n,), evaluated in chunks so that memory does not grow with the tube."""
    out = np.empty(len(x))
    for start in range(0, len(x), CHUNK):
        part = slice(start, start + CHUNK)
        out[part] = log_sum(component_log_density(mixture, x[part], degrees=degrees))
    return out


def membership(log_odds: Floats) -> Floats:
    """Probability from log odds, shape (n,)."""
    out: Floats = 1.0 / (1.0 + np.exp(-np.clip(log_odds, -60, 60)))
    return out


def draw(mixture: Mixture, n: int, rng: np.random.Generator) -> Floats:
    """Random cells of a mixture, component by component, shape (n, d), decades."""
    counts = rng.multinomial(n, mixture.weight / mixture.weight.sum())
    parts = [
        rng.multivariate_normal(mixture.mean[k], mixture.covariance[k], size=int(count))
        for k, count in enumerate(counts)
        if count
    ]
    out: Floats = np.concatenate(parts)
    return out


@dataclass(frozen=True)
class Moments:
    """Weighted sufficient statistics of every component."""

    count: Floats
    effective: Floats
    mean: Floats
    covariance: Floats


@dataclass(frozen=True)
class EmStep:
    """Result of one E-step, as the M-step needs it.

    Attributes
    ----------
    moments
        Sufficient statistics of every component of the mixture.
    beside
        Shape (m,): weighted events of the densities beside the mixture.
    log_density
        Shape (n,): log density of every cell under the mixture and the densities beside it.
    """

    moments: Moments
    beside: Floats
    log_density: Floats


def em_step(mixture: Mixture, table: Floats, centre: Floats, weight: Floats, beside: Floats | None = None) -> EmStep:
    """E-step and sufficient statistics in one pass over blocks that stay in a processor's cache.

    Parameters
    ----------
    mixture
        Components to fit. Their weights may sum to less than 1; the rest belongs to the densities beside them.
    table, centre
        The :func:`products` of the cells, shape (n, p), and the point at which they are centred, shape (d,).
    weight
        Shape (n,): importance of every cell.
    beside
        Shape (m, n): log of share times density of fixed densities that compete for the cells.
    """
    linear = log_density_coefficients(mixture, centre)
    n, k, d = len(table), mixture.k, mixture.d
    others = np.empty((0, n)) if beside is None else beside
    log_densities, effective, total = np.empty(n), np.zeros(k), np.zeros((k, table.shape[1]))
    beside_total = np.zeros(len(others))
    for start in range(0, n, EM_BLOCK):
        part = slice(start, start + EM_BLOCK)
        rows = table[part]
        odds = np.empty((k + len(others), len(rows)))
        np.matmul(linear, rows.T, out=odds[:k])
        odds[k:] = others[:, part]
        log_densities[part], responsibility = normalised(odds)
        effective += responsibility[:k].sum(axis=1)
        responsibility *= weight[part]
        total += responsibility[:k] @ rows
        beside_total += responsibility[k:].sum(axis=1)
    count = np.maximum(total[:, 0], 1e-12)
    mean = total[:, 1 : 1 + d] / count[:, None]
    i, j, _ = _pairs(d)
    second = np.zeros((k, d, d))
    second[:, i, j] = total[:, 1 + d :] / count[:, None]
    second[:, j, i] = second[:, i, j]
    covariance = second - mean[:, :, None] * mean[:, None, :]
    return EmStep(Moments(total[:, 0], effective, mean + centre, covariance), beside_total, log_densities)


def log_density_of_products(mixture: Mixture, table: Floats, centre: Floats) -> Floats:
    """Log density, shape (n,), of the cells behind the :func:`products` ``table``."""
    linear = log_density_coefficients(mixture, centre)
    out = np.empty(len(table))
    for start in range(0, len(table), EM_BLOCK):
        part = slice(start, start + EM_BLOCK)
        out[part], _ = normalised(linear @ table[part].T)
    return out


def log_density_coefficients(mixture: Mixture, centre: Floats) -> Floats:
    """Log of weight times density of every component as a linear function of the products, shape (k, p)."""
    coefficient, norm = coefficients(mixture, centre)
    linear = np.ascontiguousarray(-0.5 * coefficient.T)
    linear[:, 0] += np.log(np.maximum(mixture.weight, 1e-300)) + norm
    return linear


def normalised(log_values: Floats) -> tuple[Floats, Floats]:
    """Log of the sum of exponentials over the first axis, and each value's part of that sum; overwrites the values."""
    top = log_values.max(axis=0)
    log_values -= top
    np.exp(log_values, out=log_values)
    total = log_values.sum(axis=0)
    log_values /= total
    return top + np.log(total), log_values


def seed_means(x: Floats, k: int, rng: np.random.Generator, steps: int) -> Floats:
    """Starting means: k-means++ draws and a few Lloyd steps, on standardised features."""
    scale = np.maximum(x.std(axis=0), 1e-3)
    y = x / scale
    means = np.empty((k, y.shape[1]))
    means[0] = y[rng.integers(len(y))]
    nearest = ((y - means[0]) ** 2).sum(axis=1)
    for i in range(1, k):
        total = nearest.sum()
        share = nearest / total if total > 0 else np.full(len(y), 1 / len(y))
        means[i] = y[rng.choice(len(y), p=share)]
        nearest = np.minimum(nearest, ((y - means[i]) ** 2).sum(axis=1))
    for _ in range(steps):
        distance = (means**2).sum(axis=1) - 2 * y @ means.T
        label = distance.argmin(axis=1)
        size = np.bincount(label, minlength=k)
        for j in range(y.shape[1]):
            total_j = np.bincount(label, weights=y[:, j], minlength=k)
            means[:, j] = np.where(size > 0, total_j / np.maximum(size, 1), means[:, j])
    out: Floats = means * scale
    return out


def fit_mixture(
    x: npt.NDArray[np.floating],
    k: int,
    rng: np.random.Generator,
    parameters: ClassifierParameters,
    *,
    sd_least: float | None = None,
    steps: int | None = None,
) -> Mixture:
    """EM for a full-covariance mixture, regularised towards the pooled within-component covariance.

    Parameters
    ----------
    x
        Shape (n, d), decades; needs n > d.
    sd_least
        Smallest standard deviation in any direction, decades; its square is added to every covariance.
        ``parameters.mixture_sd_least`` where absent.
    steps
        Most EM steps; ``parameters.mixture_steps`` where absent.
    """
    sd = parameters.mixture_sd_least if sd_least is None else sd_least
    shape_events = parameters.mixture_shape_events
    data = np.asarray(x, dtype=np.float64)
    n, d = data.shape
    k = max(1, min(k, n // (2 * d) or 1))
    w = np.ones(n)
    mean = seed_means(data, k, rng, parameters.mixture_start_steps) if k > 1 else data.mean(axis=0)[None]
    total = np.cov(data.T).reshape(d, d) + sd**2 * np.eye(d)
    mixture = Mixture(np.full(k, 1 / k), mean, np.repeat(total[None] / max(1.0, k ** (2 / d)), k, axis=0))
    centre = data.mean(axis=0)
    table = products(data, centre)
    last = -np.inf
    for _ in range(parameters.mixture_steps if steps is None else steps):
        found = em_step(mixture, table, centre, w)
        stats = found.moments
        share = np.maximum(stats.count, 1e-9) / max(stats.count.sum(), 1e-9)
        pooled = np.einsum("k,kij->ij", share, stats.covariance)
        covariance = (stats.effective[:, None, None] * stats.covariance + shape_events * pooled) / (
            stats.effective + shape_events
        )[:, None, None] + sd**2 * np.eye(d)
        empty = stats.effective < 1e-3
        mixture = Mixture(share, np.where(empty[:, None], mixture.mean, stats.mean), covariance)
        now = float((found.log_density * w).mean())
        if now - last < parameters.mixture_gain_least:
            break
        last = now
    return mixture
