"""Faults at random in sheet, configuration, panel and tubes; the long campaign is ``python -m benchmarks.fuzz_runs``.

Every fault is drawn with a fixed seed. The stages are not run here: what ``check`` and the plan say is looked at.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks.fuzz_inputs import damage
from benchmarks.fuzz_runs.clear_message import complaints
from benchmarks.fuzz_runs.faults import FAULTS
from benchmarks.fuzz_runs.folder_faults import OTHER_TUBES
from benchmarks.fuzz_runs.judgement import judge
from benchmarks.fuzz_runs.key_faults import KEYS
from benchmarks.fuzz_runs.sheet_faults import CONFIG_BYTES, CONFIGS, SHEETS, with_lines
from benchmarks.fuzz_runs.small_run import make_base
from benchmarks.fuzz_runs.spreadsheet_faults import SPREADSHEETS

from flowmrd.config import load_config, read_sheet
from flowmrd.errors import InputError
from flowmrd.home import PANELS
from flowmrd.panel import load_panel

CONFIG = "panel: ino10\nsamples: config/samples.tsv\nmrd: {target: 0.01}\nreport: {plotly: shared}\n"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory of a control and a follow-up tube, a thousand cells each."""
    run = make_base(tmp_path_factory.mktemp("fuzz") / "base", panel="ino10", cells=1_500, n_controls=1, seed=4)
    sheet = run / "config/samples.tsv"
    (run / "config/whole.tsv").write_bytes(sheet.read_bytes())
    lines = sheet.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if line.split("\t")[0] in ("sample", "CTRL01", "P01-day21")]
    sheet.write_text("\n".join(kept) + "\n", encoding="utf-8")
    return run


def unclear(error: InputError, *named: str) -> list[str]:
    return complaints(error.where, error.found, error.expected, error.todo, named=named)


def test_a_wrong_value_of_any_key_is_accepted_or_refused_in_words_that_name_the_key(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    refused = 0
    for number, (name, (lines, key)) in enumerate(KEYS.items()):
        if number % 5:
            continue
        path.write_bytes(with_lines(lines)(CONFIG, np.random.default_rng(1)))
        try:
            load_config(path)
        except InputError as error:
            refused += 1
            assert not unclear(error, key), f"{name}: {error}"
    assert refused > 200


def test_a_configuration_with_a_fault_is_read_or_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    changes = {name: with_lines(lines) for name, lines in CONFIGS.items()} | CONFIG_BYTES
    for name, change in changes.items():
        path.write_bytes(change(CONFIG, np.random.default_rng(2)))
        try:
            load_config(path)
        except InputError as error:
            assert not unclear(error, "config.yaml"), f"{name}: {error}"


def test_a_sheet_with_a_fault_is_read_or_refused_row_by_row_in_words(base: Path, tmp_path: Path) -> None:
    text = (base / "config/whole.tsv").read_text(encoding="utf-8")
    path = tmp_path / "samples.tsv"
    for name, change in (SHEETS | SPREADSHEETS).items():
        path.write_bytes(change(text, np.random.default_rng(3)))
        try:
            _, problems = read_sheet(path)
        except InputError as error:
            problems = [error]  # type: ignore[list-item]
        for problem in problems:
            assert not unclear(problem, "samples.tsv"), f"{name}: {problem}"


def test_damaged_bytes_of_sheet_configuration_and_panel_are_read_or_refused(base: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    for source, read in (
        (base / "config/samples.tsv", read_sheet),
        (base / "config/config.yaml", load_config),
        (PANELS / "vienna_b8.yaml", load_panel),
    ):
        data = source.read_bytes()
        path = tmp_path / source.name
        for _ in range(60):
            path.write_bytes(damage(data, rng))
            try:
                read(path)
            except InputError as error:
                assert source.name in f"{error.where} {error.found}"


def test_check_and_the_plan_agree_on_a_run_directory_with_a_fault_and_say_it_in_words(
    base: Path, tmp_path: Path
) -> None:
    needs_spare = {f"folder: {name}" for name in OTHER_TUBES}
    names = [
        name
        for name, fault in FAULTS.items()
        if fault.kind in ("folder", "tube") and name not in needs_spare and "as it is" not in name
    ]
    drawn = np.random.default_rng(5).choice(names, size=45, replace=False)
    for name in drawn:
        outcome = judge(base, FAULTS[name], "followup", 5, tmp_path, stages=False)
        assert not outcome.bad, f"{name}: {outcome}"
