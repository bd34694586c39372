"""The estimators keep scikit-learn's contract and can be searched with its tools."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from laip_marrow import marrow
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.utils import estimator_checks

from flowmrd.classifier import estimators
from flowmrd.classifier.candidate_cells import CandidateCells
from flowmrd.classifier.classifier import classify_tube
from flowmrd.classifier.estimators import MrdClassifier, NormalReference
from flowmrd.classifier.judge_tube import classifier_parameters
from flowmrd.classifier.laip_of_tubes import FoundLaip
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.patient_laip import find_laip
from flowmrd.config import PriorTherapy, RunConfig
from flowmrd.panel import load_panel
from flowmrd.tube import Tube

PARAMETERS = ClassifierParameters(seed=1, components=8, model_steps=4)


@pytest.fixture(scope="module")
def reference() -> NormalReference:
    return NormalReference(PARAMETERS, panel="toy").fit([marrow(f"c{i}", i, n=12_000)[0] for i in range(3)])


def test_a_fitted_estimator_says_what_the_functions_say(reference: NormalReference) -> None:
    tube, truth = marrow("fu", 60, n=12_000, blasts=60)
    assert reference.features_ == tube.features
    assert reference.n_controls_ == 3
    laip = find_laip(
        "p", marrow("dx", 50, n=12_000, blasts=6_000)[0], reference.model_, min_cells=200, parameters=PARAMETERS
    )
    for known in (None, laip):
        fitted = MrdClassifier(PARAMETERS).fit(reference, laip=known)
        result = classify_tube(tube, reference.model_, laip=known, library=None, parameters=PARAMETERS)
        np.testing.assert_array_equal(fitted.predict(tube), result.mrd)
        np.testing.assert_array_equal(fitted.decision_function(tube), result.score)
        assert (fitted.predict(tube) & truth).sum() >= 50
    assert reference.novelty(tube).score < 1.0
    moved = CandidateCells("odd", tube.features, tube.values + np.float32(1.0), tube.window, tube.denominator)
    assert reference.novelty(moved).flag


def test_parameters_are_read_set_and_cloned_as_scikit_learn_does() -> None:
    estimator = MrdClassifier(PARAMETERS, prior_therapy="cd22")
    assert estimator.get_params(deep=False) == {"parameters": PARAMETERS, "prior_therapy": "cd22", "patient": ""}
    assert estimator.get_params()["parameters__components"] == 8
    assert estimator.set_params(parameters__group_gain_least=30.0) is estimator
    assert estimator.chosen.group_gain_least == 30.0
    assert estimator.chosen.components == 8
    assert PARAMETERS.group_gain_least == 45.0
    copy = clone(estimator)
    assert copy is not estimator
    assert copy.get_params() == estimator.get_params()
    assert MrdClassifier().set_params(parameters__seeds=3).get_params()["parameters__seeds"] == 3
    for wrong in ("parameters__no_such", "no_such"):
        with pytest.raises(ValueError, match="no_such"):
            estimator.set_params(**{wrong: 1})


def test_an_estimator_that_is_not_fitted_says_so(reference: NormalReference) -> None:
    tube = marrow("fu", 61, n=2_000)[0]
    for use in (MrdClassifier().predict, MrdClassifier().decision_function, NormalReference().novelty):
        with pytest.raises(NotFittedError):
            use(tube)
    with pytest.raises(NotFittedError):
        MrdClassifier().fit(NormalReference())
    with pytest.raises(NotFittedError):
        clone(MrdClassifier().fit(reference)).predict(tube)
    with pytest.raises(ValueError, match="control"):
        NormalReference().fit([])


def test_one_number_of_the_classifier_is_searched_with_grid_search() -> None:
    blasts = [0, 60, 0, 60, 0, 0, 60, 0]
    tubes = [marrow(f"t{i}", 90 + i, n=12_000, blasts=count)[0] for i, count in enumerate(blasts)]
    grid = {"parameters__group_gain_least": [45.0, 1e6]}
    search = GridSearchCV(MrdClassifier(PARAMETERS), grid, cv=2, error_score="raise").fit(tubes, blasts)
    assert search.best_params_ == {"parameters__group_gain_least": 45.0}
    assert search.best_score_ > search.cv_results_["mean_test_score"][1]
    assert len(search.predict(tubes[:2])) == 2
    scores = cross_validate(
        MrdClassifier(PARAMETERS), tubes, blasts, cv=2, scoring=lambda one, x, y: one.score(x, y), error_score="raise"
    )
    assert scores["test_score"].shape == (2,)


CONTRACT = (
    estimator_checks.check_parameters_default_constructible,
    estimator_checks.check_get_params_invariance,
    estimator_checks.check_no_attributes_set_in_init,
    estimator_checks.check_estimator_repr,
    estimator_checks.check_estimator_cloneable,
)


@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)
@pytest.mark.parametrize("estimator", [MrdClassifier(), NormalReference()], ids=lambda one: type(one).__name__)
def test_scikit_learns_own_checks_of_the_contract_pass(
    check: Callable[[str, BaseEstimator], None], estimator: BaseEstimator
) -> None:
    check(type(estimator).__name__, estimator)


def test_a_fitted_estimator_is_the_same_after_pickling(reference: NormalReference) -> None:
    tube = marrow("fu", 62, n=12_000, blasts=60)[0]
    fitted = MrdClassifier(PARAMETERS).fit(reference)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict(tube), fitted.predict(tube))


def test_parameters_show_only_what_differs_from_the_product() -> None:
    assert repr(ClassifierParameters()) == "ClassifierParameters()"
    assert repr(MrdClassifier(ClassifierParameters(seed=3))) == "MrdClassifier(parameters=ClassifierParameters(seed=3))"


def test_without_a_configuration_the_estimators_have_the_numbers_of_a_run_with_the_defaults() -> None:
    panel = load_panel("ino10")
    of_run = classifier_parameters(panel, RunConfig(panel=panel.name, samples=""), PriorTherapy.NONE)
    assert replace(MrdClassifier().chosen, shifted=of_run.shifted) == of_run


def test_the_path_of_a_run_does_not_import_scikit_learn() -> None:
    code = (
        "import sys, flowmrd.classifier, flowmrd.stages.classify, flowmrd.stages.laip; print('sklearn' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("searched", [True, False])
def test_a_patient_whose_diagnosis_gave_no_phenotype_is_told_so_in_a_notebook_as_in_a_run(
    reference: NormalReference, monkeypatch: pytest.MonkeyPatch, searched: bool
) -> None:
    told: list[FoundLaip | None] = []
    monkeypatch.setattr(estimators, "classify", lambda *_, laip, **__: told.append(laip))
    tube = Tube("fu", load_panel("ino10"))
    given = FoundLaip(None) if searched else None
    MrdClassifier().fit(reference, laip=given).judge(tube)
    assert told == [given]
