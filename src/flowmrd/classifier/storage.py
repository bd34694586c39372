"""References and phenotypes on disk: arrays in an ``.npz`` file, all else in a JSON file beside it. Nothing is pickled.

The JSON file holds the SHA-256 of the ``.npz`` file; a pair that does not agree is refused. That of a reference also
holds the SHA-256 of its own content, so a reference of which any number was altered is refused.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from flowmrd.classifier.candidate_cells import OffscaleCells
from flowmrd.classifier.compact_groups import CompactGroup
from flowmrd.classifier.laip_of_tubes import FoundLaip
from flowmrd.classifier.marker_staining import MarkerStaining
from flowmrd.classifier.mixture import Mixture
from flowmrd.classifier.normal_model import NormalModel
from flowmrd.classifier.normal_reference import ControlRecord, ReferenceModel
from flowmrd.classifier.patient_laip import PatientLaip
from flowmrd.classifier.tube_model import TubeModel
from flowmrd.errors import ArtefactError
from flowmrd.records.read import read_record
from flowmrd.records.references import (
    REFERENCE_FORMAT,
    ControlEntry,
    ControlGroupEntry,
    LaipFile,
    ReferenceFile,
    ReferenceManifest,
    read_reference_file,
    wrong_format,
)
from flowmrd.store import atomic_path, digest_file, read_arrays, write_json

LAIP_FORMAT = "flowmrd-laip/2"
Arrays = dict[str, npt.NDArray[Any]]
Value = TypeVar("Value")


def save_arrays(path: Path, arrays: Arrays) -> str:
    """Write arrays and return the file's SHA-256; the same arrays give the same bytes."""
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)
    return digest_file(path)


def load_arrays(path: Path, expected: str) -> Arrays:
    """Read arrays whose SHA-256 is ``expected``.

    Raises
    ------
    ArtefactError
        If the file is missing or altered, or holds anything but plain arrays.
    """
    where = str(path)
    try:
        found = digest_file(path)
        if found != expected:
            raise ArtefactError(
                where,
                found=f"SHA-256 {found[:12]}…",
                expected=f"{expected[:12]}… as its JSON file says",
                todo="copy both files again from where they were made, or rebuild them",
            )
        return read_arrays(path)
    except FileNotFoundError as error:
        raise ArtefactError(
            where, found="no such file", expected="the arrays beside the JSON file", todo="copy both files together"
        ) from error


def _given(value: Value | None, name: str) -> Value:
    """A field that every phenotype that was found has."""
    if value is None:
        raise ValueError(f"no {name}")
    return value


def _malformed(path: Path, error: Exception, expected: str) -> ArtefactError:
    return ArtefactError(
        str(path),
        found=f"a part that is missing or malformed ({error})",
        expected=expected,
        todo="make it again with 'flowmrd run', or copy both files again from where they were made",
    )


def _put_model(arrays: Arrays, prefix: str, model: NormalModel) -> None:
    arrays[f"{prefix}.weight"] = model.mixture.weight
    arrays[f"{prefix}.mean"] = model.mixture.mean
    arrays[f"{prefix}.covariance"] = model.mixture.covariance
    arrays[f"{prefix}.between_tube_sd"] = model.between_tube_sd
    arrays[f"{prefix}.window_share"] = model.window_share
    arrays[f"{prefix}.in_window"] = model.in_window
    arrays[f"{prefix}.normal_b"] = model.normal_b


def _get_mixture(arrays: Arrays, prefix: str) -> Mixture:
    return Mixture(arrays[f"{prefix}.weight"], arrays[f"{prefix}.mean"], arrays[f"{prefix}.covariance"])


def _get_model(arrays: Arrays, prefix: str, features: tuple[str, ...]) -> NormalModel:
    return NormalModel(
        features,
        _get_mixture(arrays, prefix),
        arrays[f"{prefix}.between_tube_sd"],
        arrays[f"{prefix}.window_share"],
        arrays[f"{prefix}.in_window"],
        arrays[f"{prefix}.normal_b"],
    )


