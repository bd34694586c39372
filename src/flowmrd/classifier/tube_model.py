"""The normal components as they lie in one tube.

Normal cells are learned from the controls, and the staining is adapted to the tube. The components of the reference are
moved to where the tube's own cells are, within the bounds that the controls set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flowmrd.classifier.blast_prior import blast_prior
from flowmrd.classifier.candidate_cells import CandidateCells, Floats32, thin, training_sample
from flowmrd.classifier.doublet_model import doublet_mixture
from flowmrd.classifier.mixture import (
    CHUNK,
    Floats,
    Mixture,
    Moments,
    chi2_quantile,
    combine,
    component_log_density,
    em_step,
    log_density_of_products,
    log_sum,
    products,
)
from flowmrd.classifier.normal_model import NormalModel, moved
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.staining import common_shift, outlier_component, staining_shift


@dataclass(frozen=True)
class TubeModel:
    """Normal components as they lie in one tube.

    Attributes
    ----------
    mixture
        Moved components in the order of the reference, followed by components for doublets that pass the singlet gate
        and for normal cells whose markers a drug has masked.
    shift
        Shape (d,): common shift of the tube against the reference, decades.
    outlier_share
        Share of the cells that no normal component explains.
    displacement
        Root mean square of the components' standardised displacement after the common shift is taken out, weighted by
        their cells outside the window.
    shrunken
        The same components, where those of the window that lie too far from their place are shrunken towards it
        (:func:`shrunken_to_reference`). None where no component lies too far. Not stored.
    """

    mixture: Mixture
    shift: Floats
    outlier_share: float
    displacement: float
    shrunken: Mixture | None = None

    def select(self, index: list[int]) -> TubeModel:
        """The model in some of its features."""
        shrunken = None if self.shrunken is None else self.shrunken.marginal(index)
        return TubeModel(
            self.mixture.marginal(index), self.shift[index], self.outlier_share, self.displacement, shrunken
        )

    def log_density(self, x: Floats32 | Floats, parameters: ClassifierParameters) -> Floats:
        """Log density with heavy tails, shape (n,)."""
        out = np.empty(len(x))
        for start in range(0, len(x), CHUNK):
            part = slice(start, start + CHUNK)
            out[part] = log_sum(component_log_density(self.mixture, x[part], degrees=parameters.tail_degrees))
        return out


def shrunken_to_reference(
    local: Mixture,
    expected: Mixture,
    between_tube_sd: Floats,
    in_window: npt.NDArray[np.bool_],
    parameters: ClassifierParameters,
) -> Mixture | None:
    """Shrink populations of the window that lie further from their place than normal populations do towards that place.

    Where treatment has left few precursors, no cells hold their component in place. A few hundred leukaemic cells near
    it pull it onto themselves and would pass for normal. A shrunken component keeps the number of its cells and the
    direction of its displacement. Its distance is that of typical populations in controls, and its spread is the one it
    has there. Marrow without leukaemia can hold displaced populations too, so a group that only this model finds
    abnormal is reported and not counted.

    Parameters
    ----------
    local, expected
        Components as fitted to the tube's cells, and as expected from the reference in the staining of the tube.
    between_tube_sd
        Shape (k, d): standard deviation of the components' means over controls, decades.
    in_window
        Shape (k,): components of the B-lineage window; the others are not shrunken, since leukaemia is searched for in
        the window.

    Returns
    -------
    Mixture or None
        None where every population lies within the range of normal ones.
    """
    d = local.d
    distance = (((local.mean - expected.mean) / between_tube_sd) ** 2).sum(axis=1)
    strained = in_window & (distance > chi2_quantile(parameters.place_quantile, d))
    if not strained.any():
        return None
    share = np.sqrt(d / np.maximum(distance, 1e-9))[:, None]
    mean = np.where(strained[:, None], expected.mean + share * (local.mean - expected.mean), local.mean)
    covariance = np.where(strained[:, None, None], expected.covariance, local.covariance)
    return Mixture(local.weight, mean, covariance)


def bounded(covariance: Floats, reference: Floats, parameters: ClassifierParameters) -> Floats:
    """Covariances (k, d, d), limited to standard deviations of ``widest_population`` times those of the reference."""
    own = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    most = parameters.widest_population * np.sqrt(np.diagonal(reference, axis1=1, axis2=2))
    factor = np.minimum(1.0, most / own)
    out: Floats = covariance * factor[:, :, None] * factor[:, None, :]
    return out


def drug_masked_normals(
    model: NormalModel, shift: Floats, unreliable: frozenset[str], parameters: ClassifierParameters
) -> Mixture | None:
    """Normal cells of the window whose unreliable markers lie anywhere between lost and normal.

    A drug that is an antibody covers its target on normal B cells too: CD22 after inotuzumab, CD20 after rituximab.
    Such cells are not leukaemic. Returns None where no marker is unreliable.
    """
    columns = [j for j, name in enumerate(model.features) if name in unreliable]
    if not columns or not model.in_window.any():
        return None
    own = model.mixture.only(model.in_window)
    mean, covariance = own.mean + shift, own.covariance.copy()
    for j in columns:
        # Cells without the marker lie at a low quantile of all normal components.
        lowest = float(np.quantile(model.mixture.mean[:, j], parameters.negative_quantile)) + shift[j]
        gap = np.maximum(mean[:, j] - lowest, 0.0)
        variance = covariance[:, j, j] + gap**2 / 12.0  # of a uniform distribution over the gap
        covariance[:, j, :] = covariance[:, :, j] = 0.0
        covariance[:, j, j] = variance
        mean[:, j] -= gap / 2.0
    return Mixture(own.weight, mean, covariance)


@dataclass(frozen=True)
class _Other:
    """A density beside the normal populations that has a share of its own in the fit.

    ``is_normal``: whether it joins the normal density (doublets, masked cells) or only takes cells (blasts, outliers).
    """

    mixture: Mixture
    share: float
    is_normal: bool = False
    share_most: float = 1.0


@dataclass(frozen=True)
class FitInput:
    """What every fit of one tube starts from (:func:`fit_input`).

    Attributes
    ----------
    table, centre, weight
        The :func:`~flowmrd.classifier.mixture.products` of the training cells, shape (n, p), the point at which they
        are centred, shape (d,), and the cells' importance, shape (n,).
    middle
        Shape (d,): mean of the training cells, decades.
    shift
        Shape (d,): staining of the tube by its cells outside the window, decades.
    doublets
        Doublets that pass the singlet gate; None where not known.
    """

    table: Floats
    centre: Floats
    weight: Floats
    middle: Floats
    shift: Floats
    doublets: Mixture | None


def fit_input(model: NormalModel, tube: CandidateCells, parameters: ClassifierParameters) -> FitInput:
    """Training cells, staining and doublets of a tube; for :func:`fit_tube` where one tube is fitted several times."""
    tube = tube.select(model.features)
    x, weight = training_sample(tube, parameters.fitted_cells, parameters.training_window_share)
    centre = model.mixture.mean.mean(axis=0)
    return FitInput(
        products(x, centre),
        centre,
        weight,
        x.mean(axis=0) if len(x) else centre,
        _tube_staining(model, tube, parameters),
        None if tube.doublets is None else doublet_mixture(tube.doublets, parameters),
    )


def _others(
    model: NormalModel,
    start: FitInput,
    known: Sequence[_Other],
    *,
    window_moves: bool,
    unreliable: frozenset[str],
    parameters: ClassifierParameters,
) -> list[_Other]:
    """Outliers first, then doublets, masked cells and what the tube is known to hold.

    Without a component of their own, a few hundred leukaemic cells would draw a small normal population onto
    themselves.
    """
    out = [_Other(outlier_component(start.middle, parameters), parameters.outlier_share)]
    if start.doublets is not None:
        out.append(_Other(start.doublets, parameters.rare_share_start, True, parameters.doublet_share_most))
    masked = drug_masked_normals(model, start.shift, unreliable, parameters)
    if masked is not None:
        out.append(_Other(masked, parameters.masked_share, True))
    if window_moves:
        prior = blast_prior(model.features, model.normal_b + start.shift, parameters)
        out.append(_Other(prior, parameters.rare_share_start))
    return [*out, *known]


def _tube_staining(model: NormalModel, tube: CandidateCells, parameters: ClassifierParameters) -> Floats:
    """Staining of a tube by its cells outside the window, where leukaemia cannot distort it; shape (d,), decades."""
    outside = thin(~tube.window, parameters.staining_cells)
    if len(outside) < parameters.staining_cells_least:
        return np.zeros(len(model.features))
    anchors = model.window_share < parameters.in_window_share
    known = model.mixture.only(anchors) if anchors.any() else model.mixture
    return staining_shift(known, tube.values[outside].astype(np.float64), parameters)


def fit_tube(
    model: NormalModel,
    tube: CandidateCells,
    parameters: ClassifierParameters,
    *,
    leukaemia: Mixture | None = None,
    leukaemia_share: float = 0.0,
    regenerating: Mixture | None = None,
    outside_window_only: bool = False,
    unreliable: frozenset[str] = frozenset(),
    start: FitInput | None = None,
) -> TubeModel:
    """Move the normal components to this tube's cells, within the bounds that the controls set.

    Parameters
    ----------
    leukaemia
        Phenotype of leukaemia that the tube is known to hold. It explains the leukaemic cells, so that they do not pull
        normal components.
    leukaemia_share
        Starting share of ``leukaemia``.
    regenerating
        Regenerating precursors that the controls lack, weights as shares of the tube; a population of its normal cells.
    outside_window_only
        True where the window may be full of leukaemia. Only cells outside the window then determine the common shift,
        and the window's components follow it without moving on their own.
    unreliable
        Markers that the therapy also removes from normal cells or masks on them.
    start
        :func:`fit_input` of the same model and tube, if already made.
    """
    d = len(model.features)
    base, between = model.mixture, model.between_tube_sd
    if tube.n == 0:
        return TubeModel(base, np.zeros(d), 0.0, 0.0)
    start = start or fit_input(model, tube, parameters)
    table, centre, weight, shift = start.table, start.centre, start.weight, start.shift
    known = [] if leukaemia is None else [_Other(leukaemia, leukaemia_share)]
    if regenerating is not None:
        share = float(regenerating.weight.sum())
        known.append(_Other(regenerating.with_share(1.0 / share), share, True))
    others = _others(
        model,
        start,
        known,
        window_moves=not outside_window_only,
        unreliable=unreliable,
        parameters=parameters,
    )
    shares = [other.share for other in others]
    beside = np.array([log_density_of_products(other.mixture, table, centre) for other in others])
    local, outliers = base.shifted(shift), 0.0
    for step in range(parameters.tube_steps):
        rest = local.with_share(max(1.0 - sum(shares), 0.01))
        done = em_step(rest, table, centre, weight, beside + np.log(np.maximum(shares, 1e-300))[:, None])
        stats, found = done.moments, [float(count) for count in done.beside]
        outliers = found[0]
        shares = _shares(others, shares, found, parameters)
        # Weights are fitted from the second step on; the first step only finds the common shift.
        local, shift = _moved_components(
            model,
            local,
            stats,
            parameters,
            keep_weight=step == 0 or outside_window_only,
            outside_window_only=outside_window_only,
        )
    # The window may hold leukaemia or no cells at all, so only cells outside it show how unlike the controls a tube is.
    offset = ((local.mean - base.mean - shift) / between) ** 2
    judged = base.weight * (1.0 - model.window_share)
    judged = judged / max(judged.sum(), 1e-12)
    displacement = float(np.sqrt((judged[:, None] * offset).sum() / d))
    shrunken = shrunken_to_reference(local, base.shifted(shift), between, model.in_window, parameters)
    whole = _with_normal_others(local, others, shares)
    return TubeModel(
        whole,
        shift,
        outliers,
        displacement,
        None if shrunken is None else _with_normal_others(shrunken, others, shares),
    )


def _shares(
    others: Sequence[_Other], shares: list[float], found: list[float], parameters: ClassifierParameters
) -> list[float]:
    """Shares for the next step; the share of the outliers is fixed."""
    least = parameters.component_share_least
    updated = [min(max(value, least), other.share_most) for other, value in zip(others[1:], found[1:], strict=True)]
    return [shares[0], *updated]


def _moved_components(
    model: NormalModel,
    local: Mixture,
    stats: Moments,
    parameters: ClassifierParameters,
    *,
    keep_weight: bool,
    outside_window_only: bool,
) -> tuple[Mixture, Floats]:
    """The M-step of the normal components, and the common shift of the tube.

    Parameters
    ----------
    stats
        Sufficient statistics of every normal component.
    """
    base, between = model.mixture, model.between_tube_sd
    count, effective, found_mean, found_covariance = stats.count, stats.effective, stats.mean, stats.covariance
    events = np.where(model.in_window, 1e-9, effective) if outside_window_only else effective
    variance = np.maximum(np.diagonal(local.covariance, axis1=1, axis2=2), parameters.population_sd_least**2)
    precision = events[:, None] / variance
    shift = common_shift(found_mean - base.mean, events, precision, between, parameters)
    expected = base.mean + shift
    mean = moved(found_mean, precision, expected, between)
    limit = parameters.furthest_place * between
    mean = expected + np.clip(mean - expected, -limit, limit)
    offset = found_mean - mean
    own = found_covariance + offset[:, :, None] * offset[:, None, :]
    prior_events = parameters.tube_shape_events
    covariance = (events[:, None, None] * own + prior_events * base.covariance) / (events + prior_events)[:, None, None]
    covariance = bounded(covariance, base.covariance, parameters)
    own_weight = (count + 1e-7) / max(count.sum() + base.k * 1e-7, 1e-12)
    return Mixture(base.weight if keep_weight else own_weight, mean, covariance), shift


def _with_normal_others(local: Mixture, others: Sequence[_Other], shares: list[float]) -> Mixture:
    """The normal components, followed by those of the doublets and the masked cells."""
    seen = [(other.mixture, share) for other, share in zip(others, shares, strict=True) if other.is_normal]
    if not seen:
        return local
    rest = 1.0 - sum(share for _, share in seen)
    return combine([local, *(mixture for mixture, _ in seen)], [rest, *(share for _, share in seen)])
