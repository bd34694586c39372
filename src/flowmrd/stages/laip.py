"""Stage ``laip``: what a patient's leukaemia looks like, found in the diagnosis tube, with expert labels or without.

``laip.json`` (format ``flowmrd-laip/1``)::

    format, patient, found
    features, share, n_cells, indistinct, by_expert   # absent where found is false
    arrays_sha256
    diagnosis: sample id
    seen_without_cd19: share of its cells that the gates would have let into the B lineage without CD19, or null
    components: [{share, nearest_normal, markers: [{marker, shift_decades, direction}], medians: {marker: 0..1}}]
    flags: [{code, message}]

``laip.npz``: the mixture (decades), the tube's staining shift, and up to 2,000 of its cells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from flowmrd.classifier.normal_reference import NormalReference
from flowmrd.classifier.patient_laip import PatientLaip, find_laip
from flowmrd.classifier.phenotype import nearest_stage, shifts
from flowmrd.classifier.storage import load_reference, save_laip
from flowmrd.config import RunConfig
from flowmrd.flags import Flag, flag
from flowmrd.panel import PanelModel
from flowmrd.stages.labels import read_labels
from flowmrd.stages.tubes import TubeFiles, gate_bit, load_tube
from flowmrd.store import open_columns
from flowmrd.units import LOGICLE_M

__all__ = ["learn", "seen_without"]


def learn(
    patient: str,
    diagnosis: Sequence[TubeFiles],
    *,
    reference_json: Path,
    panel: PanelModel,
    config: RunConfig,
    out_json: Path,
    out_npz: Path,
    labels: Mapping[str, Path] | None = None,
) -> None:
    """Find and write a patient's phenotype.

    Parameters
    ----------
    diagnosis
        Diagnosis tubes; the first in order of sample name that holds aberrant cells is used.
    labels
        Expert labels by sample name; where a tube has them, they say which cells are leukaemic.
    """
    reference = load_reference(reference_json)
    laip: PatientLaip | None = None
    used = ""
    for files in sorted(diagnosis, key=lambda entry: entry.sample):
        used = files.sample
        loaded = load_tube(files, panel)
        path = (labels or {}).get(files.sample)
        laip = find_laip(
            patient,
            loaded.tube,
            reference,
            min_cells=config.laip.min_diagnosis_cells,
            seed=config.laip.seed,
            labelled=None if path is None else read_labels(path, loaded.n_events)[loaded.rows],
        )
        if laip is not None:
            break
    flags: list[Flag] = []
    if laip is None:
        flags.append(flag("NO_LAIP", least=config.laip.min_diagnosis_cells))
    elif laip.indistinct:
        flags.append(flag("DIAGNOSIS_LIKE_NORMAL"))
    extra: dict[str, Any] = {
        "diagnosis": used,
        "seen_without_cd19": None if laip is None else seen_without(files.gated, loaded.rows[list(laip.rows)], panel),
        "components": _components(laip, reference) if laip is not None else [],
        "flags": [item.as_record() for item in flags],
    }
    save_laip(laip, patient, out_json, out_npz, extra)


def seen_without(gated: Path, rows: npt.NDArray[np.intp], panel: PanelModel, marker: str = "CD19") -> float | None:
    """Share of events that come into the B lineage by a route that does not use a marker."""
    seen = np.zeros(len(rows), dtype=bool)
    with open_columns(gated) as store:
        for name in panel.routes_without(marker):
            inside = gate_bit(store, name)
            if inside is not None:
                seen |= inside[rows]
    return round(float(seen.mean()), 4) if len(rows) else None


def _components(laip: PatientLaip, reference: NormalReference) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    for weight, mean in zip(laip.mixture.weight, laip.mixture.mean, strict=True):
        name, centre = nearest_stage(mean - laip.staining, laip.features, reference)
        out.append(
            {
                "share": float(weight),
                "nearest_normal": name,
                "markers": [
                    {"marker": s.marker, "shift_decades": round(s.shift_decades, 4), "direction": s.direction}
                    for s in shifts(mean - laip.staining, centre, laip.features)
                ],
                "medians": {
                    marker: round(float(value) / LOGICLE_M, 5)
                    for marker, value in zip(laip.features, mean, strict=True)
                },
            }
        )
    return out
