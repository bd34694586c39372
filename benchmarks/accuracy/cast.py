"""Who plays what in a condition: controls, backgrounds, blasts, library. No person plays two parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.accuracy.mixtures import Patient, half_of

LEVELS = (1e-2, 1e-3, 1e-4, 3e-5, 0.0)
LIBRARY = 15
ODD_NUMBER, ODD_SHARE = 2, 3e-4
"""Which control is odd, and the share of its cells that another patient's leukaemia has."""


@dataclass(frozen=True)
class Condition:
    """One row of the tables.

    Attributes
    ----------
    mode
        ``patient``, ``library`` or ``different_from_normal``: whether there is a diagnosis tube, and a library.
    drift
        Standard deviation per marker between diagnosis tube and follow-up, decades.
    diagnosis_marrow
        Whose normal cells the diagnosis tube holds: the follow-up's (``follow-up``) or the blasts' own patient's
        (``own``), which are stained otherwise.
    backgrounds, controls_from
        Cohorts of the follow-up marrows and blasts, and of the controls.
    half
        Whose persons play (:func:`~benchmarks.accuracy.mixtures.half_of`); None for everybody.
    therapy
        ``none`` or ``cd19 lost``.
    without_diagnosis
        Whether every tube is judged without its diagnosis tube as well.
    odd_control
        Whether the third control holds a few leukaemic cells of somebody else (:data:`ODD_SHARE`).
    """

    name: str
    mode: str = "patient"
    pairs: int = 30
    events: int = 450_000
    controls: int = 8
    drift: float = 0.15
    diagnosis_marrow: str = "follow-up"
    diagnosis_share: float = 0.4
    backgrounds: str = "VIE"
    controls_from: str = "VIE"
    therapy: str = "none"
    levels: tuple[float, ...] = LEVELS
    baselines: bool = False
    odd_control: bool = True
    half: int | None = None
    without_diagnosis: bool = False
    seed: int = 1

    @property
    def slug(self) -> str:
        """Name of its folder."""
        return "".join(c if c.isalnum() else "-" for c in self.name)


@dataclass(frozen=True)
class Cast:
    """Controls, pairs of background and blasts, patients of the library, and whose cells the odd control holds."""

    controls: list[Patient]
    backgrounds: list[Patient]
    blasts: list[Patient]
    library: list[Patient]
    odd: list[Patient]


def cast(patients: list[Patient], condition: Condition) -> Cast:
    """Deal persons: a marrow used as a control is never a background, and no person is on two sides."""
    rng = np.random.default_rng(condition.seed)
    if condition.half is not None:
        patients = [one for one in patients if half_of(one.person) == condition.half]
    order = [patients[i] for i in rng.permutation(len(patients))]
    used: set[str] = set()

    def take(number: int, cohort: str, *, blasts: bool) -> list[Patient]:
        out: list[Patient] = []
        for patient in order:
            fits = patient.cohort == cohort and patient.has_blasts == blasts and patient.b_group_ok
            if fits and patient.person not in used and len(out) < number:
                out.append(patient)
                used.add(patient.person)
        return out

    controls = take(condition.controls, condition.controls_from, blasts=False)
    backgrounds = take(condition.pairs, condition.backgrounds, blasts=False)
    blasts = take(condition.pairs, condition.backgrounds, blasts=True)
    library = take(LIBRARY, condition.controls_from, blasts=True) if condition.mode == "library" else []
    odd = take(1, condition.controls_from, blasts=True) if condition.odd_control else []
    return Cast(controls, backgrounds, blasts, library, odd)
