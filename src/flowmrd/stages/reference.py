"""Stage ``reference``: the model of normal marrow, learned from all control tubes of a panel.

``reference.json``
    :class:`flowmrd.records.references.ReferenceFile`. ``n_controls`` is 0 and ``provisional`` is true if simulated
    marrows are added because the run has fewer controls than ``reference.min_controls``; no tube judged by such a
    reference can be negative.

``reference.npz``
    Mixtures of the full model and of every fold, the window cells of every control with their log density under the
    fold that was built without it, and its off-scale cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from flowmrd import __version__
from flowmrd.classifier.candidate_cells import CandidateCells
from flowmrd.classifier.control_judgement import build_judged_reference
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.storage import save_reference
from flowmrd.classifier.tube_candidates import candidates
from flowmrd.config import RunConfig
from flowmrd.config.run import ReferenceConfig
from flowmrd.panel import PanelModel
from flowmrd.records.references import ControlSource, ReferenceManifest
from flowmrd.run_files import RunFiles
from flowmrd.stages.provisional_controls import simulated_controls
from flowmrd.stages.shared_files import gated_files
from flowmrd.tube.files import TubeFiles, tube_from_files

__all__ = ["build", "in_run", "reference_settings"]


def reference_settings(config: RunConfig) -> ReferenceConfig:
    """Settings of the reference, also where the configuration names only a stored one."""
    return ReferenceConfig() if isinstance(config.reference, str) else config.reference


def in_run(run: RunFiles, *, panel: str, tube: Sequence[str] = ()) -> None:
    """Build the reference of a panel from control tubes of a run."""
    build(
        [replace(gated_files(run, name), qc=run.work(name, "qc.json")) for name in tube],
        panel=run.panel_named(panel),
        config=run.config,
        out_json=run.reference(panel, "reference.json"),
        out_npz=run.reference(panel, "reference.npz"),
    )


def build(
    controls: Sequence[TubeFiles], *, panel: PanelModel, config: RunConfig, out_json: Path, out_npz: Path
) -> None:
    """Build and write the reference of a panel.

    Parameters
    ----------
    controls
        Files of every control tube; may be empty. With fewer than ``reference.min_controls`` the few are joined by
        simulated marrows and the reference is marked provisional.
    """
    settings = reference_settings(config)
    tubes: list[CandidateCells] = []
    for files in sorted(controls, key=lambda entry: entry.sample):
        tube = candidates(tube_from_files(files, panel, config)).cells
        if tube.n > 0:
            tubes.append(tube)
    real = len(tubes)
    provisional = real < settings.min_controls
    if provisional:
        tubes.extend(simulated_controls(panel, config, tubes))
    reference, _ = build_judged_reference(
        panel.name,
        tubes,
        parameters=ClassifierParameters(seed=config.laip.seed),
        max_cells=settings.max_events_per_control,
        provisional=provisional,
        accepted=config.controls.accepted,
        excluded=config.controls.excluded,
    )
    save_reference(
        reference,
        out_json,
        out_npz,
        ReferenceManifest(
            flowmrd_version=__version__,
            panel_version=panel.version,
            seed=config.laip.seed,
            max_events_per_control=settings.max_events_per_control,
            controls=tuple(
                ControlSource(sample=tube.name, source="control" if i < real else "simulated")
                for i, tube in enumerate(tubes)
            ),
            note=f"{real} of at least {settings.min_controls} control tubes" if provisional else "",
        ),
    )
