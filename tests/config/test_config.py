"""Configuration and sheet: every problem at once, with lines and the nearest known word."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowmrd.cli.check import check_run
from flowmrd.config import load_config, read_sheet
from flowmrd.errors import ConfigError, GateError, PanelError, SheetError
from flowmrd.gating.overrides import read_override
from flowmrd.home import PANELS, REPOSITORY
from flowmrd.panel import load_panel

HEADER = "sample\tpatient\trole\tfcs\n"


def write(tmp_path: Path, config: str = "panel: ino10\nsamples: config/samples.tsv\n", sheet: str = HEADER) -> Path:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.yaml").write_text(config)
    (tmp_path / "config/samples.tsv").write_text(sheet)
    return tmp_path


def test_a_configuration_of_two_keys_takes_the_defaults(tmp_path: Path) -> None:
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


def test_a_key_in_the_wrong_section_is_answered_with_its_place(tmp_path: Path) -> None:
    run = write(tmp_path, "panel: ino10\nsamples: config/samples.tsv\nmin_controls: 1\n")
    with pytest.raises(ConfigError, match=r"did you mean reference\.min_controls"):
        load_config(run / "config/config.yaml")


def test_check_gives_the_line_of_every_wrong_key(tmp_path: Path) -> None:
    text = "panel: ino10\nsamples: config/samples.tsv\nmrd:\n  target: 7\nqualty: {}\n"
    problems, _ = check_run(write(tmp_path, text))
    where = [problem.where for problem in problems if "config.yaml" in problem.where]
    assert [place.rsplit(", ", maxsplit=1)[-1] for place in where] == ["line 4", "line 5"]


HOSTILE_YAML = {
    "code": "panel: !!python/object/apply:os.system ['touch pwned']\nsamples: x\n",
    "a key twice": "panel: ino10\nsamples: x\nquality: {min_events: 1, min_events: 500000}\n",
    "a section twice": "panel: ino10\nsamples: x\nmrd: {target: 0.001}\nreport: {}\nmrd: {min_detect_events: 30}\n",
    "aliases": "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\npanel: *c\nsamples: x\n",
    "an alias of itself": "panel: &a [*a]\nsamples: x\n",
    "nesting": "panel: " + "[" * 100_000,
    "nesting of keys": "{a: " * 100_000,
    "a number without end": "panel: ino10\nsamples: x\nmrd: {min_detect_events: " + "9" * 100_000 + "}\n",
    "two documents": "panel: ino10\n---\nsamples: x\n",
    "no text": "panel: \0\n",
}


@pytest.mark.parametrize("text", HOSTILE_YAML.values(), ids=HOSTILE_YAML)
def test_yaml_is_plain_data_with_every_key_once_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    run = write(tmp_path, text)
    with pytest.raises(ConfigError):
        load_config(run / "config/config.yaml")
    problems, _ = check_run(run)
    assert [problem for problem in problems if "config.yaml" in problem.where]
    assert not Path("pwned").exists()


def test_a_key_given_twice_is_reported_with_both_lines(tmp_path: Path) -> None:
    run = write(tmp_path, HOSTILE_YAML["a section twice"])
    with pytest.raises(ConfigError, match=r"'mrd' twice \(lines 3 and 5\)"):
        load_config(run / "config/config.yaml")


def test_a_file_too_large_for_a_configuration_is_refused_before_it_is_read(tmp_path: Path) -> None:
    run = write(tmp_path)
    with (run / "config/config.yaml").open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(ConfigError, match="more than 1000000 bytes"):
        load_config(run / "config/config.yaml")


@pytest.mark.parametrize("text", HOSTILE_YAML.values(), ids=HOSTILE_YAML)
def test_a_panel_and_an_override_are_read_in_the_same_way(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(PanelError):
        load_panel(path)
    with pytest.raises(GateError):
        read_override(path, load_panel(PANELS / "ino10.yaml"), None)


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "", "-x", ".x", "a b", "a$(x)", "a\u00e9", "x" * 65, "a\x00b", "a;b", "con\ttab"]
)
def test_an_unsafe_id_is_refused(tmp_path: Path, name: str) -> None:
    samples, problems = read_sheet(
        write(tmp_path, sheet=f"{HEADER}{name}\tP1\tcontrol\tx.fcs\n") / "config/samples.tsv"
    )
    assert samples == []
    assert problems


def test_neither_of_two_tubes_with_the_same_name_is_used(tmp_path: Path) -> None:
    rows = "A\tP1\tcontrol\ta.fcs\nA\tP1\tcontrol\tb.fcs\nB\tP1\tcontrol\tc.fcs\n"
    samples, problems = read_sheet(write(tmp_path, sheet=HEADER + rows) / "config/samples.tsv")
    assert [sample.sample for sample in samples] == ["B"]
    assert "line 3" in str(problems[0])


def test_a_row_with_a_null_character_is_refused_and_named(tmp_path: Path) -> None:
    sheet = tmp_path / "samples.tsv"
    sheet.write_bytes(b"sample\tpatient\trole\tfcs\nA\tP1\tcontrol\ta\0b.fcs\nB\tP2\tcontrol\tb.fcs\n")
    rows, (problem,) = read_sheet(sheet)
    assert [row.sample for row in rows] == ["B"]
    assert "line 2" in str(problem)
    assert "null character in fcs" in str(problem)


def test_check_tells_that_a_sheet_has_no_row(tmp_path: Path) -> None:
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "config.yaml").write_text("panel: ino10\nsamples: config/samples.tsv\n")
    (folder / "samples.tsv").write_text("sample\tpatient\trole\tfcs\n")
    problems, tubes = check_run(tmp_path)
    assert tubes == 0
    assert [(one.level, one.found) for one in problems] == [("error", "a header and no row")]


def test_a_misspelt_role_is_answered_with_the_nearest_known_one(tmp_path: Path) -> None:
    _, problems = read_sheet(write(tmp_path, sheet=f"{HEADER}A\tP1\tfolowup\ta.fcs\n") / "config/samples.tsv")
    assert "did you mean followup" in str(problems[0])


def test_the_lines_of_a_sheet_are_those_of_an_editor(tmp_path: Path) -> None:
    """Signs that Python takes for line ends, and no editor does, are part of a cell."""
    rows = "A\tP1\tcontrol\tx\u2028y\x0b\x1c\x85.fcs\nB\tP1\tnothing\tb.fcs\n"
    samples, problems = read_sheet(write(tmp_path, sheet=HEADER + rows) / "config/samples.tsv")
    assert [sample.sample for sample in samples] == ["A"]
    assert "line 3" in str(problems[0])


def test_a_sheet_as_a_spreadsheet_saves_it_is_read(tmp_path: Path) -> None:
    """Byte order mark, carriage returns, blanks in the header, empty columns at the end, a cell of any length."""
    text = "\ufeffsample \tpatient\trole\tfcs\t\t\r\nA\tP1\tcontrol\t" + "x" * 200_000 + "\t\t\r\n"
    samples, problems = read_sheet(write(tmp_path, sheet=text) / "config/samples.tsv")
    assert problems == []
    assert samples[0].patient == "P1"


@pytest.mark.parametrize("text", ["", "\n", "\t\t\n", "sample\tpatient\n"])
def test_a_sheet_without_a_header_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SheetError, match="line 1"):
        read_sheet(write(tmp_path, sheet=text) / "config/samples.tsv")


def test_check_goes_on_with_the_sheet_where_the_configuration_is_wrong(tmp_path: Path) -> None:
    sheet = f"{HEADER}A\tP1\tfollowup\tnowhere.fcs\n"
    problems, tubes = check_run(write(tmp_path, "panel: ino10\nsampels: config/samples.tsv\n", sheet))
    found = " ".join(f"{problem.where} {problem.found}" for problem in problems)
    assert tubes == 1
    for words in ("did you mean samples", "no such file", "no diagnosis tube", "0 control tubes"):
        assert words in found, words


def test_check_names_files_that_would_not_be_found_or_not_be_used(tmp_path: Path) -> None:
    run = write(
        tmp_path,
        "panel: ino10\nsamples: config/samples.tsv\ncompensation: {source: csv, csv: {default: spill.csv}}\n",
        f"{HEADER}P01-day21\tP1\tfollowup\tx.fcs\n",
    )
    (run / "config/overrides").mkdir()
    (run / "config/overrides/P01_day21.yaml").write_text("gates: {}\n")
    problems, _ = check_run(run)
    assert any("spill.csv" in problem.found for problem in problems)
    assert any("did you mean P01-day21.yaml" in problem.todo for problem in problems)


def test_check_lists_problems_of_the_sheet_by_line(tmp_path: Path) -> None:
    rows = "A\tP1\tcontrol\tnowhere.fcs\nb ad\tP1\tcontrol\tx.fcs\nC\tP1\tcontrol\tnowhere.fcs\n"
    problems, _ = check_run(write(tmp_path, sheet=HEADER + rows))
    lines = [problem.where.split("line ")[1][0] for problem in problems if problem.level == "error"]
    assert lines == ["2", "3"]
    assert "also line 4 (C)" in problems[0].where  # one fault of several rows is one line of the table


def test_misspelt_keys_are_reported_once_each_and_in_plain_words(tmp_path: Path) -> None:
    text = "panle: ino10\nsamples: s.tsv\nmrd: {target: x}\ncompensation: {source: fiel}\n"
    problems, _ = check_run(write(tmp_path, text, HEADER))
    found = [problem.found for problem in problems]
    assert "panle: unknown key, did you mean panel?" in found
    assert "mrd.target: 'x', which is not a number" in found
    assert any(text.startswith("compensation.source: 'fiel', which is not one of") for text in found)
    assert not any("Field" in text or "Input should" in text or "missing" in text for text in found)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("P1.yaml", "gates: {}\n", "gates for 'P1', which is no tube of this run"),
        ("P01.txt", "", "a file that no tube will use"),
        ("P01.yaml", "gates: {cd19_poz: {low: 0.5}}\n", "cd19_poz"),
        ("P01.yaml", "gates: [", "P01.yaml"),
    ],
)
def test_check_finds_overrides_that_could_not_be_used(tmp_path: Path, name: str, text: str, words: str) -> None:
    run = write(tmp_path, sheet=HEADER + "P01\tP01\tdiagnosis\tP01.fcs\n")
    folder = run / "config/overrides"
    folder.mkdir()
    (folder / name).write_text(text)
    problems, _ = check_run(run)
    told = [problem for problem in problems if "config/overrides/" in problem.where]
    assert len(told) == 1
    assert words in f"{told[0].where} {told[0].found}"
    if name == "P1.yaml":
        assert "P01.yaml" in told[0].todo


def test_check_finds_a_second_override_of_a_tube(tmp_path: Path) -> None:
    run = write(tmp_path, sheet=HEADER + "P01\tP01\tdiagnosis\tP01.fcs\n")
    folder = run / "config/overrides"
    folder.mkdir()
    for name in ("P01.xml", "P01.yaml"):
        (folder / name).write_text("gates: {}\n")
    assert any("second override" in problem.found for problem in check_run(run)[0])


def test_check_names_required_gates_that_a_panel_lacks(tmp_path: Path) -> None:
    run = write(tmp_path, "panel: own\nsamples: config/samples.tsv\n", HEADER + "P01\tP01\tdiagnosis\tP01.fcs\n")
    (run / "panels").mkdir()
    text = (REPOSITORY / "panels/ino10.yaml").read_text().replace("name: ino10", "name: own")
    start = text.index("\ngates:")
    gates = "gates:\n  - {name: singlets, parent: root, method: singlet}\n"
    (run / "panels/own.yaml").write_text(text[: start + 1] + gates)
    assert any("no gate" in problem.found and "b_lineage" in problem.found for problem in check_run(run)[0])


@pytest.mark.parametrize(
    ("lines", "same"),
    [
        ("# a comment", True),
        ("report: {language: de, signatures: 2}", True),
        ("export: {values: true}", True),
        ("mrd: {target: 0.0001}", True),  # the default, written out
        ("mrd: {target: 0.001}", False),
        ("laip: {seed: 1}", False),
    ],
)
def test_what_a_signature_covers_changes_with_the_keys_that_results_rest_on_only(
    tmp_path: Path, lines: str, same: bool
) -> None:
    plain, changed = tmp_path / "plain.yaml", tmp_path / "changed.yaml"
    plain.write_text("panel: ino10\nsamples: samples.tsv\n")
    changed.write_text(f"panel: ino10\nsamples: samples.tsv\n{lines}\n")
    assert (load_config(plain).result_digest == load_config(changed).result_digest) is same
