"""The report stage: what it writes, and what it says when something is missing."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from markupsafe import escape
from report_pages import build

from flowmrd.config import Role, Sample
from flowmrd.errors import ArtefactError
from flowmrd.flags import REGISTRY, Effect, Flag
from flowmrd.mrd.result import VerdictClass
from flowmrd.records.ingest import AcquisitionEntry
from flowmrd.report import formatting
from flowmrd.report.assay_record import sample_age
from flowmrd.report.guidance import BY_CODE, next_steps
from flowmrd.report.methods import REFERENCES
from flowmrd.report.verdict import SHORT, short, trial_flag, wording
from flowmrd.stages.report import FilesBeside, report
from flowmrd.store import open_columns, write_columns, write_json
from report_factory import MadeSample, classification_record, config, ingest_record, ino10, make_result, make_sample

KNOWN_PLACES = ("mrd", "first", "time", "compensation", "controls", "gates")


def html_of(made: MadeSample) -> str:
    return (made.sample_dir / "report.html").read_text(encoding="utf-8")


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        build(make_sample(tmp_path / name, n=3000, blasts=30))
    for name in ("report.html", "report.json", "report.tsv"):
        first, second = (tmp_path / run / "results/samples/P01_d21" / name for run in ("a", "b"))
        assert first.read_bytes() == second.read_bytes()


def test_the_page_is_self_contained_and_below_eight_megabytes(positive: MadeSample) -> None:
    html = html_of(positive)
    assert len(html.encode()) < 8_000_000
    body = html[: html.index('<script type="application/json"')]
    for forbidden in ("http://", "https://", "src=", "@import", "url(http"):
        assert forbidden not in body.replace("http://www.w3.org", "")


def test_the_share_of_a_denominator_is_that_of_the_mrd_cells_inside_it(positive: MadeSample) -> None:
    """Leukaemia is searched for beyond the B lineage, so that more MRD cells than B cells are possible."""
    numbers = json.loads((positive.sample_dir / "report.json").read_text())
    rows = {row["title"]: row for row in numbers["denominators"]}
    population = {row["gate"]: row["mrd"] for row in numbers["populations"]}
    for title, gate in (("B lineage", "b_lineage"), ("Mononuclear cells", "mononuclear")):
        row = rows[title]
        assert row["mrd_events"] == population.get(gate, row["mrd_events"])
        assert row["fraction"] == row["mrd_events"] / row["events"] <= 1
    assert rows["Nucleated cells"]["mrd_events"] == positive.result.counts.mrd_events


def test_plots_of_report_json_count_what_the_gates_hold(positive: MadeSample) -> None:
    numbers = json.loads((positive.sample_dir / "report.json").read_text())
    counts = {gate["gate"]: gate["events"] for plot in numbers["plots"] for gate in plot["gates"]}
    record = json.loads((positive.work_dir / "gates.json").read_text())
    truth = {gate["name"]: gate["analysable_count"] for gate in record["gates"]}
    assert counts
    assert counts == {name: truth[name] for name in counts}


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("results/samples/P01_d21/qc.json", "qc.json was not found"),
        ("results/work/P01_d21/gates.json", "gates.json was not found"),
    ],
)
def test_a_missing_file_is_stated_and_not_hidden(tmp_path: Path, path: str, words: str) -> None:
    made = make_sample(tmp_path, n=3000, blasts=30)
    (tmp_path / path).unlink()
    build(made)
    assert words in html_of(made)


def test_a_page_without_controls_says_so_and_gives_no_limits(tmp_path: Path) -> None:
    made = make_sample(tmp_path, n=3000, blasts=0, background=None)
    report(made.sample_dir, made.work_dir, panel=ino10(), config=config())
    html = html_of(made)
    assert "Not answered: " in html
    assert "BACKGROUND_UNKNOWN" in html
    assert "not available: no controls" in html
    assert "limits need at least 5 control tubes, 0 are at hand" in html


def test_a_group_that_is_not_counted_is_outlined_where_it_lies_and_described(tmp_path: Path) -> None:
    made = make_sample(tmp_path, n=3000, blasts=0)
    group = {
        "events": 41,
        "why": "displaced",
        "nearest_normal": "haematogones_1",
        "markers": [
            {"marker": "CD20", "shift_decades": 1.1, "direction": "over"},
            {"marker": "CD45", "shift_decades": -0.5, "direction": "under"},
            {"marker": "CD10", "shift_decades": 0.1, "direction": "same"},
        ],
        "medians": {"CD20": 0.6, "CD45": 0.5, "CD10": 0.7},
        "sd": {"CD20": 0.03, "CD45": 0.02, "CD10": 0.02},
    }
    write_json(made.work_dir / "classification.json", classification_record(made.sample, uncounted=[group]))
    build(made)
    numbers = json.loads((made.sample_dir / "report.json").read_text())
    assert [(entry["letter"], entry["events"]) for entry in numbers["uncounted"]] == [("A", 41)]
    plot = next(plot for plot in numbers["plots"] if (plot["x"], plot["y"]) == ("CD20", "CD45"))  # what tells it best
    outline = next(outline for outline in plot["outlines"] if outline["role"] == "group")
    assert outline["label"] == "group A"
    points = np.array(outline["points"])
    np.testing.assert_allclose(points.mean(axis=0), [0.6, 0.5], atol=1e-3)
    np.testing.assert_allclose(np.ptp(points, axis=0), [4 * 0.03, 4 * 0.02], atol=1e-3)
    html = html_of(made)
    assert "Groups that were not counted" in html
    assert "about 41 events, may be a normal population out of its place" in html
    assert "CD20 bright (+1.1 log), CD45 dim (−0.5 log)" in html


def test_groups_that_the_page_has_no_room_for_are_said_to_be_more(tmp_path: Path) -> None:
    made = make_sample(tmp_path, n=3000, blasts=0)
    shape = {"markers": [], "medians": {"CD20": 0.6, "CD45": 0.5}, "sd": {"CD20": 0.03, "CD45": 0.02}}
    group = {"events": 41, "why": "like_controls", "nearest_normal": "mature_b", **shape}
    write_json(made.work_dir / "classification.json", classification_record(made.sample, uncounted=[group] * 8))
    build(made)
    html = html_of(made)
    assert "Group F" in html
    assert "Group G" not in html
    assert "and 2 more in report.json" in html
    assert len(json.loads((made.sample_dir / "report.json").read_text())["uncounted"]) == 8


def test_columns_of_different_lengths_are_refused(tmp_path: Path) -> None:
    made = make_sample(tmp_path, n=3000, blasts=30)
    write_columns(made.work_dir / "classified.arrow", {"mrd": np.zeros(5, dtype=np.bool_)})
    with pytest.raises(ArtefactError, match="as in the preprocessed columns"):
        build(made)


def test_an_altered_review_log_is_named_on_the_page(tmp_path: Path) -> None:
    made = make_sample(tmp_path, n=3000, blasts=30)
    (tmp_path / "results/review").mkdir(parents=True)
    (tmp_path / "results/review/log.jsonl").write_text('{"not": "an entry"}\n')
    build(made)
    assert "Review log" in html_of(made)


def test_a_tube_without_one_event_in_a_gate_still_has_a_page(tmp_path: Path) -> None:
    made = make_sample(tmp_path, n=60, blasts=0, nucleated=50)
    build(made)
    assert escape(wording(made.result).headline) in html_of(made).replace("\u00a0", " ")


@pytest.mark.parametrize("early", [True, False])
def test_mrd_cells_that_came_first_are_named_as_possible_carry_over(tmp_path: Path, early: bool) -> None:
    made = make_sample(tmp_path, n=6000, blasts=60)
    with open_columns(made.work_dir / "classified.arrow") as store:
        columns = {name: np.array(store[name]) for name in store}
    n = len(columns["mrd"])
    columns["mrd"] = np.arange(n) % 100 == 0 if not early else np.arange(n) < 60
    write_columns(made.work_dir / "classified.arrow", columns)
    build(made)
    found = json.loads((made.sample_dir / "report.json").read_text())["quality"]["mrd_cells_over_the_run"]
    assert found["uneven"] is early
    assert ("think of carry-over from the tube before" in html_of(made)) is early


def test_the_controls_are_charted_with_this_tube(positive: MadeSample) -> None:
    rows = {row["channel"]: row for row in json.loads((positive.sample_dir / "report.json").read_text())["controls"]}
    assert set(rows) == {"CD10", "CD45", "SSC-A"}
    own = json.loads((positive.sample_dir / "qc.json").read_text())["medians"]["CD45"]
    assert rows["CD45"]["controls"] == 6
    assert rows["CD45"]["z"] == pytest.approx((own - rows["CD45"]["mean"]) / rows["CD45"]["sd"], abs=0.01)
    assert "Levey-Jennings charts of the controls, with this tube" in html_of(positive)


def test_a_voltage_unlike_the_controls_is_named(tmp_path: Path) -> None:
    made = make_sample(tmp_path, n=3000, blasts=30)
    record = json.loads((made.sample_dir / "qc.json").read_text())
    controls = []
    for index in range(5):
        controls.append(tmp_path / f"control{index}")
        write_json(controls[-1] / "qc.json", record | {"sample": f"C{index}"})
    record["channels"][5]["voltage"] += 40
    write_json(made.sample_dir / "qc.json", record)
    report(made.sample_dir, made.work_dir, panel=ino10(), config=config(), beside=FilesBeside(controls=controls))
    assert re.search(rf"555 V in {made.sample}", html_of(made))


def test_what_the_sheet_says_of_the_specimen_is_on_the_page_and_the_rest_is_named_as_missing(tmp_path: Path) -> None:
    made = make_sample(tmp_path, n=3000, blasts=30)
    when = {"date": "2026-03-04", "begin": 36000.0, "end": 36100.0}
    write_json(made.work_dir / "ingest.json", ingest_record(made.sample, acquisition=when))
    row = Sample(
        made.sample, "P01", Role.FOLLOWUP, Path("x.fcs"), specimen="bone marrow", pull="first", anticoagulant="EDTA",
        collected="2026-03-03T09:00", viability="96 %", lots="CD19 4711", analyst="AB",
    )  # fmt: skip
    report(made.sample_dir, made.work_dir, panel=ino10(), config=config(), sample=row)
    facts = json.loads((made.sample_dir / "report.json").read_text())["specimen"]
    shown = {name: facts[name] for name in ("Specimen", "Pull", "Anticoagulant", "Age at acquisition", "Analyst")}
    assert list(shown.values()) == ["bone marrow", "first", "EDTA", "25 h", "AB"]
    assert "trial" in facts["Not supplied to the pipeline"]
    assert "received" in facts["Not supplied to the pipeline"]


@pytest.mark.parametrize(
    ("collected", "acquired", "shown"),
    [
        ("2026-03-01T08:00", {"date": "2026-03-01", "begin": 3600 * 10.0}, "2 h"),
        ("2026-03-01", {"date": "2026-03-02", "begin": 3600.0}, "1 day"),
        ("2026-03-01T08:00", {"date": "2026-03-05", "begin": 3600 * 9.0}, "97 h (more than 3 days: read with care)"),
        ("2026-03-01", {"date": "2026-03-04"}, "3 days"),
        ("2026-03-05", {"date": "2026-03-04"}, "not known: acquired before it was collected, by these dates"),
        ("yesterday", {"date": "2026-03-04"}, "not known: 'yesterday' is no date"),
        ("2026-03-05", {}, "not known: the file does not say when it was acquired"),
        (None, {"date": "2026-03-04"}, "not supplied to the pipeline"),
    ],
)
def test_the_age_of_a_specimen_is_the_time_from_collection_to_acquisition(
    collected: str | None, acquired: dict[str, object], shown: str
) -> None:
    assert sample_age(collected, AcquisitionEntry.model_validate(acquired)) == shown


def test_methods_cite_every_reference_once_it_is_listed(positive: MadeSample) -> None:
    html = html_of(positive)
    start = html.index("<h3>Methods</h3>")
    methods = html[start : html.index("<h3>B lineage, haemodilution", start)]
    cited = {int(number) for number in re.findall(r"\[(\d+)\]", methods)}
    assert cited == set(range(1, len(REFERENCES) + 1))


def test_a_rule_that_was_not_applied_is_not_cited(tmp_path: Path) -> None:
    made = make_sample(tmp_path, n=3000, blasts=0)
    build(made, n_controls=2)
    html = html_of(made)
    methods = html[html.index("<h3>Methods</h3>") : html.index("<h3>B lineage, haemodilution")]
    assert "Westgard" not in methods
    assert "Westgard JO" not in html
    assert max(int(number) for number in re.findall(r"\[(\d+)\]", methods)) == len(REFERENCES) - 1


def test_a_count_that_is_not_a_result_is_not_shown_as_one(tmp_path: Path) -> None:
    failed = Flag("NO_NUCLEATED_CELLS", "Failed.")
    for name, changes, counted in (
        ("weak", {"nucleated": 100_000}, True),
        ("failed", {"failures": (failed,)}, True),
        ("negative", {"nucleated": 331_204}, False),
    ):
        made = make_sample(tmp_path / name, n=3000, blasts=0, **changes)
        build(made)
        assert ("<strong>no result</strong>" in html_of(made)) is counted, name


def test_controls_and_diagnoses_are_not_given_a_patients_answer() -> None:
    control = make_result("c", role="control", mrd=900)
    diagnosis = make_result("d", role="diagnosis", mrd=200_000)
    assert wording(control).headline == "Odd control: unlike the others"
    assert "900 cells of this control" in wording(control).sentence
    assert wording(diagnosis).headline.startswith("Leukaemia at diagnosis: 60 %")
    for result in (control, diagnosis):
        assert trial_flag(result) is None
        assert wording(result).eln == ""
        assert not [step for step in next_steps(result) if "Report" in step.text or "sign" in step.text.split()]


def test_every_reason_that_forbids_an_answer_says_what_to_do() -> None:
    quiet = {Effect.REMARK, Effect.INFO, Effect.ANSWER}
    forbidding = {code for code, kind in REGISTRY.items() if kind.effect not in quiet}
    forbidding |= {"WITHIN_BACKGROUND", "NEAR_DETECTION", "SPIKE_IN_MISSED", "SPIKE_IN_NOT_TRIED"}
    assert forbidding <= set(BY_CODE)


def test_events_beside_a_blind_spot_are_not_said_to_be_worthless() -> None:
    hidden = Flag("UNRESOLVED_CLUSTER", "A group is not counted.")
    for events, said in (
        (12, "12 events were counted; the count is not a result"),
        (0, "may have been overlooked"),
    ):
        result = make_result("a", mrd=events, nucleated=500_000, blind_spots=(hidden,))
        assert result.verdict.class_ is VerdictClass.INDETERMINATE
        assert said in wording(result).sentence
        assert "either direction" not in wording(result).sentence
        assert "A in the plots of the MRD cells" in " ".join(step.text for step in next_steps(result)[:5])


def test_a_result_that_only_leaves_its_side_open_says_that_mrd_was_found() -> None:
    open_side = make_result("a", mrd=100, nucleated=1_000_000)
    assert short(open_side) == ("fail", "MRD positive")
    assert trial_flag(open_side) == ("warn", "MRD < 0.01 % (10⁻⁴): not assessable")
    assert wording(open_side).eln.endswith("side of the threshold open")
    assert "either side of 0.01 % (10⁻⁴) is possible" in wording(open_side).sentence
    assert short(make_result("a", mrd=30))[1] == "MRD detected, not quantifiable"


def test_what_forbids_a_negative_answer_is_among_the_steps_that_paper_shows() -> None:
    failures = tuple(Flag(code, "x") for code in list(BY_CODE)[:8])
    steps = next_steps(make_result("a", mrd=0, failures=failures))
    assert len(steps) > 5
    assert "not report this tube as negative" in " ".join(step.text for step in steps[:5])


def test_every_step_with_a_place_points_at_an_element_of_the_page(positive: MadeSample) -> None:
    assert {step.place for step in BY_CODE.values()} <= {"", *KNOWN_PLACES}
    html = html_of(positive)
    targets = re.findall(r'<a href="#([^"]+)">Look at:', html)
    assert targets
    for target in targets:
        assert f'id="{target}"' in html


def test_every_verdict_has_words_and_only_a_negative_one_says_not_detected_alone() -> None:
    failed = Flag("NO_NUCLEATED_CELLS", "Failed.")
    tubes = {
        VerdictClass.NEGATIVE: make_result("a", mrd=0),
        VerdictClass.NEGATIVE_INSUFFICIENT_SENSITIVITY: make_result("a", mrd=2, nucleated=100_000),
        VerdictClass.DETECTED_NOT_QUANTIFIABLE: make_result("a", mrd=30),
        VerdictClass.POSITIVE_BELOW_THRESHOLD: make_result("a", mrd=60, nucleated=2_000_000),
        VerdictClass.POSITIVE: make_result("a", mrd=900),
        VerdictClass.INDETERMINATE: make_result("a", mrd=2, blind_spots=(Flag("NO_LAIP", "No phenotype."),)),
        VerdictClass.NOT_EVALUABLE: make_result("a", mrd=0, failures=(failed,)),
    }
    for kind, result in tubes.items():
        assert result.verdict.class_ is kind
        said = wording(result)
        assert kind in SHORT
        assert said.headline
        assert said.headline.startswith("MRD not detected: <") is (kind is VerdictClass.NEGATIVE)
        assert (said.tone == "pass") is (kind is VerdictClass.NEGATIVE)
        assert next_steps(result)
    weak = tubes[VerdictClass.NEGATIVE_INSUFFICIENT_SENSITIVITY]
    assert "sensitivity insufficient" in wording(weak).headline
    flag = trial_flag(weak)
    assert flag is not None
    assert flag[1].endswith("not assessable")
    assert "more nucleated events" in next_steps(weak)[0].text


def test_every_cut_read_from_a_density_is_explained_on_the_page(positive: MadeSample) -> None:
    html = html_of(positive)
    record = json.loads((positive.work_dir / "gates.json").read_text())
    cuts = [entry for entry in record["gates"] if entry["curve"] is not None]
    assert len(cuts) > 10
    assert html.count('class="threshold"') == len(cuts)
    for entry in cuts:
        low, high = entry["curve"]["bounds"]
        assert low <= entry["curve"]["threshold"] <= high


def test_the_numbers_of_a_cut_stand_beside_its_density_in_raw_units(positive: MadeSample) -> None:
    html = html_of(positive)
    record = json.loads((positive.work_dir / "gates.json").read_text())
    (cut,) = (entry for entry in record["gates"] if entry["name"] == "low_side")
    low, high = (formatting.count(262144 * mark) for mark in cut["curve"]["bounds"])
    assert f"threshold {formatting.count(262144 * cut['curve']['threshold'])}, bounds {low} to {high}" in html
    assert re.search(r"threshold [\d.]+, bounds [\d.]+ to [\d.]+ \(0 to 1 scale\)", html)


def test_an_odd_control_of_the_reference_is_named_on_every_page_it_judged(tmp_path: Path) -> None:
    made = make_sample(tmp_path, n=3000, blasts=0)
    reason = {"code": "CONTROL_HAS_CELLS", "level": "warn", "message": "It holds cells."}
    judged = [
        {"name": name, "verdict": verdict, "used": verdict == "CONTROL_CLEAN", "by": "classifier", "note": "",
         "reasons": [reason] if verdict == "CONTROL_ODD" else [], "groups": []}
        for name, verdict in (("CTRL1", "CONTROL_ODD"), ("CTRL2", "CONTROL_CLEAN"))
    ]  # fmt: skip
    write_json(
        tmp_path / "reference.json",
        {
            "format": "flowmrd-reference/1", "panel": "ino10", "features": [], "digest": "d" * 64,
            "arrays_sha256": "e" * 64, "n_controls": 1, "n_folds": 1, "provisional": False, "stages": [],
            "controls": [], "anchors": [], "control_judgements": judged,
            "manifest": {"flowmrd_version": "0", "panel_version": "1", "seed": 0, "max_events_per_control": 1,
                         "controls": [], "note": ""},
        },
    )  # fmt: skip
    report(
        made.sample_dir, made.work_dir, panel=ino10(), config=config(), beside=FilesBeside(tmp_path / "reference.json")
    )
    assert "Odd control in this batch: CTRL1." in html_of(made)
