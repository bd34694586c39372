"""Configuration and sheet: every problem at once, with lines and the nearest known word."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowmrd.cli.check import check_run
from flowmrd.config import load_config, read_sheet
from flowmrd.errors import ConfigError
from flowmrd.home import REPOSITORY

HEADER = "sample\tpatient\trole\tfcs\n"


def write(tmp_path: Path, config: str = "panel: ino10\nsamples: config/samples.tsv\n", sheet: str = HEADER) -> Path:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.yaml").write_text(config)
    (tmp_path / "config/samples.tsv").write_text(sheet)
    return tmp_path


def test_two_keys_are_enough(tmp_path: Path) -> None:
    config = load_config(write(tmp_path) / "config/config.yaml")
    assert config.mrd.target == 1e-4


def test_the_shipped_example_is_valid() -> None:
    assert load_config(REPOSITORY / "config/config.yaml").panel == "ino10"
    samples, problems = read_sheet(REPOSITORY / "config/samples.tsv")
    assert samples
    assert problems == []


def test_a_misspelt_key_is_answered_with_the_nearest_known_one(tmp_path: Path) -> None:
    run = write(tmp_path, "panel: ino10\nsamples: config/samples.tsv\nmrd:\n  min_detekt_events: 3\n")
    with pytest.raises(ConfigError, match="did you mean min_detect_events"):
        load_config(run / "config/config.yaml")


def test_check_gives_the_line_of_every_wrong_key(tmp_path: Path) -> None:
    text = "panel: ino10\nsamples: config/samples.tsv\nmrd:\n  target: 7\nqualty: {}\n"
    problems, _ = check_run(write(tmp_path, text))
    where = [problem.where for problem in problems if "config.yaml" in problem.where]
    assert [place.rsplit(", ", maxsplit=1)[-1] for place in where] == ["line 4", "line 5"]


def test_yaml_cannot_run_code(tmp_path: Path) -> None:
    run = write(tmp_path, "panel: !!python/object/apply:os.system ['touch pwned']\nsamples: x\n")
    with pytest.raises(ConfigError):
        load_config(run / "config/config.yaml")
    assert not Path("pwned").exists()


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "", "-x", ".x", "a b", "a$(x)", "a\u00e9", "x" * 65, "a\x00b", "a;b", "con\ttab"]
)
def test_an_unsafe_id_is_refused(tmp_path: Path, name: str) -> None:
    samples, problems = read_sheet(
        write(tmp_path, sheet=f"{HEADER}{name}\tP1\tcontrol\tx.fcs\n") / "config/samples.tsv"
    )
    assert samples == []
    assert problems


def test_of_two_tubes_with_one_name_neither_is_used(tmp_path: Path) -> None:
    rows = "A\tP1\tcontrol\ta.fcs\nA\tP1\tcontrol\tb.fcs\nB\tP1\tcontrol\tc.fcs\n"
    samples, problems = read_sheet(write(tmp_path, sheet=HEADER + rows) / "config/samples.tsv")
    assert [sample.sample for sample in samples] == ["B"]
    assert "line 3" in str(problems[0])


def test_a_misspelt_role_is_answered_with_the_nearest_known_one(tmp_path: Path) -> None:
    _, problems = read_sheet(write(tmp_path, sheet=f"{HEADER}A\tP1\tfolowup\ta.fcs\n") / "config/samples.tsv")
    assert "did you mean followup" in str(problems[0])
