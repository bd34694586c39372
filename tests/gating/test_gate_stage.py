from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from flowmrd.errors import ArtefactError, GateError
from flowmrd.gating.haemodilution import assess_haemodilution, assess_regeneration
from flowmrd.gating.populations import CODES
from flowmrd.mrd.result import Target
from flowmrd.simulate.leukaemia import Cd19, Cd22, Therapy
from flowmrd.simulate.populations import AFTER_ANTI_B
from flowmrd.stages.gate import gate
from flowmrd.stages.gate_reference import gate_reference
from flowmrd.store import open_columns, read_json, write_columns, write_json


@pytest.fixture
def run(tmp_path: Any, ino10: Any, config: Any) -> Any:
    def call(preprocessed: Any, **options: Any) -> Any:
        outputs = {
            "out": tmp_path / "gated.arrow",
            "populations": tmp_path / "populations.tsv",
            "gatingml": tmp_path / "gates.xml",
            "record": tmp_path / "gates.json",
        }
        settings = {"panel": ino10, "config": config, "reference": None} | options
        gate(preprocessed, **settings, **outputs)
        return outputs

    return call


@pytest.fixture(scope="module")
def reference_file(tmp_path_factory: Any, reference: Any) -> Any:
    path = tmp_path_factory.mktemp("reference") / "gates.json"
    write_json(path, reference.as_record().as_json())
    return path


def membership(outputs: Any, name: Any) -> Any:
    with open_columns(outputs["out"]) as store:
        index = json.loads(store.metadata["gates"]).index(name)
        return ((store["gates"] >> np.uint64(index)) & np.uint64(1)).astype(bool)


def test_the_stage_writes_bits_populations_routes_counts_and_the_record(
    tmp_path: Any, marrow: Any, ino10: Any, run: Any, reference_file: Any
) -> None:
    outputs = run(marrow.write(tmp_path / "p.arrow"), reference=reference_file)
    facts = read_json(outputs["record"])
    with open_columns(outputs["out"]) as store:
        assert [str(store[name].dtype) for name in ("gates", "population", "routes")] == ["uint64", "int16", "uint8"]
        assert store.n_events == len(marrow.usable)
        assert json.loads(store.metadata["populations"])["mature_b"] == CODES["mature_b"]
    assert [entry["name"] for entry in facts["gates"]] == [gate_.name for gate_ in ino10.gates]
    for entry in facts["gates"]:
        if not entry["helper"]:
            assert entry["count"] == membership(outputs, entry["name"]).sum()
        assert entry["why"]
        assert entry["curve"] is None or len(entry["curve"]["x"]) <= 100
    assert {shift["channel"] for shift in facts["shifts"]} >= {"CD45", "CD10", "CD24"}
    assert facts["nucleated_by"] == "scatter"
    assert "NUCLEATED_BY_SCATTER" in {flag["code"] for flag in facts["flags"]}
    for target in facts["targets"].values():
        Target.model_validate(target)
    header, first, *_ = outputs["populations"].read_text().splitlines()
    assert first.startswith("singlets\t")
    assert {"percent_of_parent", "percent_of_nucleated", "percent_of_b_lineage", "median_CD19"} <= set(
        header.split("\t")
    )


def test_the_table_of_populations_says_how_many_cells_of_a_b_stage_can_be_other_cells(
    tmp_path: Any, marrow: Any, run: Any, reference_file: Any
) -> None:
    outputs = run(marrow.write(tmp_path / "p.arrow"), reference=reference_file)
    header, *lines = (line.split("\t") for line in outputs["populations"].read_text().splitlines())
    rows = {row["population"]: row for row in (dict(zip(header, line, strict=True)) for line in lines)}
    stages = read_json(outputs["record"])["b_lineage"]["stages"]
    assert stages
    for stage in stages:
        most, state = rows[stage["population"]]["others_at_most"], rows[stage["population"]]["b_stage"]
        assert (most, state) == (
            "" if stage["others_at_most"] is None else str(stage["others_at_most"]),
            stage["state"],
        )
    assert rows["granulocytes"]["b_stage"] == ""


