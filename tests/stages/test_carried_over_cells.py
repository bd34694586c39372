"""Leukaemia of the tube before in the FCS file of the next one, from the file to the verdict."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from stage_commands import CONTROLS, command

from flowmrd.engine.plan import plan_run
from flowmrd.home import PANELS
from flowmrd.mrd.result import MrdResult
from flowmrd.panel import load_panel
from flowmrd.simulate.cohort import write_tube
from flowmrd.simulate.design import FollowUp, patients, tube_seed
from flowmrd.simulate.tube import SimulatedTube, simulate_tube
from flowmrd.store import read_json

TUBE = "P01-day21"
SEED = 3


def with_leukaemia_first(tube: SimulatedTube) -> SimulatedTube:
    """The same events with every leukaemic cell among the first 4 % of the run."""
    rng = np.random.default_rng(SEED)
    mrd = np.flatnonzero(tube.truth["mrd"])
    others = np.flatnonzero(~np.asarray(tube.truth["mrd"], dtype=bool))
    first = int(0.04 * tube.n_events)
    early = rng.permutation(np.concatenate([mrd, others[: first - len(mrd)]]))
    order = np.concatenate([early, others[first - len(mrd) :]])
    columns = {name: values if name == "Time" else values[order] for name, values in tube.columns.items()}
    return replace(tube, columns=columns, truth={name: values[order] for name, values in tube.truth.items()})


@pytest.mark.parametrize("carried_over", [True, False])
def test_leukaemic_cells_that_came_at_the_start_of_the_file_are_a_question_and_those_that_came_evenly_a_result(
    learned: Path, tmp_path: Path, carried_over: bool
) -> None:
    run = Path(shutil.copytree(learned, tmp_path / "run"))
    sheet = run / "config/samples.tsv"
    lines = [line for line in sheet.read_text().splitlines() if line.split("\t")[0] in ("sample", TUBE, *CONTROLS)]
    sheet.write_text("\n".join(lines) + "\n")
    plan = next(one for one in patients([FollowUp("P01", 0.02, nucleated=5_000)], SEED) if one.sample == TUBE)
    tube = simulate_tube(plan.spec, load_panel(PANELS / "ino10.yaml"), tube_seed(SEED, TUBE))
    write_tube(run / "fcs" / f"{TUBE}.fcs", with_leukaemia_first(tube) if carried_over else tube)
    plan_run(run)
    reference = run / "results/reference/ino10"
    command(
        run, "judge", "--sample", TUBE, "--reference", str(reference / "reference.json"),
        "--transforms", str(reference / "transform.json"), "--thresholds", str(reference / "gates.json"),
        *(word for name in CONTROLS for word in ("--control", name)),
    )  # fmt: skip
    result = MrdResult.model_validate(read_json(run / "results/samples" / TUBE / "mrd.json"))
    codes = {reason.code for reason in result.verdict.reasons}
    assert bool({"COUNTED_CAME_FIRST", "CAME_FIRST"} & codes) is carried_over
    assert result.mrd.detected is not carried_over
    assert not (carried_over and result.verdict.mrd_negative)
