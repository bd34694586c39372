"""Simulated tubes with the truth of every event, calibrated on real marrows (see docs/methods/simulator.md)."""

from flowmrd.simulate.cohort import SimulatedCohort, simulate_cohort, truth_path, write_tube
from flowmrd.simulate.design import PRESETS, FollowUp, TubePlan, patients, plan_preset, trial
from flowmrd.simulate.leukaemia import Cd19, Cd22, Therapy, draw_leukaemia
from flowmrd.simulate.populations import Code
from flowmrd.simulate.tube import Acquisition, SimulatedTube, TubeSpec, simulate_tube

__all__ = [
    "PRESETS",
    "Acquisition",
    "Cd19",
    "Cd22",
    "Code",
    "FollowUp",
    "SimulatedCohort",
    "SimulatedTube",
    "Therapy",
    "TubePlan",
    "TubeSpec",
    "draw_leukaemia",
    "patients",
    "plan_preset",
    "simulate_cohort",
    "simulate_tube",
    "trial",
    "truth_path",
    "write_tube",
]