def test_two_runs_write_the_same_bytes(tmp_path: Any, marrow: Any, run: Any, reference_file: Any) -> None:
    source = marrow.write(tmp_path / "p.arrow")
    first = {name: path.read_bytes() for name, path in run(source, reference=reference_file).items()}
    second = {name: path.read_bytes() for name, path in run(source, reference=reference_file).items()}
    assert first == second


def test_without_controls_gates_are_the_tubes_own_and_it_is_stated(tmp_path: Any, marrow: Any, run: Any) -> None:
    facts = read_json(run(marrow.write(tmp_path / "p.arrow"))["record"])
    assert facts["reference"] is None
    assert "GATES_WITHOUT_CONTROLS" in {flag["code"] for flag in facts["flags"]}
    assert "sample" in {entry["source"] for entry in facts["gates"]}


@pytest.mark.parametrize("n", [0, 1, 50])
def test_hardly_any_events_end_in_states_not_in_errors_or_zeros(
    tmp_path: Any, marrow: Any, run: Any, reference_file: Any, n: Any
) -> None:
    path = tmp_path / "p.arrow"
    write_columns(path, {name: values[:n] for name, values in marrow.columns.items()})
    for given in (None, reference_file):
        outputs = run(path, reference=given)
        facts = read_json(outputs["record"])
        states = {entry["name"]: entry["state"] for entry in facts["gates"]}
        assert states["cd19_pos"] == "insufficient_parent"
        assert "GATE_PARENT_TOO_SMALL" in {flag["code"] for flag in facts["flags"]}
        cd19 = next(entry for entry in facts["gates"] if entry["name"] == "cd19_pos")
        assert cd19["source"] == ("fallback" if given is None else "reference")
        assert facts["targets"]["CD22"]["status"] == "not_evaluable"
        assert facts["haemodilution"]["verdict"] == "not_evaluable"
        assert facts["regeneration"]["verdict"] == "not_evaluable"
        rows = [line.split("\t") for line in outputs["populations"].read_text().splitlines()]
        column = rows[0].index("median_CD19")
        if n == 0:
            assert all(row[column] == "" for row in rows[1:])
            assert "NO_NUCLEATED_CELLS" in {flag["code"] for flag in facts["flags"]}


def test_a_saturated_file_is_gated_without_a_crash_and_fails_with_a_reason(
    tmp_path: Any, marrow: Any, run: Any, reference_file: Any
) -> None:
    path = tmp_path / "p.arrow"
    columns = {name: np.ones_like(values[:3000]) for name, values in marrow.columns.items()}
    write_columns(path, {**columns, "mask_margin": np.ones(3000, dtype=bool)})
    for given in (None, reference_file):
        facts = read_json(run(path, reference=given)["record"])
        assert facts["analysable"] == 0
        assert "NO_NUCLEATED_CELLS" in {flag["code"] for flag in facts["flags"] if flag["level"] == "fail"}


@pytest.mark.parametrize(("decades", "told"), [(0.0, False), (0.6, True)])
def test_a_tube_whose_granulocytes_lie_further_than_gates_may_move_says_so(
    tmp_path: Any, marrow: Any, run: Any, reference_file: Any, decades: float, told: bool
) -> None:
    brighter = replace(marrow, columns={**marrow.columns, "CD24": marrow.columns["CD24"] + np.float32(decades / 4.5)})
    record = read_json(run(brighter.write(tmp_path / "tube.arrow"), reference=reference_file)["record"])
    shift = next(one for one in record["shifts"] if one["channel"] == "CD24")
    assert shift["measured_decades"] == pytest.approx(decades, abs=0.25)  # persons differ
    assert shift["applied_decades"] == pytest.approx(min(shift["measured_decades"], 0.35))
    found = [one["message"] for one in record["flags"] if one["code"] == "GATE_SHIFT_AT_BOUND"]
    assert [f"CD24 ({shift['measured_decades']:+.2f} decades in Granulocytes)" in one for one in found] == [True] * told


