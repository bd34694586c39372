"""Leukaemias of other patients: where blasts may lie when this patient's own are not known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flowmrd.laip.gaussian import Floats, Mixture, stack
from flowmrd.laip.patient import PatientLaip
from flowmrd.laip.prior import blast_prior

NEIGHBOUR_SD = 0.35
"""A new patient's blasts lie around those of known patients with about this spread per marker, decades."""
PRIOR_SHARE = 0.3
"""Share left to blasts unlike every leukaemia of the library."""
MIN_ENTRIES = 3
"""Fewer leukaemias than this do not make a library."""


@dataclass(frozen=True)
class Library:
    """LAIPs of several patients."""

    entries: tuple[PatientLaip, ...]

    def without(self, patient: str) -> Library:
        """The library of everybody else: a patient never informs the judgement of itself through it."""
        return Library(tuple(entry for entry in self.entries if entry.patient != patient and not entry.indistinct))

    def covering(self, features: tuple[str, ...]) -> Library:
        """Entries that know all of these features."""
        return Library(tuple(entry for entry in self.entries if set(features) <= set(entry.features)))

    @property
    def usable(self) -> bool:
        """Whether there are enough leukaemias to speak of a library."""
        return len(self.entries) >= MIN_ENTRIES

    def plausible(self, features: tuple[str, ...], normal_b: Floats, shift: Floats) -> Mixture:
        """Where blasts may lie in a tube with this staining shift against the reference, decades."""
        prior = blast_prior(features, normal_b + shift)
        if not self.usable:
            return prior
        wide = NEIGHBOUR_SD**2 * np.eye(len(features))
        parts = []
        for entry in self.entries:
            own = entry.select(features)
            parts.append(own.mixture.shifted(shift - own.staining).broadened(wide))
        return stack([*parts, prior], [(1 - PRIOR_SHARE) / len(parts)] * len(parts) + [PRIOR_SHARE])
