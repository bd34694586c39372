"""Per-patient Gaussian mixtures of expert-gated cells (optional shared data) and cells drawn from them."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from flowmrd.classifier.mixture import Mixture

Floats = npt.NDArray[np.float64]
FEATURES = ("FSC-A", "SSC-A", "SYTO41", "CD19", "CD10", "CD20", "CD45", "CD34", "CD38")
LOW, HIGH = 0.0, 4.45
"""Draws outside the instrument's range are drawn again, as the data's description asks."""


@dataclass(frozen=True)
class Patient:
    """One sample of the collection."""

    name: str
    person: str
    cohort: str
    groups: dict[str, Mixture]
    events: dict[str, int]
    b_group_ok: bool

    @property
    def has_blasts(self) -> bool:
        """Whether the laboratory gated a blast component."""
        return "blast" in self.groups

    def normal_mixture(self) -> Mixture:
        """The marrow without its blasts, in its own proportions."""
        names = [name for name in ("other", "CD19") if name in self.groups]
        total = sum(self.events[name] for name in names)
        parts = [self.groups[name] for name in names]
        shares = [self.events[name] / total for name in names]
        return Mixture(
            np.concatenate([p.weight * s for p, s in zip(parts, shares, strict=True)]),
            np.concatenate([p.mean for p in parts]),
            np.concatenate([p.covariance for p in parts]),
        )


def load(folder: Path) -> list[Patient]:
    """Read ``mixtures_*.npz`` of a folder; CD58 is left out, since half of the samples lack it."""
    patients: list[Patient] = []
    for path in sorted(folder.glob("mixtures_*.npz")):
        with np.load(path, allow_pickle=False) as stored:
            data = {name: stored[name] for name in stored.files}
        names = [str(name) for name in data["features"]]
        index = np.array([names.index(name) for name in FEATURES])
        groups = [str(name) for name in data["groups"]]
        for row, name in enumerate(data["patient"]):
            own: dict[str, Mixture] = {}
            for g, group in enumerate(groups):
                which = np.flatnonzero((data["comp_patient"] == row) & (data["comp_group"] == g))
                if len(which):
                    covariance = data["comp_cov"][which][:, index[:, None], index[None, :]]
                    own[group] = Mixture(data["comp_weight"][which], data["comp_mean"][which][:, index], covariance)
            patients.append(
                Patient(
                    name=str(name),
                    person=str(data["person"][row]),
                    cohort=str(data["cohort"][row]),
                    groups=own,
                    events={group: int(data["n_events"][row][g]) for g, group in enumerate(groups)},
                    b_group_ok=bool(data["b_group_ok"][row]),
                )
            )
    return patients


def half_of(person: str) -> int:
    """Half of the collection that a person belongs to: 0 to develop on, 1 for figures that are published."""
    return zlib.crc32(person.encode()) % 2


def draw(mixture: Mixture, n: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Draw (n, 9) cells in decades within the instrument's range."""
    out = np.empty((n, mixture.d), dtype=np.float32)
    root = np.linalg.cholesky(mixture.covariance)
    todo = np.arange(n)
    for _ in range(200):
        if todo.size == 0:
            return out
        counts = rng.multinomial(todo.size, mixture.weight / mixture.weight.sum())
        start = 0
        for k, count in enumerate(counts):
            rows = todo[start : start + count]
            out[rows] = mixture.mean[k] + rng.standard_normal((count, mixture.d)) @ root[k].T
            start += count
        bad = ((out[todo] < LOW) | (out[todo] > HIGH)).any(axis=1)
        todo = todo[bad]
    out[todo] = np.clip(out[todo], LOW, HIGH)
    return out