def test_loss_of_cd22_after_its_therapy_is_worded_as_masked_or_lost(
    tmp_path: Any, tube: Any, run: Any, reference_file: Any
) -> None:
    from flowmrd.simulate.design import leukaemia_of

    made = tube(
        81, composition=AFTER_ANTI_B, leukaemia=leukaemia_of(11, "P2"), level=0.05, therapy=Therapy(cd22=Cd22.MASKED)
    )
    source = made.write(tmp_path / "p.arrow")
    treated = read_json(run(source, reference=reference_file, prior_therapy="cd22")["record"])["targets"]["CD22"]
    untreated = read_json(run(source, reference=reference_file)["record"])["targets"]["CD22"]
    assert treated["status"] == "masked_or_lost"
    assert "S-HCL-1" in treated["note"]
    assert untreated["status"] == "lost"
    assert treated["percent_positive"] < 10


def test_loss_of_cd19_is_seen_on_cells_that_other_routes_found(
    tmp_path: Any, tube: Any, run: Any, reference_file: Any
) -> None:
    from flowmrd.simulate.design import leukaemia_of

    made = tube(
        82, composition=AFTER_ANTI_B, leukaemia=leukaemia_of(11, "P2"), level=0.05, therapy=Therapy(cd19=Cd19.LOST)
    )
    targets = read_json(run(made.write(tmp_path / "p.arrow"), reference=reference_file)["record"])["targets"]
    assert targets["CD19"]["status"] == "lost"
    assert targets["CD22"]["status"] in {"present", "dim"}


@pytest.mark.parametrize(
    ("gone", "therapy", "unseen"),
    [
        (("CD22", "CD24"), "cd19", True),
        (("CD22", "CD24"), "cd19+cd22", True),
        (("CD22", "CD24"), "cd22", False),
        (("CD22",), "cd19", False),
    ],
)
def test_a_tube_without_another_way_than_cd19_says_so_after_therapy_against_it(
    tmp_path: Any, marrow: Any, run: Any, gone: Any, therapy: Any, unseen: Any
) -> None:
    columns = {name: values for name, values in marrow.columns.items() if name not in gone}
    source = replace(marrow, columns=columns).write(tmp_path / "p.arrow")
    facts = read_json(run(source, prior_therapy=therapy)["record"])
    assert ("CD19_LOSS_UNSEEN" in [flag["code"] for flag in facts["flags"]]) is unseen


def test_missing_haematogones_are_never_evidence_of_haemodilution(
    tmp_path: Any, tube: Any, run: Any, reference_file: Any
) -> None:
    made = tube(83, composition=AFTER_ANTI_B)
    facts = read_json(run(made.write(tmp_path / "p.arrow"), reference=reference_file)["record"])
    assert facts["regeneration"]["verdict"] == "few"
    assert facts["b_lineage"]["verdict"] == "too_few"
    assert facts["b_lineage"]["statement"].startswith("B-cell aplasia")
    assert facts["haemodilution"]["verdict"] == "not_suggested"
    assert all("haematogone" not in row["population"] for row in facts["haemodilution"]["populations"])
    assert facts["haemodilution"]["statement"].startswith("Limited assessment")


def test_leukaemic_cells_do_not_count_as_regeneration() -> None:
    spectrum = {"haematogones_1": 400, "haematogones_2": 900, "haematogones_3": 700}
    before = assess_regeneration(spectrum, 20_000)
    assert before.verdict == "increased"
    assert "or a leukaemia" in before.statement
    arrested = assess_regeneration(spectrum | {"haematogones_2": 20_000, "haematogones_1": 10}, 100_000)
    assert arrested.verdict == "incomplete"
    after = assess_regeneration(dict.fromkeys(spectrum, 5), 20_000, leukaemic_left_out=True)
    assert after.verdict == "few"
    assert "MRD events left out" in after.statement
    assert assess_regeneration(spectrum | {"haematogones_1": None}, 20_000).verdict == "not_evaluable"


