"""Kinds of leukaemia whose cells are spiked into a tube, to measure its sensitivity.

A patient with a diagnosis tube has one kind: the patient's own phenotype, once in the staining of the diagnosis tube
and once in that of the tube in question. Without a diagnosis tube the leukaemia may be of any kind, so many kinds are
tried: the phenotypes of a library of other patients, or else phenotypes drawn from the prior of 332 patients
(:mod:`flowmrd.classifier.blast_prior`). The drawn phenotypes are the same for every tube and are spread evenly over the
prior by a Latin hypercube (McKay et al., Technometrics 1979;21:239): the distribution of every marker is cut into parts
of equal probability, and each part is used once. Tubes miss those that lie nearest to normal cells. So of many drawn
phenotypes each of these is tried, and a few stand for all the others. One leukaemia in ten lies where haematogones do,
and whether it is found depends on the tube's own precursors. Such kinds are added to the others. They lie as near to
normal B cells as real leukaemias do and count by their share of the patients.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from flowmrd.classifier.blast_prior import blast_spread, cluster_shape, ends_of_blasts, precursor_like
from flowmrd.classifier.candidate_cells import Floats32
from flowmrd.classifier.mixture import Floats, Mixture, log_density
from flowmrd.classifier.normal_model import NormalModel
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.patient_laip import PatientLaip
from flowmrd.classifier.searched_phenotypes import SearchedPhenotypes
from flowmrd.classifier.window_cells import WindowCells

Source = Literal["patient", "library", "simulated"]


@dataclass(frozen=True)
class DrawnCells:
    """Cells to spike: values (n, d), decades, and any further known channels of these cells, shape (n,), 0..1 scale."""

    values: Floats32
    others: Mapping[str, Floats32]


@dataclass(frozen=True)
class PulseShapes:
    """Pulse height and width of a diagnosis tube's cells, which the classifier does not use.

    Attributes
    ----------
    values
        Channel to its values on the 0..1 scale, shape (m,).
    areas
        Name of an area channel to its column among the features and the cells' own values in it, shape (m,), decades.
    """

    values: Mapping[str, Floats32]
    areas: Mapping[str, tuple[int, Floats32]]

    def of(self, rows: npt.NDArray[np.intp], moved: Floats32) -> dict[str, Floats32]:
        """Pulse shape of some cells whose features were moved; a height moves with its area."""
        out: dict[str, Floats32] = {}
        for name, values in self.values.items():
            area = f"{name.removesuffix('-H')}-A"
            out[name] = values[rows]
            if name.endswith("-H") and area in self.areas:
                column, before = self.areas[area]
                ratio = moved[:, column] / np.maximum(before[rows], np.float32(1e-3))
                out[name] = (values[rows] * ratio).astype(np.float32)
        return out


def _pulses(laip: PatientLaip) -> PulseShapes | None:
    if not laip.others:
        return None
    areas = {name: place for place, name in enumerate(laip.features) if name.endswith("-A")}
    return PulseShapes(
        {name: np.ascontiguousarray(laip.other_values[:, place]) for place, name in enumerate(laip.others)},
        {name: (place, np.ascontiguousarray(laip.cells[:, place])) for name, place in areas.items()},
    )


@dataclass(frozen=True)
class LeukaemiaKind:
    """One kind of leukaemia as it would lie in a tube.

    Attributes
    ----------
    mixture
        Its phenotype in the staining of the tube, decades.
    cells
        Shape (m, d): real cells of this kind in that staining, decades; None where cells are drawn from the mixture.
    pulses
        Pulse shape of these cells; None where it is not known.
    share
        Share of all leukaemias that this kind stands for.
    """

    source: Source
    mixture: Mixture
    cells: Floats | None = None
    pulses: PulseShapes | None = None
    share: float = 1.0

    def draw(self, count: int, rng: np.random.Generator, drift_sd: float) -> Floats32:
        """Cells of this kind, all moved by one random drift, shape (count, d), decades."""
        return self.draw_whole(count, rng, drift_sd).values

    def draw_whole(self, count: int, rng: np.random.Generator, drift_sd: float) -> DrawnCells:
        """The same cells with their pulse shape, where it is known."""
        d = self.mixture.d
        drift = rng.normal(0.0, drift_sd, d)
        if self.cells is not None:
            rows = rng.integers(len(self.cells), size=count)
            picked: Floats32 = (self.cells[rows] + drift).astype(np.float32)
            return DrawnCells(picked, {} if self.pulses is None else self.pulses.of(rows, picked))
        which = rng.choice(self.mixture.k, size=count, p=self.mixture.weight)
        root = np.linalg.cholesky(self.mixture.covariance)
        noise = np.einsum("nij,nj->ni", root[which], rng.standard_normal((count, d)))
        return DrawnCells((self.mixture.mean[which] + noise + drift).astype(np.float32).reshape(count, d), {})


def kinds_of_leukaemia(
    search: SearchedPhenotypes, cells: WindowCells, placed: Floats | None = None
) -> list[LeukaemiaKind]:
    """Kinds that the leukaemia of this tube may be, in an order that is the same every time.

    Parameters
    ----------
    cells
        Cells of the tube; the kinds are returned in its staining.
    placed
        Shape (d,): shift of the patient's phenotype against the diagnosis tube, decades, where cells of this tube show
        it; None where none do.
    """
    if search.laip is not None and placed is not None:
        return [_of_laip(search.laip, "patient", placed)]
    if search.laip is not None:
        # Nobody knows beforehand whether a patient's cells keep the staining of the diagnosis tube or follow this
        # tube's.
        return [
            _of_laip(search.laip, "patient", np.zeros(len(cells.features))),
            _followed(search.laip, "patient", cells),
        ]
    if search.library.is_usable(search.parameters):
        entries = [entry.select(cells.features) for entry in search.library.entries]
        most = search.parameters.spike_kinds
        if len(entries) > most:
            entries = [entries[i * len(entries) // most] for i in range(most)]
        return [replace(_followed(entry, "library", cells), share=1 / len(entries)) for entry in entries]
    anywhere = representative_kinds(cells.normal, search.parameters)
    near = precursor_like_kinds(cells.features, cells.normal.normal_b, search.parameters)
    rest = 1.0 - sum(kind.share for kind in near)
    kinds = [*(replace(kind, share=rest * kind.share) for kind in anywhere), *near]
    return [replace(kind, mixture=kind.mixture.shifted(cells.shift)) for kind in kinds]


def _of_laip(laip: PatientLaip, source: Source, shift: Floats) -> LeukaemiaKind:
    return LeukaemiaKind(source, laip.mixture.shifted(shift), laip.cells + shift, _pulses(laip))


def _followed(laip: PatientLaip, source: Source, cells: WindowCells) -> LeukaemiaKind:
    """A phenotype in the staining of another tube."""
    return _of_laip(laip, source, cells.shift - laip.staining)


def representative_kinds(model: NormalModel, parameters: ClassifierParameters) -> list[LeukaemiaKind]:
    """The phenotypes of a large draw that lie nearest to normal cells, each by itself, and a few for all the others.

    A tube finds nearly all the others, so few of them tell their share as well as many. They are the middle ones of
    equal parts of the others in the order of their gain. A part that held a sixth of the leukaemias, the furthest from
    normal cells, took the answer of every tube in which its one kind lay beyond the range of a detector. Shares are of
    all leukaemias that the draw stands for.

    Parameters
    ----------
    model
        Normal cells of the controls; the phenotypes are in its staining.
    """
    drawn = kinds_of_prior(model.features, model.normal_b, parameters, parameters.spike_kinds_drawn)
    order = np.argsort([expected_gain(kind.mixture, model, parameters) for kind in drawn], kind="stable")
    near = min(parameters.spike_kinds_nearest, len(order))
    nearest, rest = order[:near], order[near:]
    parts = [part for part in np.array_split(rest, parameters.spike_kinds) if len(part)]
    chosen = [(int(number), 1) for number in nearest] + [(int(part[len(part) // 2]), len(part)) for part in parts]
    return [replace(drawn[number], share=stands_for / len(drawn)) for number, stands_for in chosen]


def expected_gain(mixture: Mixture, model: NormalModel, parameters: ClassifierParameters) -> float:
    """Mean gain of a phenotype's cells over the controls' normal cells at the target level, natural log per cell."""
    rng = np.random.default_rng(parameters.spike_kinds_seed)
    root = np.linalg.cholesky(mixture.covariance[0])
    x = mixture.mean[0] + rng.standard_normal((parameters.spike_kinds_cells, mixture.d)) @ root.T
    ratio = log_density(mixture, x) - log_density(model.mixture, x, degrees=parameters.tail_degrees)
    return float(np.logaddexp(0.0, np.log(parameters.target) + ratio).mean())


def kinds_of_prior(
    features: tuple[str, ...], normal_b: Floats, parameters: ClassifierParameters, n: int
) -> list[LeukaemiaKind]:
    """Phenotypes drawn evenly from the prior of blasts, between the dimmest and the brightest real one in each marker.

    The tails of a normal distribution hold leukaemias that nobody has: of 160, six had more CD10 than any of 332 real
    ones, and in many tubes they lay beyond the range of the detector.

    Parameters
    ----------
    normal_b
        Shape (d,): centre of normal B cells, decades.
    n
        Number of phenotypes.
    """
    from scipy.special import ndtr, ndtri

    shape = cluster_shape(features)
    (mean, sd), (dimmest, brightest) = blast_spread(features), ends_of_blasts(features)
    low, high = ndtr((dimmest - mean) / sd), ndtr((brightest - mean) / sd)
    d = len(features)
    rng = np.random.default_rng(parameters.spike_kinds_seed)
    strata = np.stack([rng.permutation(n) for _ in range(d)], axis=1)
    centres = normal_b + mean + sd * ndtri(low + (high - low) * (strata + 0.5) / n)
    return [LeukaemiaKind("simulated", Mixture(np.ones(1), centre[None], shape[None])) for centre in centres]


def precursor_like_kinds(
    features: tuple[str, ...], normal_b: Floats, parameters: ClassifierParameters
) -> list[LeukaemiaKind]:
    """Leukaemias that lie where haematogones do: for every stage an average one, and one nearer to normal B cells.

    One that stands for many patients is tried with several drifts, because a single drift would decide whether a tube
    finds them. The nearer one lies ``spike_near_sd`` standard deviations nearer in every marker, but not beyond the
    normal B cells. It stands for ``spike_near_share`` of the leukaemias of its stage.
    """
    shape = cluster_shape(features)
    usual = 1.0 / max(parameters.spike_kinds, 1)
    out: list[LeukaemiaKind] = []
    for stage in precursor_like(features):
        nearer = np.maximum(np.abs(stage.shift) - parameters.spike_near_sd * stage.sd, 0.0) * np.sign(stage.shift)
        near = parameters.spike_near_share
        for shift, share in ((stage.shift, (1.0 - near) * stage.share), (nearer, near * stage.share)):
            mixture = Mixture(np.ones(1), (normal_b + shift)[None], shape[None])
            times = int(np.ceil(share / usual))
            out += [LeukaemiaKind("simulated", mixture, share=share / times)] * times
    return out
