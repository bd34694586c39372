"""Designs of simulated cohorts: presets, and a design for a trial."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from numpy.random import SeedSequence, default_rng

from flowmrd.config.sheet import PriorTherapy, Role
from flowmrd.errors import ConfigError
from flowmrd.panel.model import PanelModel
from flowmrd.simulate.cytometer import build_cytometer
from flowmrd.simulate.leukaemia import NO_THERAPY, Cd19, Cd22, Leukaemia, Therapy, draw_leukaemia
from flowmrd.simulate.populations import ADULT, AFTER_ANTI_B, DISEASED, REGENERATING, Composition
from flowmrd.simulate.tube import STEADY, Acquisition, TubeSpec

AFTER_INOTUZUMAB: Final = Therapy(cd22=Cd22.DIM, steroid=0.5)
"""State of blasts on day 21: less CD22 on the remaining cells, and half of the steroid shift."""


@dataclass(frozen=True)
class TubePlan:
    """One row of the sample sheet, and the content of the tube.

    Attributes
    ----------
    specimen
        ``specimen_id`` of tubes that are acquisitions of one specimen.
    """

    sample: str
    patient: str
    role: Role
    spec: TubeSpec
    timepoint: str = ""
    prior_therapy: PriorTherapy = PriorTherapy.NONE
    stain: str = ""
    specimen: str = ""


@dataclass(frozen=True)
class FollowUp:
    """A patient to simulate: a diagnosis tube and one follow-up tube at a chosen MRD level.

    Attributes
    ----------
    level
        Expected leukaemic share of the nucleated cells at follow-up.
    before, after
        State of the blasts at diagnosis and at follow-up.
    nucleated, diagnosis_nucleated
        Number of nucleated singlets; ``diagnosis_nucleated`` 0 leaves the diagnosis tube out.
    """

    patient: str
    level: float
    before: Therapy = NO_THERAPY
    after: Therapy = AFTER_INOTUZUMAB
    nucleated: int = 330_000
    diagnosis_nucleated: int = 100_000
    blasts: float = 0.6
    composition: Composition = AFTER_ANTI_B
    timepoint: str = "day21"
    acquisition: Acquisition = STEADY


def person_seed(seed: int, patient: str) -> int:
    """Seed of a person's biology, which depends only on the cohort's seed and the patient's name."""
    return int(SeedSequence([seed, zlib.crc32(patient.encode())]).generate_state(1)[0])


def tube_seed(seed: int, sample: str) -> int:
    """Seed of a tube, which depends only on the cohort's seed and the sample's name."""
    return int(SeedSequence([seed, 1, zlib.crc32(sample.encode())]).generate_state(1)[0])


BLAST_DRIFT_SD: Final = {"CD10": 0.1, "CD20": 0.12, "CD45": 0.12, "CD34": 0.16, "CD38": 0.24, "CD19": 0.06, "CD58": 0.1,
                         "CD22": 0.1, "CD24": 0.1}  # fmt: skip
"""Biological drift of blasts between two tubes of a patient, decades. It is half of the drift that 15 patients with two
tubes showed beyond that of their normal B cells (those tubes were months apart; here it is three weeks). The values for
CD22, CD24 and CD58 are assumed.
"""


def blast_drift(seed: int, sample: str) -> dict[str, float]:
    """Drift of the blasts of one tube against the diagnosis."""
    rng = default_rng(SeedSequence([tube_seed(seed, sample), 5]))
    return {marker: float(rng.normal(0.0, sd)) for marker, sd in BLAST_DRIFT_SD.items()}


def leukaemia_of(seed: int, patient: str) -> Leukaemia:
    """Leukaemia of a patient of the cohort."""
    return draw_leukaemia(default_rng(SeedSequence([person_seed(seed, patient), 3])))


def controls(n: int, nucleated: int, seed: int, *, every: int = 4) -> list[TubePlan]:
    """Control marrows. Each ``every``-th one regenerates, so that the reference includes haematogone hyperplasia."""
    plans = []
    for i in range(1, n + 1):
        name = f"CTRL{i:02d}"
        composition = REGENERATING if i % every == 0 else ADULT
        spec = TubeSpec(nucleated, composition, person_seed=person_seed(seed, name))
        plans.append(TubePlan(name, name, Role.CONTROL, spec))
    return plans


def patients(rows: Sequence[FollowUp], seed: int) -> list[TubePlan]:
    """Tubes of patients under inotuzumab: diagnosis (no anti-CD22 yet) and follow-up (anti-CD22, B cells gone)."""
    plans = []
    for row in rows:
        leukaemia = leukaemia_of(seed, row.patient)
        person = person_seed(seed, row.patient)
        earlier = row.before.cd19 is not Cd19.KEPT
        before = TubeSpec(row.diagnosis_nucleated, DISEASED, leukaemia, row.blasts, row.before, person_seed=person)
        after = TubeSpec(
            row.nucleated,
            row.composition,
            leukaemia,
            row.level,
            row.after,
            person_seed=person,
            acquisition=row.acquisition,
            blast_shift=blast_drift(seed, f"{row.patient}-{row.timepoint}"),
        )
        if row.diagnosis_nucleated:
            plans.append(
                TubePlan(
                    f"{row.patient}-dx",
                    row.patient,
                    Role.DIAGNOSIS,
                    before,
                    "diagnosis",
                    PriorTherapy.CD19 if earlier else PriorTherapy.NONE,
                )
            )
        given = PriorTherapy.CD19_CD22 if earlier or row.after.cd19 is not Cd19.KEPT else PriorTherapy.CD22
        plans.append(
            TubePlan(f"{row.patient}-{row.timepoint}", row.patient, Role.FOLLOWUP, after, row.timepoint, given)
        )
    return plans


