"""From the files of preprocess and gate to the classifier's tube."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from flowmrd.classifier.candidate_cells import CandidateCells
from flowmrd.classifier.doublet_model import added_cells
from flowmrd.errors import ArtefactError
from flowmrd.panel import PanelModel
from flowmrd.preprocess.transform import ChannelScale
from flowmrd.store import ColumnStore, open_columns
from flowmrd.units import LOGICLE_M

NEVER = ("mask_nonfinite",)
"""Events that no stage can use."""
NOT_ANALYSABLE = ("mask_margin", "mask_time", "mask_dead", "mask_nonfinite")


@dataclass(frozen=True)
class TubeFiles:
    """Where one tube's columns are."""

    sample: str
    preprocessed: Path
    gated: Path


@dataclass(frozen=True)
class LoadedTube:
    """A tube with the row of every candidate in the file.

    Attributes
    ----------
    rows
        Shape (tube.n,): file rows of the candidates.
    n_events
        Rows of the file.
    """

    tube: CandidateCells
    rows: npt.NDArray[np.intp]
    n_events: int


def gate_bit(gated: ColumnStore, name: str) -> npt.NDArray[np.bool_] | None:
    """Events inside a gate; None where the tree has no such gate or it was not available."""
    names = json.loads(gated.metadata.get("gates", "[]"))
    if name not in names:
        return None
    bits: npt.NDArray[np.uint64] = gated["gates"]
    return (bits >> np.uint64(names.index(name)) & np.uint64(1)).astype(bool)


def load_tube(files: TubeFiles, panel: PanelModel) -> LoadedTube:
    """Candidate cells: nucleated singlets with finite signals.

    Masked events are kept as candidates so that the result can be given with and without a mask, but they do not count
    in the denominator that rates refer to.

    Raises
    ------
    ArtefactError
        If the gate file lacks the gates every panel must define.
    """
    with open_columns(files.preprocessed) as values, open_columns(files.gated) as gated:
        nucleated, window = gate_bit(gated, "nucleated"), gate_bit(gated, "b_lineage")
        if nucleated is None or window is None:
            raise ArtefactError(
                str(files.gated),
                found="no gate nucleated or b_lineage",
                expected="both, as every panel's tree must define",
                todo="correct the panel's gate tree and rerun the gate stage",
            )
        usable = nucleated.copy()
        for mask in NEVER:
            if mask in values:
                usable &= ~values[mask]
        counted = usable.copy()
        for mask in NOT_ANALYSABLE:
            if mask in values:
                counted &= ~values[mask]
        singlets = gate_bit(gated, "singlets")
        if singlets is not None:
            usable &= singlets
        rows = np.flatnonzero(usable)
        features = tuple(name for name in panel.features if name in values)
        data = np.empty((len(rows), len(features)), dtype=np.float32)
        for j, name in enumerate(features):
            np.multiply(values[name][rows], np.float32(LOGICLE_M), out=data[:, j])
        good = np.isfinite(data).all(axis=1)
        if not good.all():
            rows, data = rows[good], data[good]
        codes = {int(code): str(name) for name, code in json.loads(gated.metadata.get("populations", "{}")).items()}
        names = tuple(codes.get(code, "") for code in range(max(codes, default=-1) + 1))
        scales = json.loads(values.metadata.get("transforms", "{}"))
        window = window[rows]
        doublets = None
        if all(name in scales for name in features):
            doublets = added_cells(data, window, [ChannelScale.from_record(scales[name]) for name in features])
        population = gated["population"][rows].astype(np.int16) if "population" in gated else None
        tube = CandidateCells(
            name=files.sample,
            features=features,
            values=data,
            window=window,
            denominator=int(counted.sum()),
            population=population,
            populations=names,
            doublets=doublets,
        )
        return LoadedTube(tube, rows, values.n_events)
