"""Measurable residual disease of B-ALL from 10-colour flow cytometry files.

The chain as functions, for notebooks and scripts::

    import flowmrd

    panel = flowmrd.load_panel("ino10")
    tube = flowmrd.read_tube("P01_day21.fcs", panel)
    tube = flowmrd.preprocess_tube(tube)
    tube = flowmrd.gate_tube(tube)
    tube.to_pandas()

``examples/one_tube.ipynb`` goes on to the verdict: a reference of control tubes, the phenotype at diagnosis,
``MrdClassifier`` and ``quantify``. ``FinishedRun`` judges further tubes by what a finished run has learned.
docs/api.md describes every name. Each is imported when it is first used, so that ``import flowmrd`` takes little time.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "Tube": ("flowmrd.tube.tube", "Tube"),
    "TubeThresholds": ("flowmrd.tube.thresholds", "TubeThresholds"),
    "PanelModel": ("flowmrd.panel.model", "PanelModel"),
    "RunConfig": ("flowmrd.config.run", "RunConfig"),
    "load_panel": ("flowmrd.panel.load", "load_panel"),
    "read_tube": ("flowmrd.tube.read", "read_tube"),
    "transforms_of_controls": ("flowmrd.tube.transforms", "transforms_of_controls"),
    "preprocess_tube": ("flowmrd.tube.preprocess", "preprocess"),
    "gates_of_controls": ("flowmrd.tube.gate", "gates_of_controls"),
    "gate_tube": ("flowmrd.tube.gate", "gate"),
    "NormalReference": ("flowmrd.classifier.estimators", "NormalReference"),
    "MrdClassifier": ("flowmrd.classifier.estimators", "MrdClassifier"),
    "ClassifierParameters": ("flowmrd.classifier.parameters", "ClassifierParameters"),
    "candidates": ("flowmrd.classifier.tube_candidates", "candidates"),
    "FoundLaip": ("flowmrd.classifier.laip_of_tubes", "FoundLaip"),
    "find_laip": ("flowmrd.classifier.laip_of_tubes", "find_laip"),
    "classify_tube": ("flowmrd.classifier.judge_tube", "classify"),
    "Sample": ("flowmrd.config.sheet", "Sample"),
    "Role": ("flowmrd.config.sheet", "Role"),
    "Digests": ("flowmrd.mrd.quantify", "Digests"),
    "load_laip": ("flowmrd.classifier.storage", "load_laip"),
    "load_library": ("flowmrd.classifier.stored_library", "load_library"),
    "quantify": ("flowmrd.mrd.quantify", "quantify"),
    "MrdResult": ("flowmrd.mrd.result", "MrdResult"),
    "FinishedRun": ("flowmrd.stages.finished_run", "FinishedRun"),
    "simulate_run": ("flowmrd.stages.simulate", "simulate"),
    "simulate_tube": ("flowmrd.simulate.tube", "simulate_tube"),
    "TubeSpec": ("flowmrd.simulate.tube", "TubeSpec"),
    "SimulatedTube": ("flowmrd.simulate.tube", "SimulatedTube"),
    "write_tube": ("flowmrd.simulate.cohort", "write_tube"),
    "FlowmrdError": ("flowmrd.errors", "FlowmrdError"),
    "InputError": ("flowmrd.errors", "InputError"),
}
"""Public name to the module that defines it and its name there. The rooms ``preprocess``, ``simulate`` and so on are
packages of flowmrd, so no function can bear their names."""

__all__ = ["__version__", *_PUBLIC]  # noqa: PLE0604 - the names are text


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'flowmrd' has no attribute {name!r}")
    from importlib import import_module

    module, attribute = _PUBLIC[name]
    value = getattr(import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Public names, for completion in a notebook."""
    return sorted(__all__)
