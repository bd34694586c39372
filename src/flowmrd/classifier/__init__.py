"""Normal reference, patient LAIP, library, classifier, in-silico spike-in.

Matrices are in decades (0..1 scale x 4.5). The order of use: :func:`build_reference` from control tubes,
:func:`find_laip` from a diagnosis tube, :func:`classify_tube` for every tube. Every number of these is a field of
:class:`ClassifierParameters`.
"""

from flowmrd.classifier.candidate_cells import CandidateCells
from flowmrd.classifier.classification import Classification
from flowmrd.classifier.classifier import classify_tube
from flowmrd.classifier.library import Library
from flowmrd.classifier.normal_reference import ReferenceModel, build_reference
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.patient_laip import PatientLaip, find_laip
from flowmrd.classifier.storage import load_laip, load_reference, save_laip, save_reference

__all__ = [
    "CandidateCells",
    "Classification",
    "ClassifierParameters",
    "Library",
    "PatientLaip",
    "ReferenceModel",
    "build_reference",
    "classify_tube",
    "find_laip",
    "load_laip",
    "load_reference",
    "save_laip",
    "save_reference",
]
