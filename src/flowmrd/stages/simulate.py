"""Stage behind ``flowmrd simulate``: a run directory with simulated tubes and their truth."""

from __future__ import annotations

from pathlib import Path

from flowmrd.panel.model import PanelModel
from flowmrd.simulate.cohort import SimulatedCohort, simulate_cohort
from flowmrd.simulate.design import many, plan_preset, resized, trial

DEFAULT_SEED = 20240093


def simulate(
    run_directory: Path,
    *,
    preset: str = "demo",
    seed: int = DEFAULT_SEED,
    panel: PanelModel,
    nucleated: int | None = None,
    tubes: int | None = None,
) -> SimulatedCohort:
    """Write a simulated cohort into a run directory.

    Parameters
    ----------
    run_directory
        Where to write ``config/`` and ``fcs/``.
    preset
        ``demo``, ``small``, ``many``, ``compensation`` or ``pooled`` (see :mod:`flowmrd.simulate.design`); or
        ``trial``, the re-enacted trial with its clinical tables (:mod:`flowmrd.trial.reenactment`); or the path of a
        ``.tsv`` table of patients (such as ``test_data/dilution.tsv``), to which control marrows are added.
    seed
        Same preset, panel and seed give the same bytes.
    panel
        Panel of all tubes.
    nucleated
        Nucleated cells per tube instead of the preset's.
    tubes
        Number of tubes of the preset ``many``.

    Returns
    -------
    SimulatedCohort
        ``sheet``, the path of the sample sheet, and ``manifest``, the true content of every tube.

    Raises
    ------
    SheetError
        If a table of patients cannot be read.
    ConfigError
        For an unknown preset, or a run directory that holds a configuration of the user's own.
    PanelError
        If the panel has a marker unknown to the simulator.
    """
    if preset == "many" and tubes is not None:
        design = many(panel, seed, tubes=tubes)
    elif preset == "trial":
        from flowmrd.trial.reenactment import read_tubes

        design = trial(panel, seed, read_tubes())
    elif preset.endswith(".tsv"):
        from flowmrd.trial.reenactment import read_tubes

        design = trial(panel, seed, read_tubes(Path(preset)))
    else:
        design = plan_preset(preset, panel, seed)
    if nucleated is not None:
        design = resized(design, nucleated)
    cohort = simulate_cohort(run_directory, design, seed, panel, label=Path(preset).stem)
    if preset == "trial":
        from flowmrd.trial.reenactment import copy_tables

        copy_tables(run_directory)
    return cohort