def test_mature_granulocytes_speak_for_blood_only_beyond_what_controls_have(marrow: Any, ino10: Any) -> None:
    from flowmrd.config.run import GatingConfig
    from flowmrd.gating.gated_columns import gate_columns

    columns = dict(marrow.columns)
    granular = gate_columns(columns, ino10, marrow.usable, GatingConfig()).result.inside("granulocytes")
    columns["CD10"] = np.where(granular, np.float32(0.62), columns["CD10"])
    result = gate_columns(columns, ino10, marrow.usable, GatingConfig()).result
    alone = assess_haemodilution(result, marrow.usable, {})
    mature = next(row for row in alone.populations if row.population == "mature_granulocytes")
    assert mature.share is not None
    assert mature.share > 0.95
    assert mature.met is None
    against = assess_haemodilution(result, marrow.usable, {"mature_granulocytes": (0.3, 0.4, 0.5, 4)})
    assert next(row.met for row in against.populations if row.population == "mature_granulocytes")
    assert against.verdict == "possible"
    assert "controls 30.00 to 50.00 %" in against.statement


def test_channels_without_anchor_cells_are_told_together_in_every_language() -> None:
    """The same reason stood behind each of seven channels, and in English on German pages."""
    from flowmrd.gating.flags import _bounded
    from flowmrd.gating.reference import AnchorShift
    from flowmrd.report.language import Language, language

    def alone(channel: str, events: int, why: str) -> AnchorShift:
        return AnchorShift(channel, "granulocytes", events, None, 0.4, False, None, 0.0, False, why)

    few, fewer = ("386 anchor cells, fewer than 500: no shift", "202 anchor cells, fewer than 500: no shift")
    no_level = "the controls have no level of this anchor: no shift"
    shifts = {
        name: alone(name, 1, why)
        for name, why in (("CD10", few), ("CD24", few), ("CD45", fewer), ("SSC-A", few), ("CD22", no_level))
    }
    (told,) = _bounded(shifts, {})
    assert told.message == (
        "Gates could not be anchored on CD10, CD24, SSC-A (386 anchor cells, fewer than 500); CD45 (202 anchor cells, "
        "fewer than 500); CD22 (the controls have no level of this anchor)."
    )
    for code in ("de", "zh"):
        fresh = Language(code, language(code).catalogue)
        assert "anchor cells" not in fresh.text(told.message)
        assert not fresh.missing


def test_a_reference_of_another_panel_is_refused(
    tmp_path: Any, marrow: Any, run: Any, vienna_b8: Any, reference_file: Any
) -> None:
    with pytest.raises(GateError, match="ino10"):
        run(marrow.write(tmp_path / "p.arrow"), panel=vienna_b8, reference=reference_file)


def test_a_reference_that_is_not_one_is_refused(tmp_path: Any, marrow: Any, run: Any) -> None:
    path = tmp_path / "wrong.json"
    write_json(path, {"schema_version": "0", "controls": []})
    with pytest.raises(ArtefactError):
        run(marrow.write(tmp_path / "p.arrow"), reference=path)


def test_a_reference_needs_a_control(tmp_path: Any, ino10: Any, config: Any) -> None:
    with pytest.raises(GateError, match="no control"):
        gate_reference({}, panel=ino10, config=config, out=tmp_path / "gates.json")


def test_the_reference_keeps_every_controls_own_numbers(
    tmp_path: Any, tube: Any, ino10: Any, config: Any, run: Any
) -> None:
    paths = {f"C{seed}": tube(seed).write(tmp_path / f"{seed}.arrow") for seed in (21, 22)}
    out = tmp_path / "reference.json"
    gate_reference(paths, panel=ino10, config=config, out=out)
    facts = read_json(out)
    assert [control["name"] for control in facts["controls"]] == ["C21", "C22"]
    own = [control["parameters"]["cd19_pos"]["threshold"] for control in facts["controls"]]
    assert facts["pooled"]["parameters"]["cd19_pos"]["threshold"] == pytest.approx(np.median(own))
    record = read_json(run(paths["C21"], reference=out, exclude="C21")["record"])
    assert record["reference"]["excluded"] == "C21"
    assert "1 controls" in record["reference"]["label"]
    threshold = next(e["parameters"]["threshold"] for e in record["gates"] if e["name"] == "cd19_pos")
    assert threshold == pytest.approx(own[1], abs=6e-4)
