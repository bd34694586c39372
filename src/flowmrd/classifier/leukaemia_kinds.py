"""Kinds of leukaemia whose cells are spiked into a tube, to say what the tube could have shown.

A patient with a diagnosis tube has one kind: the own phenotype, once in the staining of that tube and once in that of
the tube in question. Without one the leukaemia may be of any kind, so that many are tried: those of a library of other
patients, else phenotypes drawn from the prior of 332 patients (:mod:`flowmrd.classifier.blast_prior`). The phenotypes
drawn are the same for every tube, and spread evenly over the prior: every marker takes each tenth of its distribution
once (a Latin hypercube, McKay et al., Technometrics 1979;21:239).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from flowmrd.classifier.blast_prior import blast_prior, cluster_shape
from flowmrd.classifier.candidate_cells import Floats32
from flowmrd.classifier.mixture import Floats, Mixture
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.patient_laip import PatientLaip
from flowmrd.classifier.search import Search
from flowmrd.classifier.window_cells import WindowCells

Source = Literal["patient", "library", "simulated"]


@dataclass(frozen=True)
class LeukaemiaKind:
    """One kind of leukaemia as it would lie in a tube.

    Attributes
    ----------
    mixture
        Its phenotype in the staining of the tube, decades.
    cells
        Shape (m, d): real cells of it in that staining, decades; None where cells are drawn from the mixture.
    """

    source: Source
    mixture: Mixture
    cells: Floats | None = None

    def draw(self, count: int, rng: np.random.Generator, drift_sd: float) -> Floats32:
        """Cells of this kind, moved together by a drift of their own, shape (count, d), decades."""
        d = self.mixture.d
        drift = rng.normal(0.0, drift_sd, d)
        if self.cells is not None:
            picked: Floats32 = (self.cells[rng.integers(len(self.cells), size=count)] + drift).astype(np.float32)
            return picked
        which = rng.choice(self.mixture.k, size=count, p=self.mixture.weight)
        root = np.linalg.cholesky(self.mixture.covariance)
        noise = np.einsum("nij,nj->ni", root[which], rng.standard_normal((count, d)))
        drawn: Floats32 = (self.mixture.mean[which] + noise + drift).astype(np.float32).reshape(count, d)
        return drawn


def kinds_of_leukaemia(search: Search, cells: WindowCells) -> list[LeukaemiaKind]:
    """Kinds that the leukaemia of this tube may be; at most ``spike_kinds``, in an order that is the same every time.

    Parameters
    ----------
    cells
        The tube; its staining is that of the kinds.
    """
    if search.laip is not None:
        # Whether a patient's cells keep the staining of their tube or follow this tube's is not known beforehand.
        return [
            _of_laip(search.laip, "patient", np.zeros(len(cells.features))),
            _followed(search.laip, "patient", cells),
        ]
    if search.library.is_usable(search.parameters):
        entries = [entry.select(cells.features) for entry in search.library.entries]
        most = search.parameters.spike_kinds
        if len(entries) > most:
            entries = [entries[i * len(entries) // most] for i in range(most)]
        return [_followed(entry, "library", cells) for entry in entries]
    return _from_prior(cells.features, cells.normal.normal_b + cells.shift, search.parameters)


def _of_laip(laip: PatientLaip, source: Source, shift: Floats) -> LeukaemiaKind:
    return LeukaemiaKind(source, laip.mixture.shifted(shift), laip.cells + shift)


def _followed(laip: PatientLaip, source: Source, cells: WindowCells) -> LeukaemiaKind:
    """A phenotype in the staining of another tube."""
    return _of_laip(laip, source, cells.shift - laip.staining)


def _from_prior(features: tuple[str, ...], normal_b: Floats, parameters: ClassifierParameters) -> list[LeukaemiaKind]:
    """Phenotypes drawn evenly from the prior of blasts."""
    from scipy.special import ndtri

    prior, shape = blast_prior(features, normal_b, parameters), cluster_shape(features)
    sd = np.sqrt(np.diagonal(prior.covariance[0] - shape))
    n, d = parameters.spike_kinds, len(features)
    rng = np.random.default_rng(parameters.spike_kinds_seed)
    strata = np.stack([rng.permutation(n) for _ in range(d)], axis=1)
    centres = prior.mean[0] + sd * ndtri((strata + 0.5) / n)
    return [LeukaemiaKind("simulated", Mixture(np.ones(1), centre[None], shape[None])) for centre in centres]
