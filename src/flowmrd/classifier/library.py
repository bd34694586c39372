"""Leukaemias of other patients, which are spiked into a tube whose own leukaemia is not known.

The search does not prefer the phenotypes of other patients' blasts. In trials, a search within their density found
fewer leukaemias than one within the broad prior. The reason is that phenotypes of other patients also cover the rim of
normal populations, and normal groups there raised the limit from which a group counts.
"""

from __future__ import annotations

from dataclasses import dataclass

from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.patient_laip import PatientLaip


@dataclass(frozen=True)
class Library:
    """LAIPs of several patients."""

    entries: tuple[PatientLaip, ...]

    def without(self, patient: str) -> Library:
        """The library without a patient, so that a patient's own phenotype is never used through it."""
        return Library(tuple(entry for entry in self.entries if entry.patient != patient and not entry.indistinct))

    def covering(self, features: tuple[str, ...]) -> Library:
        """The library with only the phenotypes that have all of these features."""
        return Library(tuple(entry for entry in self.entries if set(features) <= set(entry.features)))

    def is_usable(self, parameters: ClassifierParameters) -> bool:
        """Whether there are enough leukaemias to form a library."""
        return len(self.entries) >= parameters.library_entries_least