def _get_offscale(arrays: Arrays, prefix: str, detectors: tuple[str, ...] | None) -> OffscaleCells | None:
    if detectors is None:
        return None
    values, measured, off = (arrays[f"{prefix}.{name}"] for name in ("values", "measured", "off"))
    return OffscaleCells(values, measured, detectors, off)


def _get_control(arrays: Arrays, prefix: str, entry: ControlEntry) -> ControlRecord:
    return ControlRecord(
        name=entry.name,
        fold=entry.fold,
        denominator=entry.nucleated,
        values=arrays[f"{prefix}.values"],
        log_normal=arrays[f"{prefix}.log_normal"],
        sampling=entry.sampling,
        model=TubeModel(
            _get_mixture(arrays, prefix), arrays[f"{prefix}.shift"], entry.outlier_share, entry.displacement
        ),
        groups=tuple(
            CompactGroup(
                Mixture(np.ones(1), arrays[f"{prefix}.group{j}.mean"], arrays[f"{prefix}.group{j}.covariance"]),
                group.share,
                group.log_likelihood_gain,
                group.events,
            )
            for j, group in enumerate(entry.groups)
        ),
        staining=tuple(map(MarkerStaining.from_record, entry.staining)),
        offscale=_get_offscale(arrays, f"{prefix}.offscale", entry.detectors),
    )


def save_reference(
    reference: ReferenceModel, json_path: Path, npz_path: Path, manifest: ReferenceManifest | None = None
) -> None:
    """Write a reference.

    Parameters
    ----------
    manifest
        What the reference was built from; it holds no times and no names of people. Empty where absent.
    """
    arrays: Arrays = {}
    _put_model(arrays, "model", reference.model)
    arrays["stage_centres"] = reference.stage_centres
    for name, level in reference.anchors.items():
        arrays[f"anchor.{name}"] = level
    for i, fold in enumerate(reference.folds):
        _put_model(arrays, f"fold{i}", fold)
    for i, control in enumerate(reference.controls):
        arrays[f"control{i}.values"] = control.values
        arrays[f"control{i}.log_normal"] = control.log_normal
        arrays[f"control{i}.shift"] = control.model.shift
        arrays[f"control{i}.weight"] = control.model.mixture.weight
        arrays[f"control{i}.mean"] = control.model.mixture.mean
        arrays[f"control{i}.covariance"] = control.model.mixture.covariance
        if control.offscale is not None:
            arrays[f"control{i}.offscale.values"] = control.offscale.values
            arrays[f"control{i}.offscale.measured"] = control.offscale.measured
            arrays[f"control{i}.offscale.off"] = control.offscale.off
        for j, group in enumerate(control.groups):
            arrays[f"control{i}.group{j}.mean"] = group.mixture.mean
            arrays[f"control{i}.group{j}.covariance"] = group.mixture.covariance
    sha = save_arrays(npz_path, arrays)
    facts = ReferenceFile(
        format=REFERENCE_FORMAT,
        panel=reference.panel,
        features=reference.features,
        digest="",
        arrays_sha256=sha,
        n_controls=len(reference.controls) if not reference.provisional else 0,
        n_folds=len(reference.folds),
        provisional=reference.provisional,
        stages=reference.stage_names,
        anchors=tuple(sorted(reference.anchors)),
        control_judgements=reference.judgements,
        controls=tuple(map(_control_entry, reference.controls)),
        manifest=manifest or ReferenceManifest.of_nothing(),
    )
    write_json(json_path, facts.model_copy(update={"digest": facts.content_digest()}).as_json())


def _control_entry(control: ControlRecord) -> ControlEntry:
    return ControlEntry(
        name=control.name,
        fold=control.fold,
        nucleated=control.denominator,
        window_cells=len(control.values),
        sampling=control.sampling,
        displacement=control.model.displacement,
        outlier_share=control.model.outlier_share,
        groups=tuple(
            ControlGroupEntry(share=group.share, log_likelihood_gain=group.log_likelihood_gain, events=group.events)
            for group in control.groups
        ),
        staining=tuple(marker.as_record() for marker in control.staining),
        detectors=None if control.offscale is None else control.offscale.detectors,
    )


