"""Controls judged as controls."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from laip_marrow import marrow, with_population

from flowmrd.classifier.candidate_cells import CandidateCells
from flowmrd.classifier.control_judgement import build_judged_reference, lost_cells
from flowmrd.classifier.estimators import NormalReference
from flowmrd.classifier.normal_reference import ReferenceModel
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.storage import save_reference
from flowmrd.flags import flag
from flowmrd.mrd.limits import limits
from flowmrd.mrd.reasons import sort_flags
from flowmrd.mrd.verdict import Evidence, decide
from flowmrd.store import read_json

PARAMETERS = ClassifierParameters(
    seed=1,
    components=12,
    training_cells=12_000,
    start_cells=6_000,
    model_steps=8,
    fitted_cells=8_000,
    reference_folds=3,
)
"""A smaller model than the product's: the made-up marrow holds six populations."""


def digest(reference: ReferenceModel) -> str:
    """Digest of what other tubes are judged by; the judgements of the controls themselves are left out."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "reference.json")
        save_reference(replace(reference, judgements=()), path, path.with_suffix(".npz"))
        return str(read_json(path)["digest"])


@pytest.fixture(scope="module")
def controls() -> list[CandidateCells]:
    return [marrow(f"c{i}", i)[0] for i in range(6)]


@pytest.fixture(scope="module")
def six(controls: list[CandidateCells]) -> str:
    reference, judged = build_judged_reference("toy", controls, parameters=PARAMETERS)
    assert [one.verdict for one in judged] == ["CONTROL_CLEAN"] * 6
    return digest(reference)


@pytest.mark.parametrize(("blasts", "code"), [(60, "CONTROL_GROUP"), (25_000, "CONTROL_LEUKAEMIC")])
def test_an_odd_control_is_named_and_the_reference_is_that_of_the_others(
    controls: list[CandidateCells], six: str, blasts: int, code: str
) -> None:
    odd = marrow("odd", 70, blasts=blasts)[0]
    reference, judged = build_judged_reference("toy", [*controls, odd], parameters=PARAMETERS)
    found = {one.name: one for one in judged}
    assert found["odd"].verdict == "CONTROL_ODD"
    assert not found["odd"].used
    assert code in {reason.code for reason in found["odd"].reasons}
    assert all(one.used for name, one in found.items() if name != "odd")
    assert digest(reference) == six


def test_a_control_with_an_unknown_population_is_odd_and_so_is_its_own_page(
    controls: list[CandidateCells], six: str
) -> None:
    """What rules out a negative of a patient's tube makes a control odd, for the reference and for the verdict."""
    odd = with_population(marrow("odd", 71)[0], 0.4, (1.2, 0.8, 0.8, 0.8, 1.6))
    reference, judged = build_judged_reference("toy", [*controls, odd], parameters=PARAMETERS)
    found = {one.name: one for one in judged}
    assert [one.name for one in judged if not one.used] == ["odd"]
    assert "UNKNOWN_POPULATION" in {reason.code for reason in found["odd"].reasons}
    assert digest(reference) == six
    for name, one in found.items():
        flags = sort_flags(one.reasons, role="control")
        said = decide(
            Evidence(
                mrd_events=0, denominator=100_000, interval=(0.0, 3.7e-5), limits=limits(100_000, background=0.0),
                target=1e-4, spike_in_detected=None, doubts=flags.doubts, blind_spots=flags.blind_spots,
                oddities=flags.oddities, remarks=flags.remarks, role="control",
            )
        )  # fmt: skip
        assert said.class_.value == one.verdict, name


def test_a_control_whose_matrix_is_in_doubt_is_left_out_unless_most_controls_are(
    controls: list[CandidateCells], six: str
) -> None:
    """Its own page said CONTROL_ODD, and its cells were normal marrow for every other tube."""
    doubt = flag("RESIDUAL_SPILLOVER", pairs="CD24 into CD34 (12%)")
    odd = replace(marrow("odd", 71)[0], doubts=(doubt,))
    reference, judged = build_judged_reference("toy", [*controls, odd], parameters=PARAMETERS)
    assert [(one.name, one.reasons) for one in judged if not one.used] == [("odd", (doubt,))]
    assert digest(reference) == six
    everywhere = [replace(tube, doubts=(doubt,)) for tube in controls]
    _, judged = build_judged_reference("toy", everywhere, parameters=PARAMETERS)
    assert all(one.used and not one.reasons for one in judged)


def test_the_laboratory_has_the_last_word(controls: list[CandidateCells], six: str) -> None:
    odd = marrow("odd", 70, blasts=60)[0]
    reference, judged = build_judged_reference(
        "toy", [*controls, odd], parameters=PARAMETERS, accepted={"odd": "known clone"}
    )
    found = {one.name: one for one in judged}["odd"]
    assert (found.verdict, found.used, found.by, found.note) == ("CONTROL_ODD", True, "laboratory", "known clone")
    assert digest(reference) != six
    reference, judged = build_judged_reference(
        "toy", [*controls, odd], parameters=PARAMETERS, excluded={"odd": "relapsed later"}
    )
    found = {one.name: one for one in judged}["odd"]
    assert (found.verdict, found.used, found.by) == ("CONTROL_ODD", False, "laboratory")
    assert "relapsed later" in found.reasons[0].message
    assert digest(reference) == six


def test_a_control_that_lost_half_of_its_cells_on_the_way_is_odd() -> None:
    def tube(name: str, denominator: int) -> CandidateCells:
        empty = np.zeros((0, 1), dtype=np.float32)
        return CandidateCells(name, ("CD19",), empty, np.zeros(0, dtype=bool), denominator, events=100_000)

    others = [tube(f"c{i}", 88_000 + 1_000 * i) for i in range(5)]
    assert lost_cells(tube("half", 45_000), others, PARAMETERS) == pytest.approx((0.45, 0.9))
    assert lost_cells(tube("like", 85_000), others, PARAMETERS) is None
    assert lost_cells(replace(others[0], events=0), others, PARAMETERS) is None


def test_the_estimator_leaves_out_an_odd_control_as_a_run_does(controls: list[CandidateCells], six: str) -> None:
    odd = marrow("odd", 70, blasts=60)[0]
    fitted = NormalReference(PARAMETERS, panel="toy").fit([*controls, odd])
    assert [one.name for one in fitted.judgements_ if not one.used] == ["odd"]
    assert fitted.n_controls_ == 6
    assert digest(fitted.model_) == six
