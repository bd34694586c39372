"""Promises of the staining control, on made-up marrows whose antibodies are known to have failed or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from laip_marrow import FEATURES, marrow

from flowmrd.classifier.candidate_cells import CandidateCells
from flowmrd.classifier.classification import CountedGroup
from flowmrd.classifier.classifier import classify_tube
from flowmrd.classifier.group_evidence import EvidenceOnGroup
from flowmrd.classifier.marker_staining import MarkerStaining
from flowmrd.classifier.mixture import Mixture
from flowmrd.classifier.normal_reference import ReferenceModel, build_reference
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.shifted_staining import shifted_staining_flags
from flowmrd.classifier.staining_control import (
    StainingFinding,
    judge_staining,
    staining_flags,
    unstained_markers,
)
from flowmrd.classifier.tube_model import fit_tube
from flowmrd.flags import REGISTRY, Effect, Flag
from flowmrd.records.classification import StainingState
from flowmrd.records.references import MarkerStainingEntry

PARAMETERS = ClassifierParameters(replicates=1)


@pytest.fixture(scope="module")
def reference() -> ReferenceModel:
    controls = [marrow(f"c{i}", i)[0] for i in range(5)]
    return build_reference("test", controls, parameters=PARAMETERS)


def judged(tube: CandidateCells, reference: ReferenceModel, hidden: frozenset[str] = frozenset()) -> dict[str, str]:
    """Code to sentence of what forbids a negative answer."""
    parameters = replace(PARAMETERS, unreliable=hidden)
    result = classify_tube(tube, reference, laip=None, library=None, parameters=parameters)
    return {flag.code: flag.message for flag in result.flags if REGISTRY[flag.code].effect is not Effect.REMARK}


def without(tube: CandidateCells, *markers: str) -> CandidateCells:
    """The tube with these antibodies forgotten."""
    values = tube.values.copy()
    rng = np.random.default_rng(9)
    for marker in markers:
        values[:, FEATURES.index(marker)] = rng.normal(0.8, 0.15, tube.n)
    return replace(tube, values=values)


def test_a_sound_tube_is_not_blamed(reference: ReferenceModel) -> None:
    assert judged(marrow("fu", 30)[0], reference) == {}


@pytest.mark.parametrize("marker", ["CD19", "CD10", "CD45"])
def test_a_forgotten_antibody_is_named_and_forbids_a_negative(reference: ReferenceModel, marker: str) -> None:
    told = judged(without(marrow("fu", 31)[0], marker), reference)
    assert told["ANTIBODY_ABSENT"].startswith(f"{marker} stained no cell")


def test_leukaemia_in_a_tube_without_its_antibodies_is_never_missed_as_negative(reference: ReferenceModel) -> None:
    tube, _ = marrow("fu", 32, blasts=60)
    told = judged(without(tube, "CD19", "CD10"), reference)
    assert "CD19" in told["ANTIBODY_NOT_VERIFIED"]


@pytest.mark.parametrize(
    ("markers", "codes"),
    [
        (("CD20",), {"ANTIBODY_WITHOUT_CELLS"}),
        (("CD34",), {"ANTIBODY_NOT_SHOWN"}),
        (("CD20", "CD34"), {"ANTIBODY_WITHOUT_CELLS", "ANTIBODY_NOT_SHOWN"}),
        (("CD19",), {"ANTIBODY_NOT_VERIFIED"}),
    ],
)
def test_an_antibody_that_no_cell_verifies_is_a_doubt_where_other_cells_than_b_cells_carry_it(
    markers: tuple[str, ...], codes: set[str]
) -> None:
    names = (
        "CD19",
        "CD20",
        "CD34",
        "CD10",
        "CD38",
        "CD45",
        "CD58",
        "CD24",
        "CD66b",
        "CD3",
        "CD7",
        "CD13",
        "CD33",
        "CD73",
    )
    states: dict[str, StainingState] = {name: "not_verifiable" if name in markers else "ok" for name in names}
    findings = [StainingFinding(name, state, 0, 0) for name, state in states.items()]
    flags = staining_flags(findings, frozenset(), ClassifierParameters())
    assert {item.code for item in flags} == codes
    assert all("CD20" not in item.message for item in flags if item.code == "ANTIBODY_NOT_SHOWN")


def test_a_marker_that_therapy_covers_is_reported_and_forbids_nothing(reference: ReferenceModel) -> None:
    tube = without(marrow("fu", 33)[0], "CD19")
    assert "ANTIBODY_ABSENT" not in judged(tube, reference, frozenset({"CD19"}))


def test_a_colour_at_three_times_its_signal_is_named_and_not_its_neighbours(reference: ReferenceModel) -> None:
    tube, _ = marrow("fu", 34)
    values = tube.values.copy()
    values[:, FEATURES.index("CD10")] += np.float32(np.log10(3.0))
    told = judged(replace(tube, values=values), reference)
    assert told["STAINING_SHIFTED"].startswith("CD10 is 0.")
    assert "brighter on normal cells" in told["STAINING_SHIFTED"]


def test_a_control_is_compared_with_the_others_alone(reference: ReferenceModel) -> None:
    for record in reference.controls:
        others = [other.staining for other in reference.controls if other is not record]
        assert {one.state for one in judge_staining(record.staining, others, PARAMETERS)} == {"ok"}


def test_few_unstained_carriers_do_not_prove_a_missing_antibody() -> None:
    controls = [[MarkerStaining("CD19", 5_000, 0.99, 0.0, 0.3, 0.0, 5_000, 100_000)] for _ in range(4)]
    (few,) = judge_staining([MarkerStaining("CD19", 8, 0.0, None, None, 0.0, 0, 100_000)], controls, PARAMETERS)
    (many,) = judge_staining([MarkerStaining("CD19", 80, 0.0, -1.5, -1.2, 0.0, 0, 100_000)], controls, PARAMETERS)
    assert (few.state, many.state) == ("not_verifiable", "absent")
    assert unstained_markers([few, many]) == ("CD19",)
    assert unstained_markers([few, many], hidden=["CD19"]) == ()


def test_bright_cells_of_any_kind_show_that_an_antibody_works() -> None:
    controls = [[MarkerStaining("CD34", 500, 0.95, 0.0, 0.3, 0.0, 900, 100_000)] for _ in range(4)]
    (found,) = judge_staining([MarkerStaining("CD34", 3, None, None, None, 0.0, 40, 100_000)], controls, PARAMETERS)
    assert found.state == "ok"


def test_what_is_stored_of_a_marker_is_read_again() -> None:
    marker = MarkerStaining("CD34", 500, 0.95, None, 0.3, 0.01, 900, 100_000)
    assert MarkerStaining.from_record(MarkerStainingEntry.model_validate(marker.as_record())) == marker


def test_dim_cells_alone_do_not_prove_a_shifted_colour() -> None:
    """Voltage moves bright cells too; where these stay, the dim ones hold light of something else."""
    controls = [
        [MarkerStaining("CD20", 5_000, 0.99, place, 0.3 + place, place / 2, 5_000, 100_000)]
        for place in (-0.1, 0.0, 0.1, 0.05)
    ]

    def state(middle: float, without: float, carriers: int = 5_000) -> str:
        own = MarkerStaining("CD20", carriers, 0.99, middle, 0.3 + middle, without, 5_000, 100_000)
        return judge_staining([own], controls, PARAMETERS)[0].state

    assert state(-0.1, 0.65) == "ok"
    assert state(0.2, 0.65) == "shifted", "both moved"
    assert state(-0.1, 1.2) == "shifted", "far beyond what spillover does"
    assert state(-0.1, 0.65, carriers=0) == "shifted", "no cell speaks for the antibody"


@pytest.mark.parametrize("marker", ["CD10", "CD38", "CD20"])
def test_carriers_that_differ_between_persons_are_blamed_only_beyond_that_difference(marker: str) -> None:
    """Seven controls agree by chance; granulocytes of the next person have CD10 a decade dimmer, and nothing failed."""
    controls = [
        [MarkerStaining(marker, 5_000, 0.95, place, 0.3 + place, place / 2, 5_000, 100_000)]
        for place in (-0.15, -0.1, -0.05, 0.0, 0.05, 0.1, 0.15)
    ]

    def state(middle: float) -> str:
        own = MarkerStaining(marker, 5_000, 0.5, middle, 0.3 + middle, 0.0, 5_000, 100_000)
        return judge_staining([own], controls, PARAMETERS)[0].state

    assert state(-1.0) == ("shifted" if marker == "CD20" else "ok")
    assert state(-2.0) == state(2.0) == "shifted"


def test_a_dim_nucleic_acid_dye_is_not_taken_for_a_forgotten_one() -> None:
    """A sound development tube had its dye 1.3 decades below the controls and more than half a decade above no dye."""

    def dyed(name: str, seed: int, level: float) -> CandidateCells:
        tube = marrow(name, seed)[0]
        features = tuple("SYTO41" if marker == "CD45" else marker for marker in tube.features)
        values = tube.values.copy()
        values[:, features.index("SYTO41")] = np.random.default_rng(seed).normal(level, 0.15, tube.n)
        return replace(tube, features=features, values=values)

    controls = [dyed(f"c{i}", i, level) for i, level in enumerate((2.7, 3.0, 3.3))]
    dye = build_reference("dye", controls, parameters=PARAMETERS)
    assert "ANTIBODY_ABSENT" not in judged(dyed("dim", 30, 1.75), dye)
    assert judged(dyed("none", 30, 0.88), dye)["ANTIBODY_ABSENT"].startswith("SYTO41 stained no cell")


def test_cells_that_differ_from_normal_by_a_shifted_marker_alone_are_a_question(reference: ReferenceModel) -> None:
    """A group of mature B cells with bright CD34 and one of blasts, in a tube whose CD34 is shifted or is not."""
    tube, truth = marrow("fu", 33, blasts=60)
    fitted = fit_tube(reference.model, tube, PARAMETERS)
    mature = np.flatnonzero(tube.window & ~truth & (tube.values[:, FEATURES.index("CD10")] < 1.5))[:60]
    values = tube.values.copy()
    values[mature, FEATURES.index("CD34")] += 2.0
    tube = replace(tube, values=values)
    cluster = np.full(tube.n, -1, dtype=np.int32)
    cluster[mature], cluster[truth] = 0, 1
    bright, blasts = (
        CountedGroup(
            Mixture(np.ones(1), values[cluster == number].mean(axis=0)[None], 0.05 * np.eye(len(FEATURES))[None]),
            "different_from_normal",
            EvidenceOnGroup(0.5),
        )
        for number in (0, 1)
    )

    def told(
        counted: Sequence[CountedGroup], numbers: np.ndarray, state: StainingState, marker: str = "CD34"
    ) -> list[Flag]:
        finding = StainingFinding(marker, state, 100, 100, 0.7, 0.4)
        return shifted_staining_flags(tube, counted, numbers, fitted, [finding], PARAMETERS)

    alone = np.where(cluster == 0, 0, -1).astype(np.int32)
    (asked,) = told([bright], alone, "shifted")
    assert "60 counted cells" in asked.message and "CD34" in asked.message
    assert REGISTRY[asked.code].effect is Effect.NO_POSITIVE
    assert told([bright], alone, "ok") == told([bright], alone, "shifted", "CD45") == []
    assert told([bright, blasts], cluster, "shifted") == [], "the blasts are a detection in any staining"
    assert told([replace(bright, source="patient")], alone, "shifted") == [], "they lie where the leukaemia does"
