"""References and phenotypes on disk: arrays in an ``.npz`` file, all else in a JSON file beside it. Nothing is pickled.

The JSON file holds the SHA-256 of the ``.npz`` file; a pair that does not agree is refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from flowmrd.classifier.candidate_cells import OffscaleCells
from flowmrd.classifier.compact_groups import CompactGroup
from flowmrd.classifier.marker_staining import MarkerStaining
from flowmrd.classifier.mixture import Mixture
from flowmrd.classifier.normal_model import NormalModel
from flowmrd.classifier.normal_reference import ControlRecord, ReferenceModel, digest
from flowmrd.classifier.patient_laip import PatientLaip
from flowmrd.classifier.tube_model import TubeModel
from flowmrd.errors import ArtefactError
from flowmrd.records.references import JudgedControl, MarkerStainingEntry
from flowmrd.store import atomic_path, digest_file, read_arrays, read_json, write_json

REFERENCE_FORMAT = "flowmrd-reference/5"
LAIP_FORMAT = "flowmrd-laip/2"
Arrays = dict[str, npt.NDArray[Any]]


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


def _checked(path: Path, kind: str) -> dict[str, Any]:
    facts = read_json(path)
    found = facts.get("format") if isinstance(facts, dict) else None
    if found != kind:
        raise ArtefactError(
            str(path), found=f"format {found!r}", expected=kind, todo="give a file made by this version of flowmrd"
        )
    return dict(facts)


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


def _get_offscale(arrays: Arrays, prefix: str, detectors: list[str] | None) -> OffscaleCells | None:
    if detectors is None:
        return None
    values, measured, off = (arrays[f"{prefix}.{name}"] for name in ("values", "measured", "off"))
    return OffscaleCells(values, measured, tuple(detectors), off)


def save_reference(reference: ReferenceModel, json_path: Path, npz_path: Path, manifest: dict[str, object]) -> None:
    """Write a reference.

    Parameters
    ----------
    manifest
        What the reference was built from: versions, seed, digests of files. It holds no times and no names of people.
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
    write_json(
        json_path,
        {
            "format": REFERENCE_FORMAT,
            "panel": reference.panel,
            "features": list(reference.features),
            "digest": digest(reference),
            "arrays_sha256": sha,
            "n_controls": len(reference.controls) if not reference.provisional else 0,
            "n_folds": len(reference.folds),
            "provisional": reference.provisional,
            "stages": list(reference.stage_names),
            "anchors": sorted(reference.anchors),
            "control_judgements": [one.as_json() for one in reference.judgements],
            "controls": [
                {
                    "name": control.name,
                    "fold": control.fold,
                    "nucleated": control.denominator,
                    "window_cells": len(control.values),
                    "sampling": control.sampling,
                    "displacement": control.model.displacement,
                    "outlier_share": control.model.outlier_share,
                    "groups": [
                        {
                            "share": group.share,
                            "log_likelihood_gain": group.log_likelihood_gain,
                            "events": group.events,
                        }
                        for group in control.groups
                    ],
                    "staining": [marker.as_record() for marker in control.staining],
                    "detectors": None if control.offscale is None else list(control.offscale.detectors),
                }
                for control in reference.controls
            ],
            "manifest": manifest,
        },
    )


