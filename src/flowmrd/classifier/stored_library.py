"""A library of phenotypes on disk: frozen copies of other patients' ``laip.json``, named in the config by their folder.

``library.json`` (format ``flowmrd-library/1``)::

    format, digest                                 # digest: SHA-256 over the SHA-256 of every phenotype
    entries: [{patient, features, n_cells, laip_sha256}]

The folder also holds ``<patient>/laip.json`` and ``<patient>/laip.npz`` for every entry. A library is never changed. A
new one is built into a new folder, so that the digest in a result says which phenotypes the result rests on.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flowmrd.classifier.patient_laip import PatientLaip
from flowmrd.classifier.storage import load_laip
from flowmrd.errors import ArtefactError
from flowmrd.store import digest_file, read_json, write_json

LIBRARY_FORMAT = "flowmrd-library/1"
LIBRARY_FILE = "library.json"


@dataclass(frozen=True)
class BuiltLibrary:
    """A library that was built.

    Attributes
    ----------
    digest
        Digest of the library, as stored in results.
    patients
        Patients whose phenotype is in the library.
    left_out
        Patients without a phenotype, and patients whose phenotype normal cells of the controls share, with the reason.
    """

    digest: str
    patients: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]


def library_digest(phenotypes: Sequence[Path]) -> str:
    """SHA-256 over the phenotypes; it does not depend on their folders or their order.

    Parameters
    ----------
    phenotypes
        ``laip.json`` files; each holds the SHA-256 of the arrays beside it.
    """
    return hashlib.sha256("\n".join(sorted(digest_file(path) for path in phenotypes)).encode()).hexdigest()


def build_library(phenotypes: Sequence[Path], folder: Path) -> BuiltLibrary:
    """Copy phenotypes into a new library.

    Parameters
    ----------
    phenotypes
        ``laip.json`` files of a finished run, their arrays beside them.
    folder
        Folder of the new library; it must be empty or not exist.

    Raises
    ------
    ArtefactError
        If the folder is not empty, a phenotype is altered, or none can be used.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ArtefactError(
            str(folder),
            found="a folder that is not empty",
            expected="a new folder: a library that results may name is never changed",
            todo="choose another name for the new library",
        )
    kept: list[tuple[Path, PatientLaip]] = []
    left_out: list[tuple[str, str]] = []
    for path in sorted(phenotypes):
        laip = load_laip(path).laip
        if laip is None:
            left_out.append((str(read_json(path).get("patient")), "no phenotype was found at diagnosis"))
        elif laip.indistinct:
            left_out.append((laip.patient, "controls hold cells that cannot be told from it"))
        else:
            kept.append((path, laip))
    if not kept:
        raise ArtefactError(
            str(folder),
            found="no phenotype that can be used",
            expected="at least one diagnosis tube whose leukaemia was found",
            todo="build the library from a finished run with diagnosis tubes",
        )
    entries = []
    for path, laip in kept:
        copy = folder / laip.patient / "laip.json"
        copy.parent.mkdir(parents=True, exist_ok=True)
        for name in ("laip.npz", "laip.json"):
            shutil.copyfile(path.with_name(name), copy.with_name(name))
        entries.append(
            {
                "patient": laip.patient,
                "features": list(laip.features),
                "n_cells": laip.n_cells,
                "laip_sha256": digest_file(copy),
            }
        )
    digest = library_digest([folder / laip.patient / "laip.json" for _, laip in kept])
    # Written last: a folder without this file is not a library.
    write_json(folder / LIBRARY_FILE, {"format": LIBRARY_FORMAT, "digest": digest, "entries": entries})
    return BuiltLibrary(digest, tuple(laip.patient for _, laip in kept), tuple(left_out))


def library_files(folder: Path) -> list[Path]:
    """``laip.json`` of every entry of a library, in its order.

    Raises
    ------
    ArtefactError
        If the folder is not a library, or an entry is missing or altered.
    """
    index = folder / LIBRARY_FILE
    if not index.is_file():
        raise ArtefactError(
            str(folder),
            found="a folder without library.json" if folder.is_dir() else "no such folder",
            expected="a library of phenotypes",
            todo="build one with 'flowmrd library build RUNDIR -o FOLDER' and name its folder in laip.library",
        )
    facts = read_json(index)
    if not isinstance(facts, dict) or facts.get("format") != LIBRARY_FORMAT:
        raise ArtefactError(
            str(index), found="another format", expected=LIBRARY_FORMAT, todo="build the library with this version"
        )
    try:
        entries = [(str(entry["patient"]), str(entry["laip_sha256"])) for entry in facts["entries"]]
    except (KeyError, TypeError) as error:
        raise ArtefactError(
            str(index), found=f"missing or malformed {error}", expected=LIBRARY_FORMAT, todo="build the library again"
        ) from error
    listed = [(folder / patient / "laip.json", expected) for patient, expected in entries]
    for path, expected in listed:
        if path.resolve().parent.parent != folder.resolve() or not path.is_file() or digest_file(path) != expected:
            raise ArtefactError(
                str(path),
                found="a phenotype that is missing or altered",
                expected=f"SHA-256 {expected[:12]}… as library.json says",
                todo="copy the library again from where it was built",
            )
    return [path for path, _ in listed]


def load_library(folder: Path | str) -> tuple[PatientLaip, ...]:
    """Phenotypes of a library that ``flowmrd library build`` wrote.

    Parameters
    ----------
    folder
        Folder of the library.

    Returns
    -------
    tuple
        A phenotype for each patient; :func:`flowmrd.classify_tube` and ``MrdClassifier.fit`` take it as ``library``.

    Raises
    ------
    ArtefactError
        If the folder is not a library, or an entry is missing or altered.
    """
    found = (load_laip(path).laip for path in library_files(Path(folder)))
    return tuple(laip for laip in found if laip is not None)