def in_folder(path: Path | str, name: str) -> Path:
    """A file that is given by its folder or by its own path."""
    given = Path(path)
    return given / name if given.is_dir() else given


def load_reference(json_path: Path) -> ReferenceModel:
    """Read a reference.

    Raises
    ------
    ArtefactError
        If the pair is missing, altered or of another format.
    """
    facts = read_reference_file(json_path)
    arrays = load_arrays(json_path.with_suffix(".npz"), facts.arrays_sha256)
    try:
        return ReferenceModel(
            panel=facts.panel,
            model=_get_model(arrays, "model", facts.features),
            folds=tuple(_get_model(arrays, f"fold{i}", facts.features) for i in range(facts.n_folds)),
            controls=tuple(_get_control(arrays, f"control{i}", entry) for i, entry in enumerate(facts.controls)),
            stage_names=facts.stages,
            stage_centres=arrays["stage_centres"],
            provisional=facts.provisional,
            anchors={name: arrays[f"anchor.{name}"] for name in facts.anchors},
            judgements=facts.control_judgements,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _malformed(json_path, error, REFERENCE_FORMAT) from error


def save_laip(found: FoundLaip, patient: str, json_path: Path, npz_path: Path) -> None:
    """Write a patient's phenotype, or that none was found (``found`` false and no arrays)."""
    arrays: Arrays = {}
    about: dict[str, object] = {}
    laip = found.laip
    if laip is not None:
        arrays = {
            "weight": laip.mixture.weight,
            "mean": laip.mixture.mean,
            "covariance": laip.mixture.covariance,
            "staining": laip.staining,
            "cells": laip.cells,
            "other_values": laip.other_values,
        }
        about = {
            "features": laip.features,
            "share": laip.share,
            "n_cells": laip.n_cells,
            "indistinct": laip.indistinct,
            "by_expert": laip.by_expert,
            "offscale": dict(laip.offscale),
            "others": laip.others,
        }
    facts = LaipFile.model_validate(
        {
            "format": LAIP_FORMAT,
            "patient": patient,
            "found": laip is not None,
            **about,
            "arrays_sha256": save_arrays(npz_path, arrays),
            "diagnosis": found.diagnosis,
            "seen_without_cd19": found.seen_without_cd19,
            "components": found.components,
            "flags": found.flags,
        }
    )
    write_json(json_path, facts.as_json())


def load_laip(path: Path | str) -> FoundLaip:
    """Read what was found in a patient's diagnosis tubes, as a run stored it.

    Parameters
    ----------
    path
        ``results/laip/<patient>/laip.json`` of a run, or its folder; ``laip.npz`` lies beside it.

    Returns
    -------
    FoundLaip
        As :func:`flowmrd.find_laip` returned it; its ``laip`` is None where the tubes gave no phenotype.

    Raises
    ------
    ArtefactError
        If the pair is missing, altered or of another format.
    """
    json_path = in_folder(path, "laip.json")
    facts = read_record(json_path, LaipFile)
    if facts.format != LAIP_FORMAT:
        raise wrong_format(json_path, facts.format, LAIP_FORMAT)
    found = FoundLaip(None, facts.diagnosis, facts.seen_without_cd19, facts.components, facts.flags)
    if not facts.found:
        return found
    arrays = load_arrays(json_path.with_suffix(".npz"), facts.arrays_sha256)
    try:
        laip = PatientLaip(
            patient=facts.patient,
            features=_given(facts.features, "features"),
            mixture=Mixture(arrays["weight"], arrays["mean"], arrays["covariance"]),
            staining=arrays["staining"],
            share=_given(facts.share, "share"),
            n_cells=_given(facts.n_cells, "n_cells"),
            cells=arrays["cells"],
            indistinct=_given(facts.indistinct, "indistinct"),
            by_expert=bool(facts.by_expert),
            offscale=_given(facts.offscale, "offscale"),
            others=(facts.others or ()) if "other_values" in arrays else (),
            other_values=arrays.get("other_values", np.empty((0, 0), dtype=np.float32)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _malformed(json_path, error, LAIP_FORMAT) from error
    return replace(found, laip=laip)