def load_reference(json_path: Path) -> ReferenceModel:
    """Read a reference.

    Raises
    ------
    ArtefactError
        If the pair is missing, altered or of another format.
    """
    facts = _checked(json_path, REFERENCE_FORMAT)
    arrays = load_arrays(json_path.with_suffix(".npz"), str(facts.get("arrays_sha256")))
    try:
        features = tuple(str(name) for name in facts["features"])
        controls = tuple(
            ControlRecord(
                name=str(entry["name"]),
                fold=int(entry["fold"]),
                denominator=int(entry["nucleated"]),
                values=arrays[f"control{i}.values"],
                log_normal=arrays[f"control{i}.log_normal"],
                sampling=float(entry["sampling"]),
                model=TubeModel(
                    _get_mixture(arrays, f"control{i}"),
                    arrays[f"control{i}.shift"],
                    float(entry["outlier_share"]),
                    float(entry["displacement"]),
                ),
                groups=tuple(
                    CompactGroup(
                        Mixture(
                            np.ones(1), arrays[f"control{i}.group{j}.mean"], arrays[f"control{i}.group{j}.covariance"]
                        ),
                        float(group["share"]),
                        float(group["log_likelihood_gain"]),
                        float(group["events"]),
                    )
                    for j, group in enumerate(entry["groups"])
                ),
                staining=tuple(
                    MarkerStaining.from_record(MarkerStainingEntry.model_validate(marker))
                    for marker in entry["staining"]
                ),
                offscale=_get_offscale(arrays, f"control{i}.offscale", entry["detectors"]),
            )
            for i, entry in enumerate(facts["controls"])
        )
        return ReferenceModel(
            panel=str(facts["panel"]),
            model=_get_model(arrays, "model", features),
            folds=tuple(_get_model(arrays, f"fold{i}", features) for i in range(int(facts["n_folds"]))),
            controls=controls,
            stage_names=tuple(str(name) for name in facts["stages"]),
            stage_centres=arrays["stage_centres"],
            provisional=bool(facts["provisional"]),
            anchors={str(name): arrays[f"anchor.{name}"] for name in facts["anchors"]},
            judgements=tuple(map(JudgedControl.model_validate, facts["control_judgements"])),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ArtefactError(
            str(json_path),
            found=f"a part that is missing or malformed ({error})",
            expected=REFERENCE_FORMAT,
            todo="make it again with 'flowmrd run', or copy both files again from where they were made",
        ) from error


def save_laip(
    laip: PatientLaip | None, patient: str, json_path: Path, npz_path: Path, extra: dict[str, object]
) -> None:
    """Write a patient's phenotype, or that none was found (``found`` false and no arrays)."""
    arrays: Arrays = {}
    facts: dict[str, object] = {"format": LAIP_FORMAT, "patient": patient, "found": laip is not None}
    if laip is not None:
        arrays = {
            "weight": laip.mixture.weight,
            "mean": laip.mixture.mean,
            "covariance": laip.mixture.covariance,
            "staining": laip.staining,
            "cells": laip.cells,
            "other_values": laip.other_values,
        }
        facts |= {
            "features": list(laip.features),
            "share": laip.share,
            "n_cells": laip.n_cells,
            "indistinct": laip.indistinct,
            "by_expert": laip.by_expert,
            "offscale": dict(laip.offscale),
            "others": list(laip.others),
        }
    facts["arrays_sha256"] = save_arrays(npz_path, arrays)
    write_json(json_path, facts | extra)


def load_laip(json_path: Path) -> PatientLaip | None:
    """Read a patient's phenotype; None where the diagnosis tube gave none.

    Raises
    ------
    ArtefactError
        If the pair is missing, altered or of another format.
    """
    facts = _checked(json_path, LAIP_FORMAT)
    if not facts.get("found"):
        return None
    arrays = load_arrays(json_path.with_suffix(".npz"), str(facts.get("arrays_sha256")))
    try:
        return PatientLaip(
            patient=str(facts["patient"]),
            features=tuple(str(name) for name in facts["features"]),
            mixture=Mixture(arrays["weight"], arrays["mean"], arrays["covariance"]),
            staining=arrays["staining"],
            share=float(facts["share"]),
            n_cells=int(facts["n_cells"]),
            cells=arrays["cells"],
            indistinct=bool(facts["indistinct"]),
            by_expert=bool(facts.get("by_expert", False)),
            offscale={str(name): float(rate) for name, rate in facts["offscale"].items()},
            others=tuple(str(name) for name in facts.get("others", ()) if "other_values" in arrays),
            other_values=arrays.get("other_values", np.empty((0, 0), dtype=np.float32)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ArtefactError(
            str(json_path),
            found=f"a part that is missing or malformed ({error})",
            expected=LAIP_FORMAT,
            todo="make it again with 'flowmrd run', or copy both files again from where they were made",
        ) from error
