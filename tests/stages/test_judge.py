"""One process from the FCS file to the report gives what the single stages give."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from stage_commands import CONTROLS, command

from flowmrd.stages.prepare import file_state, require_unchanged
from flowmrd.store import read_json

TUBE = "P01-day21"
RESULTS = (
    "mrd.json",
    "report.html",
    "report.json",
    "populations.tsv",
    "qc.json",
    "gates.xml",
    "events.parquet",
    "annotated.fcs",
)
RECORDS = ("ingest.json", "qc.json", "gates.json", "classification.json", "mrd.json")


def files(run: Path, tube: str) -> dict[str, bytes]:
    places = [run / "results/samples" / tube / name for name in RESULTS]
    places += [run / "results/work" / tube / name for name in RECORDS]
    return {str(path.relative_to(run)): path.read_bytes() for path in places}


def test_one_process_writes_the_bytes_of_the_single_stages(learned: Path, tmp_path: Path) -> None:
    single, whole = (Path(shutil.copytree(learned, tmp_path / name)) for name in ("single", "whole"))
    reference = "results/reference/ino10"
    judging = {
        run: ["--sample", TUBE, "--reference", str(run / reference / "reference.json")] for run in (single, whole)
    }
    controls = [word for name in CONTROLS for word in ("--control", name)]
    command(single, "ingest", "--sample", TUBE)
    command(single, "preprocess", "--sample", TUBE, "--transforms", str(single / reference / "transform.json"))
    command(single, "gate", "--sample", TUBE, "--thresholds", str(single / reference / "gates.json"))
    command(single, "classify", *judging[single])
    command(single, "quantify", *judging[single])
    command(single, "export", "--sample", TUBE)
    command(single, "report", *judging[single], *controls)
    learned_files = (
        "--transforms",
        f"{whole / reference}/transform.json",
        "--thresholds",
        f"{whole / reference}/gates.json",
    )
    command(whole, "judge", *judging[whole], *learned_files, *controls)
    assert files(whole, TUBE) == files(single, TUBE)
    assert not list((whole / "results/work" / TUBE).glob("*.arrow"))
    records = files(whole, TUBE)
    command(whole, "prepare", "--sample", TUBE, *learned_files)
    assert files(whole, TUBE) == records
    for name in ("preprocessed.arrow", "gated.arrow"):
        work = Path("results/work") / TUBE / name
        assert (whole / work).read_bytes() == (single / work).read_bytes(), name
    names = pq.read_schema(whole / "results/samples" / TUBE / "events.parquet").names
    assert {"scale_CD19", "scale_FSC-A"} <= set(names)
    assert "scale_Time" not in names


def test_a_gated_tube_is_judged_from_its_columns(learned: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(learned, tmp_path / "run"))
    reference = str(run / "results/reference/ino10/reference.json")
    before = files_of_gating(run)
    command(run, "judge", "--gated", "--sample", "CTRL01", "--reference", reference)
    assert files_of_gating(run) == before
    assert read_json(run / "results/samples/CTRL01/mrd.json")["sample"] == "CTRL01"


def files_of_gating(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (run / "results/work/CTRL01").glob("*.arrow")}


def test_a_file_that_was_written_to_meanwhile_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "tube.fcs"
    path.write_bytes(b"one")
    seen = file_state(path)
    require_unchanged(path, seen)
    path.write_bytes(b"more")
    with pytest.raises(Exception, match="changed since it was ingested"):
        require_unchanged(path, seen)