DEMO_PATIENTS: Final = (
    FollowUp("P01", 0.0, after=Therapy(cd22=Cd22.MASKED, steroid=0.7)),
    FollowUp("P02", 3e-5, after=AFTER_INOTUZUMAB),
    FollowUp(
        "P03",
        1e-4,
        before=Therapy(cd19=Cd19.PARTIAL),
        after=Therapy(cd19=Cd19.LOST, cd22=Cd22.DIM, steroid=0.5),
        nucleated=400_000,
        acquisition=Acquisition(clog=0.04),
    ),
    FollowUp("P04", 1e-3, after=Therapy(cd22=Cd22.DIM, steroid=0.8), acquisition=Acquisition(slow_start=0.08)),
    # CD19 lost and CD22 masked, and no diagnosis tube: early progenitors after such therapy look the same.
    FollowUp("P06", 3e-4, after=Therapy(cd19=Cd19.LOST, cd22=Cd22.MASKED, steroid=0.5), diagnosis_nucleated=0),
)
"""Follow-ups at 0, 3e-5, 1e-4, 1e-3 and 3e-4: one after CD19 loss, one with a clog, one with a slow start, and one that
no single tube can decide (P05 is the pooled specimen).
"""


def demo(panel: PanelModel, seed: int) -> list[TubePlan]:
    """Six large control marrows, one control too small for 1e-4, four patients with a diagnosis tube, one without."""
    small = TubePlan("CTRL07-small", "CTRL07", Role.CONTROL, TubeSpec(60_000, person_seed=person_seed(seed, "CTRL07")))
    # Two regenerating controls, so that one is still in the reference by which the other is judged.
    return [*controls(6, 320_000, seed, every=3), small, *patients(DEMO_PATIENTS, seed)]


def small(panel: PanelModel, seed: int) -> list[TubePlan]:
    """Tiny cohort for tests: 4 controls, 2 patients, 20,000 cells per tube."""
    rows = [
        FollowUp("P01", 0.0, nucleated=20_000, diagnosis_nucleated=20_000),
        FollowUp("P02", 5e-3, nucleated=20_000, diagnosis_nucleated=20_000),
    ]
    return [*controls(4, 20_000, seed), *patients(rows, seed)]


def many(panel: PanelModel, seed: int, *, tubes: int = 100, nucleated: int = 20_000) -> list[TubePlan]:
    """Cohort of ``tubes`` tubes for scale tests: a tenth are controls (at least 4), the others diagnosis and follow-up
    tubes.
    """
    n_controls = max(4, tubes // 10)
    levels = (0.0, 1e-4, 1e-3, 1e-2)
    rows = [
        FollowUp(f"P{i + 1:04d}", levels[i % 4], nucleated=nucleated, diagnosis_nucleated=nucleated)
        for i in range((tubes - n_controls + 1) // 2)
    ]
    return [*controls(n_controls, nucleated, seed), *patients(rows, seed)][:tubes]


def compensation(panel: PanelModel, seed: int) -> list[TubePlan]:
    """Single-stain tubes of every dye and an unstained tube, for comparison with the known spillover matrix."""
    clean = Acquisition(doublets=0.02, debris=0.01, dead=0.0, aggregates=0.005, spill_error=0.0)
    stains = [detector.marker for detector in build_cytometer(panel).fluorescence]
    return [
        TubePlan(
            f"COMP-{stain}",
            "COMP",
            Role.COMPENSATION,
            TubeSpec(10_000, person_seed=person_seed(seed, "COMP"), acquisition=clean, stain=stain),
            stain=stain,
        )
        for stain in (*stains, "unstained")
    ]


def trial(panel: PanelModel, seed: int, rows: Sequence[FollowUp], *, n_controls: int = 6) -> list[TubePlan]:
    """Tubes of a trial: the given patients and enough controls for a reference."""
    return [*controls(n_controls, 320_000, seed, every=3), *patients(rows, seed)]


def pooled(panel: PanelModel, seed: int, *, acquisitions: int = 5, nucleated: int = 1_250_000) -> list[TubePlan]:
    """One clean specimen in several acquisitions, with the patient's diagnosis tube and without controls."""
    dx, after = patients([FollowUp("P05", 0.0, nucleated=nucleated)], seed)
    tubes = [replace(after, sample=f"{after.sample}-{n + 1}", specimen=after.sample) for n in range(acquisitions)]
    return [dx, *tubes]


PRESETS: Final[dict[str, Callable[[PanelModel, int], list[TubePlan]]]] = {
    "demo": demo,
    "small": small,
    "many": many,
    "compensation": compensation,
    "pooled": pooled,
}
"""Presets of ``flowmrd simulate``."""


def plan_preset(preset: str, panel: PanelModel, seed: int) -> list[TubePlan]:
    """Tubes of a named preset.

    Raises
    ------
    ConfigError
        If there is no such preset.
    """
    if preset not in PRESETS:
        raise ConfigError(
            f"preset {preset!r}",
            found="no such preset",
            expected=f"one of {', '.join(PRESETS)}, trial, or a .tsv table of patients",
            todo="choose one of these with --preset",
        )
    return PRESETS[preset](panel, seed)


def resized(plans: Sequence[TubePlan], nucleated: int) -> list[TubePlan]:
    """Return the same tubes with another number of nucleated cells each."""
    return [replace(plan, spec=replace(plan.spec, nucleated=nucleated)) for plan in plans]
