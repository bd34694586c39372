"""An expert's counts in a run's tubes, from files of gates: events of one gate as a share of those of another."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from flowmrd.compare.measurement import Measurement
from flowmrd.errors import SheetError, UnknownTubeError
from flowmrd.gating.experts import GATINGML, SUFFIXES, ExpertGates, read_expert_gates

__all__ = ["EVERYTHING", "gate_files", "holds_gates", "read_gate_counts"]

EVERYTHING = "all"
"""Name of the denominator that holds every event of the file."""


def holds_gates(path: Path) -> bool:
    """Whether a path is a file of gates or a folder with such a file."""
    return path.suffix.lower() in SUFFIXES or (path.is_dir() and bool(gate_files(path)))


def gate_files(path: Path) -> list[Path]:
    """The file itself, or the files of gates in a folder, in the order of their names."""
    if not path.is_dir():
        return [path]
    return sorted(entry for entry in path.iterdir() if entry.suffix.lower() in SUFFIXES and entry.is_file())


def read_gate_counts(
    gates: Path, tubes: Mapping[str, Path], *, gate: str, of: str = EVERYTHING
) -> dict[str, Measurement]:
    """Sample to the share of one gate's events among those of another.

    Parameters
    ----------
    gates
        A file of gates, or a folder of them. A tube is found by the name of its FCS file. A GatingML file names no
        tube: it applies to every tube, or in a folder to the tube that has the file's name.
    gate, of
        Gate of the leukaemic cells, and the gate or ``all`` whose events are the denominator.

    Raises
    ------
    GateError
        If a gate of a tube cannot be evaluated, or does not exist.
    SheetError
        If no file holds one of these tubes, or two files hold the same tube.
    """
    found: dict[str, Measurement] = {}
    for file in gate_files(gates):
        for sample, fcs in tubes.items():
            try:
                expert = read_expert_gates(file, fcs, by_name=True)
            except UnknownTubeError:
                continue
            if expert.kind == GATINGML and gates.is_dir() and file.stem not in (sample, fcs.stem):
                continue  # it names no tube, so in a folder its own name does
            if sample in found:
                raise SheetError(
                    str(file),
                    found=f"gates of {sample} a second time",
                    expected="one file with the gates of a tube",
                    todo="take one of them out of the folder",
                )
            found[sample] = _measurement(expert, gate, of)
    if not found:
        raise SheetError(
            str(gates),
            found="gates of none of the tubes",
            expected="gates of tubes of this run, known by the names of their FCS files",
            todo="keep the names of the FCS files in the other software",
        )
    return found


def _measurement(expert: ExpertGates, gate: str, of: str) -> Measurement:
    inside = expert.members(gate)
    among = np.ones_like(inside) if of.casefold() == EVERYTHING else expert.members(of)
    cells, total = int(np.count_nonzero(inside & among)), int(np.count_nonzero(among))
    if total == 0:
        raise SheetError(
            expert.where,
            found=f"no event in the gate {of}",
            expected="the cells of the denominator",
            todo="name another gate with --of",
        )
    return Measurement(cells / total, events=float(total))
