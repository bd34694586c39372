"""The cohort's page in a real browser, and its table."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from browser import OpenPage, labels_cut_off, violations
from flowmrd.config import Role, Sample
from flowmrd.config.run import ReportConfig
from flowmrd.errors import ArtefactError
from flowmrd.flags import Flag
from flowmrd.records.ingest import AcquisitionEntry
from flowmrd.report.batch import BatchTube, carry_over, recorded_voltages
from flowmrd.report.guidance import BY_CODE
from flowmrd.report.verdict import level
from flowmrd.stages.cohort import cohort
from flowmrd.stages.control_limits import lock_limits
from flowmrd.store import write_json, write_text
from report_factory import config, make_result, qc_record, quality, transforms


def make_cohort(run: Path, size: int) -> list[Sample]:
    """Controls, diagnoses and follow-ups; the last sample has no result."""
    rows = []
    for index in range(size):
        control = index < max(6, size // 8)
        patient = f"C{index:03d}" if control else f"P{index // 2:03d}"
        role = Role.CONTROL if control else Role.DIAGNOSIS if index % 2 == 0 else Role.FOLLOWUP
        events = {Role.CONTROL: index % 3, Role.DIAGNOSIS: 90_000 + 1000 * index, Role.FOLLOWUP: (index * 37) % 400}[
            role
        ]
        sample = f"{patient}_{index}"
        rows.append(Sample(sample, patient, role, Path("x.fcs"), timepoint=None if control else f"day{index % 5}"))
        folder = run / "results/samples" / sample
        medians = dict.fromkeys(transforms(), 0.5 + 0.003 * (index * 5 % 7))
        when = {"date": "2026-03-01", "begin": 60.0 * index, "end": 60.0 * index + 50}
        record = qc_record(sample, 300_000, medians, disturbed=index % 4 == 0)
        write_json(folder / "qc.json", record | {"acquisition": when})
        if index < size - 1:
            result = make_result(
                sample, patient=patient, role=role.value, timepoint=rows[-1].timepoint, mrd=events,
                nucleated=331_204 if index % 3 else 150_000,
            )  # fmt: skip
            write_json(folder / "mrd.json", result.to_json_dict())
    return rows


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("cohort")
    rows = make_cohort(run, 30)
    cohort(run, rows, config=config(), problems={rows[-1].sample: "the file is not FCS <script>alert(1)</script>"})
    return run


def test_every_sample_is_listed_also_the_one_without_a_result(run: Path) -> None:
    with (run / "results/cohort/mrd.tsv").open(newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    assert len(rows) == 30
    assert rows[-1]["verdict"] == "NO_RESULT"
    assert "not FCS" in rows[-1]["problem"]
    assert rows[-1]["fraction"] == ""
    first = json.loads((run / f"results/samples/{rows[9]['sample']}/mrd.json").read_text())
    assert float(rows[9]["lod95"]) == first["sensitivity"]["lod95"]
    assert rows[9]["sensitivity_achieved"] == str(first["sensitivity"]["achieved"]).lower()


def test_a_tube_without_a_result_waits_for_no_review(tmp_path: Path) -> None:
    """Three follow-ups "awaiting review", two of which had been refused."""
    rows = [Sample(f"T{number}", f"P{number}", Role.FOLLOWUP, Path("x")) for number in range(3)]
    write_json(tmp_path / "results/samples/T0/mrd.json", make_result("T0", patient="P0").to_json_dict())
    cohort(tmp_path, rows, config=config())
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", (tmp_path / "results/cohort/index.html").read_text()))
    assert re.search(r" 1 (\S )?follow-ups awaiting review", words)
    assert re.search(r" 2 (\S )?no result", words)


def test_dates_and_the_word_for_no_patient_are_not_broken(tmp_path: Path, open_page: OpenPage) -> None:
    rows = make_cohort(tmp_path, 8)
    cohort(tmp_path, rows, config=config(), refused=[Sample("line-10", "unknown", Role.FOLLOWUP, Path())])
    page = open_page(tmp_path / "results/cohort/index.html")
    page.locator("#control-table").scroll_into_view_if_needed()
    lines = """cells => cells.map((cell) => {
      const range = document.createRange(); range.selectNodeContents(cell);
      return new Set([...range.getClientRects()].map((box) => Math.round(box.top))).size; })"""
    assert set(page.locator("#control-table td:nth-child(4)").evaluate_all(lines)) == {1}
    assert set(page.locator("#sample-table td:nth-child(2)").evaluate_all(lines)) == {1}


def test_the_same_run_gives_the_same_bytes(run: Path, tmp_path: Path) -> None:
    rows = make_cohort(tmp_path, 30)
    cohort(tmp_path, rows, config=config(), problems={rows[-1].sample: "the file is not FCS <script>alert(1)</script>"})
    for name in ("index.html", "mrd.tsv"):
        assert (run / "results/cohort" / name).read_bytes() == (tmp_path / "results/cohort" / name).read_bytes()


def test_five_hundred_samples_stay_under_two_megabytes(tmp_path: Path) -> None:
    cohort(tmp_path, make_cohort(tmp_path, 500), config=config())
    assert (tmp_path / "results/cohort/index.html").stat().st_size < 2_000_000


@pytest.mark.parametrize(("patient", "named"), [("B", True), ("A", False)])
def test_cells_like_those_of_the_tube_before_are_named_as_carry_over(tmp_path: Path, patient: str, named: bool) -> None:
    rows = [Sample("first", "A", Role.DIAGNOSIS, Path("x")), Sample("second", patient, Role.FOLLOWUP, Path("y"))]
    for row, events in zip(rows, (100_000, 40), strict=True):
        result = make_result(row.sample, patient=row.patient, role=row.role.value, mrd=events)
        write_json(tmp_path / f"results/samples/{row.sample}/mrd.json", result.to_json_dict())
    cohort(tmp_path, rows, config=config())
    html = (tmp_path / "results/cohort/index.html").read_text()
    assert ("decades from the leukaemia of first" in html) is named


@pytest.mark.parametrize(("day", "named"), [("2026-03-01", True), ("2026-03-22", False)])
def test_mrd_found_just_after_the_patients_own_full_blown_tube_is_named(tmp_path: Path, day: str, named: bool) -> None:
    rows = [Sample("first", "A", Role.DIAGNOSIS, Path("x")), Sample("second", "A", Role.FOLLOWUP, Path("y"))]
    for row, events, date in zip(rows, (100_000, 40), ("2026-03-01", day), strict=True):
        folder = tmp_path / "results/samples" / row.sample
        result = make_result(row.sample, patient="A", role=row.role.value, mrd=events)
        write_json(folder / "mrd.json", result.to_json_dict())
        record = qc_record(row.sample, 1000, {}) | {"acquisition": {"date": date, "begin": 60.0, "end": 90.0}}
        write_json(folder / "qc.json", record)
    cohort(tmp_path, rows, config=config())
    html = (tmp_path / "results/cohort/index.html").read_text()
    assert ("second was run just after first of the same patient" in html) is named


@pytest.mark.parametrize("acquired", [{}, {"date": "2026-03-01"}, {"date": "2026-03-01", "begin": 60.0}])
def test_carry_over_is_called_none_only_where_every_tube_says_when_it_was_run(
    tmp_path: Path, acquired: dict[str, object]
) -> None:
    rows = [Sample(name, name, Role.FOLLOWUP, Path("x")) for name in ("first", "second")]
    for row in rows:
        folder = tmp_path / "results/samples" / row.sample
        write_json(folder / "mrd.json", make_result(row.sample, patient=row.patient, mrd=0).to_json_dict())
        record = qc_record(row.sample, 1000, {})
        write_json(folder / "qc.json", record | {"acquisition": {"date": None, "begin": None, "end": None} | acquired})
    cohort(tmp_path, rows, config=config())
    html = (tmp_path / "results/cohort/index.html").read_text()
    known = len(acquired) == 2
    assert ("none seen" in html) is known
    assert ("carry-over cannot be ruled out" in html) is not known


def test_carry_over_is_looked_for_on_each_cytometer_by_itself() -> None:
    def tube(sample: str, patient: str, events: int, minute: float, serial: str) -> BatchTube:
        result = make_result(sample, patient=patient, mrd=events)
        qc = quality(sample, instrument={"serial_digest": serial})
        when = AcquisitionEntry(date="2026-03-01", begin=60 * minute)
        return BatchTube(sample, patient, "followup", "ino10", result, qc, when)

    tubes = [tube("full", "A", 100_000, 1, "a"), tube("other", "B", 0, 2, "b"), tube("after", "C", 40, 3, "a")]
    assert [entry.sample for entry in carry_over(tubes)] == ["after"]


def test_a_changed_voltage_is_named_and_the_voltages_of_every_channel_are_listed(tmp_path: Path) -> None:
    rows = make_cohort(tmp_path, 10)
    path = tmp_path / "results/samples" / rows[3].sample / "qc.json"
    record = json.loads(path.read_text())
    record["channels"][5]["voltage"] += 40
    write_json(path, record)
    cohort(tmp_path, rows, config=config())
    html = (tmp_path / "results/cohort/index.html").read_text()
    assert re.search(rf"V in {rows[3].sample}", html)
    listed = html[html.index("Voltage of every channel") :]
    cells = re.findall(r"<td>([^<]* V in [^<]*)</td>", listed[: listed.index("</details>")])
    channels = [entry for entry in record["channels"] if entry["voltage"] is not None]
    assert len(cells) == len(channels)
    changed = record["channels"][5]["voltage"]
    assert f"{changed - 40:g} V in 9 tubes; {changed:g} V in 1 tube" in cells, "the most frequent voltage comes first"
    assert sum(cell.endswith(" V in 10 tubes") for cell in cells) == len(channels) - 1


def test_a_channel_without_a_recorded_voltage_is_not_listed() -> None:
    def tube(sample: str, voltages: tuple[float | None, ...]) -> BatchTube:
        qc = quality(sample)
        channels = [entry.model_copy(update={"voltage": v}) for entry, v in zip(qc.channels, voltages, strict=False)]
        return BatchTube(sample, sample, "control", "ino10", None, qc.model_copy(update={"channels": tuple(channels)}))

    tubes = [tube("a", (300.0, None, 410.0)), tube("b", (300.0, None, None))]
    assert [words for _, _, words in recorded_voltages(tubes)] == ["300 V in 2 tubes", "410 V in 1 tube"]


def test_a_reason_that_weakens_a_verdict_is_a_flag(tmp_path: Path) -> None:
    rows = [Sample("A", "A", Role.FOLLOWUP, Path("x.fcs"))]
    failure = Flag("NO_NUCLEATED_CELLS", "It failed.")
    write_json(tmp_path / "results/samples/A/mrd.json", make_result("A", failures=(failure,)).to_json_dict())
    cohort(tmp_path, rows, config=config())
    html = (tmp_path / "results/cohort/index.html").read_text()
    assert "NO_NUCLEATED_CELLS" in html
    assert "Not evaluable" in html
    assert "QC_MISSING" in html, "a missing qc.json is said"


def test_a_level_is_below_the_limit_of_detection_only_where_the_question_is_answered(tmp_path: Path) -> None:
    hidden = Flag("UNRESOLVED_CLUSTER", "A group is not counted.")
    rows = [Sample(name, name, Role.FOLLOWUP, Path("x.fcs")) for name in ("NONE", "OPEN", "SURE")]
    open_result = make_result("OPEN", mrd=12, nucleated=500_000, blind_spots=(hidden,))
    none = make_result("NONE", mrd=0, nucleated=500_000)
    for name, result in (("NONE", none), ("OPEN", open_result), ("SURE", make_result("SURE", mrd=900))):
        write_json(tmp_path / f"results/samples/{name}/mrd.json", result.to_json_dict())
    cohort(tmp_path, rows, config=config())
    html = (tmp_path / "results/cohort/index.html").read_text().replace("\u00a0", " ")
    assert level(none) == none.mrd.reported == "< 0.0056 %"
    assert level(open_result) == open_result.mrd.reported == "not established"
    assert html.count("&lt; 0.0056 %") == 1
    assert "0.27 %" in html
    rows_of_table = (tmp_path / "results/cohort/mrd.tsv").read_text().splitlines()
    column = rows_of_table[0].split("\t").index("reported")
    assert [line.split("\t")[column] for line in rows_of_table[1:]] == ["< 0.0056 %", "not established", "0.27 %"]


def test_what_to_do_about_the_flags_of_followups_stands_below_the_table(tmp_path: Path) -> None:
    hidden = Flag("UNRESOLVED_CLUSTER", "A group is not counted.")
    rows = [Sample("A", "A", Role.FOLLOWUP, Path("x.fcs")), Sample("C", "C", Role.CONTROL, Path("x.fcs"))]
    for name, role in (("A", "followup"), ("C", "control")):
        result = make_result(name, role=role, mrd=0, nucleated=500_000, blind_spots=(hidden,))
        write_json(tmp_path / f"results/samples/{name}/mrd.json", result.to_json_dict())
    cohort(tmp_path, rows, config=config())
    html = (tmp_path / "results/cohort/index.html").read_text()
    assert re.search(r'UNRESOLVED_CLUSTER</th><td class="num">1</td>', html), "counts follow-up tubes only"
    assert BY_CODE["UNRESOLVED_CLUSTER"].text in html


@pytest.mark.browser
def test_headings_sort_by_number(run: Path, open_page: OpenPage) -> None:
    page = open_page(run / "results/cohort/index.html")
    values = "[...document.querySelectorAll('#sample-table tbody tr')].map(r => r.cells[4].dataset.sort)"
    heading = page.locator("#sample-table thead th").nth(4)
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    numbers = [float(value) for value in page.evaluate(values) if value]
    assert numbers == sorted(numbers)
    heading.get_by_role("button").click()
    order = page.evaluate(values)
    assert [float(value) for value in order if value] == sorted(numbers, reverse=True)
    assert order[-1] == "", "a sample without a result stays at the end"


@pytest.mark.browser
@pytest.mark.parametrize(
    ("code", "role", "verdict", "none", "limit"),
    [
        ("en", "follow-up", "MRD positive", "0 of 30", "< 0.0084 %"),
        ("de", "Verlauf", "MRD-positiv", "0 von 30", "< 0,0084 %"),
        ("zh", "随访", "MRD 阳性", "30 中的 0", "< 0.0084%"),
    ],
)
def test_filters_work_together_in_every_language(
    tmp_path: Path, open_page: OpenPage, code: str, role: str, verdict: str, none: str, limit: str
) -> None:
    settings = config()
    report = settings.report.model_copy(update={"language": code})
    cohort(tmp_path, make_cohort(tmp_path, 30), config=settings.model_copy(update={"report": report}))
    page = open_page(tmp_path / "results/cohort/index.html")
    page.select_option("#f-role", "followup")
    page.select_option("#f-verdict", "POSITIVE")
    shown = page.locator("#sample-table tbody tr:not([hidden])")
    assert shown.count() > 0
    assert all(role in text and verdict in text for text in shown.all_inner_texts())
    page.fill("#q", "no such sample")
    assert shown.count() == 0
    assert none in page.locator("[data-filter-status]").inner_text()
    page.select_option("#f-verdict", "")
    page.fill("#q", limit)
    assert shown.count() > 0, "a level is found as it is typed, with ordinary spaces"
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "also with the longer words"


@pytest.mark.browser
def test_a_hostile_problem_is_shown_harmlessly_and_links_are_relative(run: Path, open_page: OpenPage) -> None:
    page = open_page(run / "results/cohort/index.html")
    assert "<script>alert(1)</script>" in page.locator("#sample-table").inner_text()
    links = page.evaluate("[...document.querySelectorAll('#sample-table a')].map(a => a.getAttribute('href'))")
    assert len(links) == 29
    assert all(re.fullmatch(r"\.\./samples/[A-Za-z0-9._-]+/report\.html", link) for link in links)


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_cut_off_and_the_whole_table_fits_a_desk(run: Path, open_page: OpenPage, width: int) -> None:
    page = open_page(run / "results/cohort/index.html")
    page.set_viewport_size({"width": width, "height": 900})
    assert labels_cut_off(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if width == 1280:
        assert page.evaluate(
            "(t => t.scrollWidth <= t.clientWidth)(document.querySelector('#sample-table').parentNode)"
        )


@pytest.mark.browser
def test_it_prints_the_table_from_the_first_page_on(run: Path, open_page: OpenPage) -> None:
    page = open_page(run / "results/cohort/index.html")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 1030, "height": 700})
    first = page.locator("#sample-table tbody tr").first.bounding_box()
    assert first is not None
    assert first["y"] < 400
    assert page.evaluate("getComputedStyle(document.querySelector('.flush')).breakInside") == "auto"


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(run: Path, open_page: OpenPage, axe: str, scheme: str) -> None:
    page = open_page(run / "results/cohort/index.html", color_scheme=scheme, bypass_csp=True)
    assert violations(page, axe) == []


def test_every_control_stands_with_its_decision_reason_reagents_and_expiry(tmp_path: Path) -> None:
    rows = make_cohort(tmp_path, 12)
    rows[0] = replace(rows[0], lots="CD19 lot 7", expiry="2026-02-01")
    judged = [
        {"name": rows[0].sample, "verdict": "CONTROL_ODD", "used": True, "by": "laboratory", "note": "seen by Dr A",
         "reasons": [{"code": "CONTROL_GROUP", "message": "This control holds a compact group."}], "groups": []},
        {"name": rows[1].sample, "verdict": "CONTROL_CLEAN", "used": True, "by": "classifier", "note": "",
         "reasons": [], "groups": []},
    ]  # fmt: skip
    reference = {
        "format": "flowmrd-reference/1", "panel": "ino10", "features": [], "digest": "", "arrays_sha256": "",
        "n_controls": 2, "n_folds": 2, "provisional": False, "stages": [], "anchors": [], "controls": [],
        "control_judgements": judged,
        "manifest": {"flowmrd_version": "", "panel_version": "", "seed": 1, "max_events_per_control": 1,
                     "controls": [], "note": ""},
    }  # fmt: skip
    write_json(tmp_path / "results/reference/ino10/reference.json", reference)
    cohort(tmp_path, rows, config=config())
    html = (tmp_path / "results/cohort/index.html").read_text()
    table = html.split('id="control-table"')[1].split("</table>")[0]
    first = table.split("<tr>")[2]
    assert all(text in first for text in ("kept by the laboratory", "seen by Dr A", "compact group", "CD19 lot 7"))
    assert "expired" in first, "acquired on 2026-03-01"
    assert "accepted" in table.split("<tr>")[3]
    assert "not judged" in table.split("<tr>")[4]


def test_limits_are_locked_from_the_accepted_controls_of_a_run(tmp_path: Path) -> None:
    rows = make_cohort(tmp_path, 12)
    lines = ["sample\tpatient\trole\tfcs", *(f"{r.sample}\t{r.patient}\t{r.role.value}\t{r.fcs}" for r in rows)]
    write_text(tmp_path / "config/samples.tsv", "\n".join(lines) + "\n")
    excluded = f"controls:\n  excluded:\n    {rows[0].sample}: clotted\n"
    write_text(tmp_path / "config/config.yaml", f"panel: ino10\nsamples: config/samples.tsv\n{excluded}")
    out = tmp_path / "config/limits.json"
    (found,) = lock_limits(tmp_path, out).limits
    assert found.controls == tuple(row.sample for row in rows[1:6])
    settings = config().model_copy(update={"report": ReportConfig(control_limits="config/limits.json")})
    cohort(tmp_path, rows, config=settings)
    assert "limits that the laboratory locked (5 controls)" in (tmp_path / "results/cohort/index.html").read_text()
    out.unlink()
    with pytest.raises(ArtefactError, match=r"limits\.json"):
        cohort(tmp_path, rows, config=settings)
