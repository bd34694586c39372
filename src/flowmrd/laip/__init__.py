"""Normal reference, patient LAIP, library, classifier, clusters, in-silico spike-in.

Matrices are in decades (0..1 scale x 4.5). The order of use: :func:`build_reference` from control tubes,
:func:`find_laip` from a diagnosis tube, :func:`classify_tube` for every tube.
"""

from flowmrd.laip.classifier import classify_tube
from flowmrd.laip.library import Library
from flowmrd.laip.patient import PatientLaip, find_laip
from flowmrd.laip.reference import NormalReference, build_reference
from flowmrd.laip.result import Classification
from flowmrd.laip.settings import Settings
from flowmrd.laip.storage import load_laip, load_reference, save_laip, save_reference
from flowmrd.laip.tube import Tube

__all__ = [
    "Classification",
    "Library",
    "NormalReference",
    "PatientLaip",
    "Settings",
    "Tube",
    "build_reference",
    "classify_tube",
    "find_laip",
    "load_laip",
    "load_reference",
    "save_laip",
    "save_reference",
]
