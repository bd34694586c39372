"""Libraries of phenotypes: built once, never changed, refused when altered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from laip_marrow import marrow

from flowmrd.classifier.laip_of_tubes import FoundLaip
from flowmrd.classifier.normal_reference import build_reference
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.patient_laip import PatientLaip, find_laip
from flowmrd.classifier.storage import load_laip, save_laip
from flowmrd.classifier.stored_library import build_library, library_digest, library_files
from flowmrd.cli.app import call
from flowmrd.errors import ArtefactError


@pytest.fixture(scope="module")
def laip() -> PatientLaip:
    parameters = ClassifierParameters(seed=1)
    reference = build_reference("toy", [marrow(f"c{i}", i)[0] for i in range(2)], parameters=parameters)
    found = find_laip("p", marrow("dx", 50, blasts=12_000)[0], reference, min_cells=200, parameters=parameters)
    assert found is not None
    return replace(found, indistinct=False)


def stored(run: Path, laip: PatientLaip | None, patient: str) -> Path:
    path = run / "results/laip" / patient / "laip.json"
    path.parent.mkdir(parents=True)
    own = None if laip is None else replace(laip, patient=patient)
    save_laip(FoundLaip(own), patient, path, path.with_suffix(".npz"))
    return path


def test_a_library_holds_the_phenotypes_that_were_found_and_its_digest_does_not_depend_on_its_folder(
    laip: PatientLaip, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    paths = [stored(run, laip, name) for name in ("P2", "P1")]
    stored(run, None, "P3")
    stored(run, replace(laip, indistinct=True), "P4")
    assert call(["library", "build", str(run), "-o", str(tmp_path / "one")]) == 0
    assert "P3 left out" in capsys.readouterr().out
    made = build_library(paths, tmp_path / "deep/two")
    assert made.patients == ("P1", "P2")
    for folder in (tmp_path / "one", tmp_path / "deep/two"):
        files = library_files(folder)
        assert library_digest(files) == made.digest == library_digest(paths)
        assert [entry.patient for path in files if (entry := load_laip(path).laip)] == ["P1", "P2"]
    assert (tmp_path / "one/library.json").read_bytes() == (tmp_path / "deep/two/library.json").read_bytes()
    assert call(["library", "show", str(tmp_path / "one")]) == 0
    assert made.digest in capsys.readouterr().out


def test_a_library_is_never_changed(laip: PatientLaip, tmp_path: Path) -> None:
    paths = [stored(tmp_path / "run", laip, "P1")]
    build_library(paths, tmp_path / "library")
    with pytest.raises(ArtefactError, match="not empty"):
        build_library(paths, tmp_path / "library")


@pytest.mark.parametrize("fault", ["altered", "missing", "elsewhere", "no library", "no json", "nothing usable"])
def test_a_folder_that_is_not_a_library_is_refused(laip: PatientLaip, tmp_path: Path, fault: str) -> None:
    folder = tmp_path / "library"
    if fault == "nothing usable":
        with pytest.raises(ArtefactError, match="no phenotype"):
            build_library([stored(tmp_path / "run", None, "P1")], folder)
        return
    if fault != "no library":
        build_library([stored(tmp_path / "run", laip, "P1")], folder)
    entry, index = folder / "P1/laip.json", folder / "library.json"
    if fault == "altered":
        entry.write_text(entry.read_text() + " ")
    elif fault == "missing":
        entry.unlink()
    elif fault == "elsewhere":
        index.write_text(index.read_text().replace('"P1"', '"../run/results/laip/P1"'))
    elif fault == "no json":
        index.unlink()
    with pytest.raises(ArtefactError):
        library_files(folder)
