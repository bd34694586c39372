"""Describing stored references and comparing two of them, for the laboratory's change control."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flowmrd.errors import ArtefactError
from flowmrd.records.read import read_if_there
from flowmrd.records.references import GateReferenceFile, ReferenceFile, TransformFile, read_reference_file
from flowmrd.store import digest_file

THRESHOLD_NOTED = 0.02
"""Smallest difference of a gate threshold that is listed, 0..1 scale: a tenth of a decade (0.02 x 4.5)."""


@dataclass(frozen=True)
class StoredReference:
    """The parts of a stored reference; gates and scales where the folder holds them."""

    model: ReferenceFile
    gates: GateReferenceFile | None
    scales: TransformFile | None


def load(folder: Path) -> StoredReference:
    """Read the parts of a stored reference and check that its arrays are those with which it was written.

    Parameters
    ----------
    folder
        ``results/reference/<panel>`` of a run.

    Raises
    ------
    ArtefactError
        If a part is missing, was altered or is of another format.
    """
    model = read_reference_file(folder / "reference.json")
    if digest_file(folder / "reference.npz") != model.arrays_sha256:
        raise ArtefactError(
            str(folder / "reference.npz"),
            found="arrays that are not those of reference.json",
            expected="the two files as they were written together",
            todo="take both from the run that made them",
        )
    return StoredReference(
        model,
        read_if_there(folder / "gates.json", GateReferenceFile),
        read_if_there(folder / "transform.json", TransformFile),
    )


def describe(folder: Path) -> list[str]:
    """Lines about one reference: its origin, and the contribution of each control."""
    model = load(folder).model
    state = "provisional: nothing judged by it can be negative" if model.provisional else "complete"
    lines = [
        f"panel {model.panel} version {model.manifest.panel_version}, {state}",
        f"digest {model.digest}",
        f"flowmrd {model.manifest.flowmrd_version}, seed {model.manifest.seed}",
        f"features {', '.join(model.features)}",
        f"{model.n_controls} controls:",
    ]
    lines += [
        f"  {control.name:<24} {control.nucleated:>9} nucleated {control.window_cells:>7} B lineage"
        f"  distance from the others {control.displacement:.2f}"
        for control in model.controls
    ]
    return lines


def compare(first: Path, second: Path) -> list[str]:
    """Lines about the differences between two references; empty where they are the same.

    Raises
    ------
    ArtefactError
        If they are of different panels.
    """
    a, b = load(first), load(second)
    if a.model.panel != b.model.panel:
        raise ArtefactError(
            str(second),
            found=f"a reference of panel {b.model.panel}",
            expected=f"panel {a.model.panel}, as in {first}",
            todo="compare references of one panel",
        )
    if a.model.digest == b.model.digest and a.gates == b.gates and a.scales == b.scales:
        return []
    lines = [f"digest {a.model.digest[:16]} / {b.model.digest[:16]}"]
    for name in ("n_controls", "provisional", "features"):
        mine, other = getattr(a.model, name), getattr(b.model, name)
        if mine != other:
            lines.append(f"{name}: {_plain(mine)} / {_plain(other)}")
    controls = [{control.name for control in part.model.controls} for part in (a, b)]
    for number, word in ((0, "first"), (1, "second")):
        only = sorted(controls[number] - controls[1 - number])
        if only:
            lines.append(f"controls of the {word} only: {', '.join(only)}")
    return lines + _gates(a.gates, b.gates) + _scales(a.scales, b.scales)


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _gates(a: GateReferenceFile | None, b: GateReferenceFile | None) -> list[str]:
    first, second = ({} if part is None else part.pooled.parameters for part in (a, b))
    lines = []
    for gate in sorted(set(first) & set(second)):
        for number in sorted(set(first[gate]) & set(second[gate])):
            x, y = first[gate][number], second[gate][number]
            if abs(x - y) >= THRESHOLD_NOTED:
                lines.append(f"gate {gate} {number}: {x:.3f} / {y:.3f}")
    lines += [f"gate {gate}: in one of them only" for gate in sorted(set(first) ^ set(second))]
    return lines


def _scales(a: TransformFile | None, b: TransformFile | None) -> list[str]:
    first, second = ({} if part is None else part.channels for part in (a, b))
    return [
        f"scale {name} {key}: {getattr(first[name], key)} / {getattr(second[name], key)}"
        for name in sorted(set(first) & set(second))
        for key in ("kind", "T", "M", "W", "A", "cofactor")
        if getattr(first[name], key) != getattr(second[name], key)
    ]
