"""The support bundle holds what support needs, and no identifier and no event."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from flowmrd.errors import ArtefactError
from flowmrd.stages.doctor import doctor
from flowmrd.store import write_json, write_text

SECRETS = (
    "MUSTERMANN",
    "Erika",
    "Müller",
    "1970",
    "12345678",
    "KLINIK-X",
    "Musterklinik",
    "PT-77",
    "TUBE-A1",
    "DOE^JANE",
    "j.doe@example.org",
    "withdrew because",
    "2024-03-07",
    "secret comment",
    "GONE-3",
)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    run = tmp_path / "KLINIK-X" / "run"
    write_text(
        run / "config/samples.tsv",
        "sample\tpatient\trole\tfcs\tbatch\ttimepoint\n"
        "TUBE-A1\tPT-77\tfollowup\t../fcs/MUSTERMANN_Erika 19700101.fcs\tKLINIK-X-3\tday21\n"
        "bad row\tMüller\tfollwup\tx/DOE^JANE.fcs\t\t\t\n",
    )
    write_text(run / "fcs/MUSTERMANN_Erika 19700101.fcs", "events")
    write_text(
        run / "config/config.yaml",
        "panel: ino10  # secret comment\nsamples: config/samples.tsv\nreport:\n  laboratory: Musterklinik Dr. Müller\n"
        "mrd:\n  min_detect_events: 30\n"
        "compensation:\n  source: csv\n  csv:\n    KLINIK-X-3: /data/KLINIK-X/comp.csv\n",
    )
    write_text(
        run / "config/patients.tsv",
        "patient\tenrolled\tnot_evaluable_reason\nPT-77\t2024-03-07\twithdrew because Erika said so\n",
    )
    write_json(
        run / "results/samples/TUBE-A1/mrd.json",
        {"verdict": {"class": "POSITIVE", "reasons": [{"code": "CI_STRADDLES", "message": "MUSTERMANN"}]}},
    )
    write_text(run / "results/samples/GONE-3/report.html", "x")
    write_text(run / "results/samples/TUBE-A1/events.parquet", "EVENTDATA")
    write_text(
        run / "results/logs/ingest/TUBE-A1.log",
        f"reading {run}/fcs/MUSTERMANN_Erika 19700101.fcs for PT-77\n"
        "KeyError: 'MUSTERMANN, ERIKA'\n"
        "$SRC DOE^JANE born 1970-01-01 or 01.01.1970, 1-JAN-1970, case 12345678, mail j.doe@example.org\n"
        "gate for Erika failed\n"
        "von Müller, in /home/doctor/KLINIK-X/file.fcs\n"
        "needs 350 MB, granted 200 MB; option 'min_detect_events'\n"
        'File "/usr/lib/python3/x.py"\n',
    )
    return run


def members(run: Path) -> dict[str, str]:
    bundle, _ = doctor(run)
    with zipfile.ZipFile(bundle) as archive:
        return {name: archive.read(name).decode("utf-8") for name in archive.namelist()}


def test_no_identifier_is_in_any_name_or_text_of_the_bundle(run: Path) -> None:
    for name, text in members(run).items():
        for secret in SECRETS:
            assert secret.lower() not in name.lower(), (name, secret)
            if name != "versions.json":
                assert secret.lower() not in text.lower(), (name, secret)


def test_no_event_and_no_fcs_file_is_in_the_bundle(run: Path) -> None:
    found = members(run)
    assert all(Path(name).suffix in (".txt", ".json", ".yaml", ".tsv", ".log") for name in found)
    assert not any("EVENTDATA" in text for text in found.values())


def test_support_sees_versions_settings_verdict_and_the_error(run: Path) -> None:
    found = members(run)
    assert json.loads(found["versions.json"])["software"]["python"]
    assert "min_detect_events: 30" in found["config.yaml"]
    assert json.loads(found["results.json"]) == {"S001": {"class": "POSITIVE", "reasons": ["CI_STRADDLES"]}}
    log = found["logs/logs/ingest/S001.log"]
    assert "KeyError" in log
    assert "needs 350 MB, granted 200 MB; option 'min_detect_events'" in log
    assert found["samples.tsv"].splitlines()[1].startswith("S001\tP001\tfollowup")


def test_same_sample_has_the_same_number_everywhere_and_the_key_stays_outside(run: Path) -> None:
    bundle, key = doctor(run)
    table = dict(line.split("\t") for line in key.read_text(encoding="utf-8").splitlines())
    assert (table["S001"], table["P001"]) == ("TUBE-A1", "PT-77")
    with zipfile.ZipFile(bundle) as archive:
        assert "key.tsv" not in archive.namelist()
        assert "samples/S001/mrd.json" in archive.read("files.tsv").decode()


def test_same_run_gives_the_same_bundle(run: Path) -> None:
    first = doctor(run)[0].read_bytes()
    assert doctor(run)[0].read_bytes() == first


@pytest.mark.parametrize("config", ["", ": : :", "[1, 2]", "panel: 3\nsamples: 7\n", "samples: nowhere.tsv\n"])
def test_broken_configuration_still_gives_a_bundle(run: Path, config: str) -> None:
    (run / "config/config.yaml").write_text(config, encoding="utf-8")
    assert "versions.json" in members(run)


def test_binary_rubbish_in_sheet_and_log_still_gives_a_bundle(run: Path) -> None:
    (run / "config/samples.tsv").write_bytes(bytes(range(256)) * 4)
    (run / "results/logs/x.log").write_bytes(bytes(range(256)) * 4)
    assert members(run)


def test_sheet_with_commas_still_tells_what_to_take_out(run: Path) -> None:
    (run / "config/samples.tsv").write_text("sample,patient,role,fcs\nTUBE-A1,PT-77,followup,a.fcs\n", encoding="utf-8")
    assert not any("PT-77" in text or "TUBE-A1" in text for text in members(run).values())


def test_large_log_is_cut_to_its_end(run: Path) -> None:
    write_text(run / "results/logs/big.log", "filler line\n" * 100_000 + "the end\n")
    text = members(run)["logs/logs/big.log"]
    assert len(text) <= 200_000
    assert text.endswith("the end\n")


def test_folder_that_is_no_run_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="neither config nor results"):
        doctor(tmp_path)
