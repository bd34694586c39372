"""A notebook judges tubes with what a finished run has frozen, and gets the run's own results."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import flowmrd
from flowmrd.store import read_json

TUBES = ("CTRL01", "P01-dx", "P01-day21", "P02-dx", "P02-day21")


@pytest.fixture(scope="module")
def run(finished: Path) -> flowmrd.FinishedRun:
    return flowmrd.FinishedRun(finished)


@pytest.mark.parametrize("name", TUBES)
def test_a_tube_of_the_run_gets_the_result_of_the_run(run: flowmrd.FinishedRun, finished: Path, name: str) -> None:
    result = run.quantify(run.judge(name))
    assert result == run.result(name)
    assert result.to_json_dict() == read_json(finished / f"results/samples/{name}/mrd.json")


@pytest.mark.parametrize("name", ["P01-day21", "P02-dx", "P02-day21"])
def test_the_estimators_give_the_numbers_of_the_run(run: flowmrd.FinishedRun, name: str) -> None:
    row = run.samples[name]
    classifier = flowmrd.MrdClassifier(prior_therapy=row.prior_therapy.value, patient=row.patient)
    classifier.fit(run.reference(), laip=run.laip(row.patient), library=run.library())
    judged = classifier.judge(run.gated(name))
    result, stored = flowmrd.quantify(judged, sample=row), run.result(name)
    assert result.model_copy(update={"provenance": stored.provenance}) == stored
    np.testing.assert_array_equal(classifier.predict(run.gated(name)), judged.mrd)


def test_a_tube_that_came_later_is_judged_by_the_same_artefacts(
    run: flowmrd.FinishedRun, finished: Path, tmp_path: Path
) -> None:
    fcs = Path(shutil.copyfile(finished / "fcs/P02-day21.fcs", tmp_path / "again.fcs"))
    later = replace(run.samples["P02-day21"], sample="again", fcs=fcs)
    result, stored = run.quantify(run.judge(later), later), run.result("P02-day21")
    assert result.sample == "again"
    assert result.model_copy(update={"sample": "P02-day21"}) == stored


def test_a_stored_reference_is_loaded_from_its_folder_or_its_file(run: flowmrd.FinishedRun, finished: Path) -> None:
    folder = finished / "results/reference/ino10"
    for path in (folder, folder / "reference.json", str(folder)):
        loaded = flowmrd.NormalReference.load(path)
        assert loaded.n_controls_ == sum(one.used for one in loaded.judgements_) == 3
        assert loaded.features_ == run.reference("ino10").features_
        assert repr(loaded) == "NormalReference(panel='ino10')"
    with pytest.raises(flowmrd.InputError, match=r"reference\.json"):
        flowmrd.NormalReference.load(finished / "config")


def test_a_stored_phenotype_says_what_the_search_found(run: flowmrd.FinishedRun, finished: Path) -> None:
    found = flowmrd.load_laip(finished / "results/laip/P02")
    assert found.laip is not None
    assert found.diagnosis == "P02-dx"
    assert found.components
    assert found.laip.patient == "P02"
    assert run.laip("nobody") is None


def test_what_the_run_does_not_have_is_an_error_that_says_so(run: flowmrd.FinishedRun, tmp_path: Path) -> None:
    with pytest.raises(flowmrd.InputError, match="no usable row"):
        run.judge("P99")
    with pytest.raises(flowmrd.InputError, match=r"mrd\.json"):
        run.result("P99")
    with pytest.raises(flowmrd.InputError):
        run.reference("vienna_b8")
    with pytest.raises(flowmrd.InputError):
        flowmrd.FinishedRun(tmp_path).samples  # noqa: B018
