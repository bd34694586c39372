"""Looking at stored references and comparing two of them, for the laboratory's own change control."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flowmrd.errors import ArtefactError
from flowmrd.store import digest_file, read_json

THRESHOLD_NOTED = 0.02
"""Difference of a gate threshold on the 0..1 scale that is listed: a tenth of a decade (0.02 x 4.5)."""


def load(folder: Path) -> dict[str, Any]:
    """Read the parts of a stored reference and check that its arrays are the ones it was written with.

    Parameters
    ----------
    folder
        ``results/reference/<panel>`` of a run.

    Raises
    ------
    ArtefactError
        If a part is missing or the arrays were altered.
    """
    model = read_json(folder / "reference.json")
    if digest_file(folder / "reference.npz") != model.get("arrays_sha256"):
        raise ArtefactError(
            str(folder / "reference.npz"),
            found="arrays that are not those of reference.json",
            expected="the two files as they were written together",
            todo="take both from the run that made them",
        )
    gates = read_json(folder / "gates.json") if (folder / "gates.json").is_file() else {}
    scales = read_json(folder / "transform.json") if (folder / "transform.json").is_file() else {}
    return {"model": model, "gates": gates, "scales": scales}


def describe(folder: Path) -> list[str]:
    """Lines about one reference: what it is made of and what each control contributed."""
    parts = load(folder)
    model = parts["model"]
    state = "provisional: nothing judged by it can be negative" if model["provisional"] else "complete"
    lines = [
        f"panel {model['panel']} version {model['manifest']['panel_version']}, {state}",
        f"digest {model['digest']}",
        f"flowmrd {model['manifest']['flowmrd_version']}, seed {model['manifest']['seed']}",
        f"features {', '.join(model['features'])}",
        f"{model['n_controls']} controls:",
    ]
    lines += [
        f"  {control['name']:<24} {control['nucleated']:>9} nucleated {control['window_cells']:>7} B lineage"
        f"  distance from the others {control['displacement']:.2f}"
        for control in model["controls"]
    ]
    return lines


def compare(first: Path, second: Path) -> list[str]:
    """Lines about what differs between two references; empty where they are the same.

    Raises
    ------
    ArtefactError
        If they are of different panels.
    """
    a, b = load(first), load(second)
    if a["model"]["panel"] != b["model"]["panel"]:
        raise ArtefactError(
            str(second),
            found=f"a reference of panel {b['model']['panel']}",
            expected=f"panel {a['model']['panel']}, as in {first}",
            todo="compare references of one panel",
        )
    if a["model"]["digest"] == b["model"]["digest"] and a["gates"] == b["gates"] and a["scales"] == b["scales"]:
        return []
    lines = [f"digest {a['model']['digest'][:16]} / {b['model']['digest'][:16]}"]
    for name in ("n_controls", "provisional", "features"):
        if a["model"][name] != b["model"][name]:
            lines.append(f"{name}: {a['model'][name]} / {b['model'][name]}")
    controls = [{control["name"] for control in part["model"]["controls"]} for part in (a, b)]
    for number, word in ((0, "first"), (1, "second")):
        only = sorted(controls[number] - controls[1 - number])
        if only:
            lines.append(f"controls of the {word} only: {', '.join(only)}")
    lines += _gates(a["gates"], b["gates"]) + _scales(a["scales"], b["scales"])
    return lines


def _gates(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    first, second = (part.get("pooled", {}).get("parameters", {}) for part in (a, b))
    lines = []
    for gate in sorted(set(first) & set(second)):
        for number in sorted(set(first[gate]) & set(second[gate])):
            x, y = first[gate][number], second[gate][number]
            if isinstance(x, (int, float)) and isinstance(y, (int, float)) and abs(x - y) >= THRESHOLD_NOTED:
                lines.append(f"gate {gate} {number}: {x:.3f} / {y:.3f}")
    lines += [f"gate {gate}: in one of them only" for gate in sorted(set(first) ^ set(second))]
    return lines


def _scales(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    first, second = a.get("channels", {}), b.get("channels", {})
    return [
        f"scale {name} {key}: {first[name][key]} / {second[name][key]}"
        for name in sorted(set(first) & set(second))
        for key in ("kind", "T", "M", "W", "A", "cofactor")
        if first[name].get(key) != second[name].get(key)
    ]
