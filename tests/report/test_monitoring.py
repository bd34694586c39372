"""Monitoring over runs: limits a month cannot set for itself, tubes counted once, a draw that stays the same."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import pytest

from browser import OpenPage, labels_cut_off, violations
from flowmrd.errors import ConfigError
from flowmrd.records.monitoring import MeasureEntry, MonitoringFile
from flowmrd.records.read import read_record
from flowmrd.report.language import Language, language
from flowmrd.report.monitor_page import _tick, nice_top
from flowmrd.report.monitoring import MonitoredTube, monitor, prediction_limits, share_limits
from flowmrd.stages.monitor import monitor_runs
from flowmrd.store import write_json, write_text
from report_factory import make_result, qc_record


def tube(number: int, month: str, *, answered: bool = True, events: int = 330_000) -> MonitoredTube:
    """A negative follow-up tube, or one without a result."""
    result = make_result(f"T{number}", mrd=0, nucleated=events) if answered else None
    digest = hashlib.sha256(str(number).encode()).hexdigest()
    return MonitoredTube("run", f"T{number}", "P", "followup", result, digest, month, "accepted", False, 3.0)


def months_of(n: int, tubes: int = 8) -> list[MonitoredTube]:
    return [
        tube(100 * month + i, f"2025-{month + 1:02d}", events=330_000 + 1000 * (i + month))
        for month in range(n)
        for i in range(tubes)
    ]


def outside(tubes: list[MonitoredTube], measure: str, locked: MonitoringFile | None = None) -> list[str]:
    measures, _, _ = monitor(tubes, locked=locked, seed=1, again=5)
    found = next(entry for entry in measures if entry.id == measure)
    return [month.month for month in found.months if month.outside]


def test_a_month_with_many_unanswered_tubes_lies_outside_the_limits_of_the_other_months() -> None:
    bad = [replace(one, result=None) if one.month == "2025-04" and int(one.sample[1:]) % 2 else one
           for one in months_of(7)]  # fmt: skip
    assert outside(bad, "not_answered") == ["2025-04"]
    assert outside(months_of(7), "not_answered") == []


def test_a_month_with_half_as_many_events_is_reported() -> None:
    tubes = [*months_of(7), *(tube(900 + i, "2025-08", events=120_000) for i in range(8))]
    assert outside(tubes, "events") == ["2025-08"]


@pytest.mark.parametrize("value", [0.004, 0.01, 0.013, 0.031, 0.05, 0.11, 0.21, 0.45, 0.5, 0.59, 3.0, 17.0, 410.0])
def test_the_numbers_at_an_axis_are_those_of_its_ticks_and_short(value: float) -> None:
    top = nice_top(value)
    assert value <= top <= 2.5 * value
    for step in range(1, 5):
        tick = top * step / 4
        for kind, factor in (("share", 100.0), ("per_million", 1.0)):
            said = _tick(MeasureEntry(id="m", title="M", kind=kind, centre=None, months=()), tick)
            assert float(said.removesuffix(" %")) == pytest.approx(factor * tick)
            assert len(said.removesuffix(" %")) <= 6


def test_a_month_is_not_judged_by_few_tubes_or_few_months() -> None:
    assert share_limits(5, 1, 19) is None
    assert share_limits(5, 1, 20) is not None
    assert prediction_limits([1.0, 1.1, 0.9, 1.0]) is None
    assert outside(months_of(2), "not_answered") == []


def test_share_limits_are_as_wide_as_the_counts_ask_for() -> None:
    # Of 1000 tubes 10 %: close to the binomial itself, 3 SD of 100 tubes are 9 points.
    found = share_limits(100, 100, 1000)
    assert found is not None
    assert found[0] == pytest.approx(0.02, abs=0.015)
    assert found[1] == pytest.approx(0.20, abs=0.02)


def test_locked_limits_are_those_of_the_earlier_file() -> None:
    measures, negatives, again = monitor(months_of(7), locked=None, seed=1, again=0)
    locked = MonitoringFile(
        runs=(), problems=(), locked=None, followups=56, controls=0, measures=measures, negatives=negatives, seed=1,
        rereview=again,
    )  # fmt: skip
    # A year in which a third is unanswered every month would set wide limits of its own.
    later = [
        replace(one, month=f"2026{one.month[4:]}", result=None if int(one.sample[1:]) % 3 == 0 else one.result)
        for one in months_of(7)
    ]
    assert outside(later, "not_answered") == []
    assert len(outside(later, "not_answered", locked)) >= 5


def test_the_draw_is_the_same_for_the_same_seed_and_hardly_moves_when_a_tube_is_added() -> None:
    def drawn(tubes: list[MonitoredTube], seed: int) -> set[str]:
        return {entry.sample for entry in monitor(tubes, locked=None, seed=seed, again=5)[2]}

    tubes = months_of(7)
    assert drawn(tubes, 1) == drawn(tubes[::-1], 1)
    assert drawn(tubes, 1) != drawn(tubes, 2)
    assert len(drawn(tubes, 1) & drawn([*tubes, tube(999, "2025-07")], 1)) >= 4


def write_run(run: Path, month: int, *, tubes: int = 6, same_files_as: int | None = None, ended: str = "") -> None:
    """A finished run as ``flowmrd monitor`` reads it."""
    rows = ["sample\tpatient\trole\tfcs\treceived"]
    for i in range(tubes):
        sample, role = f"M{month}-{i}", "control" if i < 2 else "followup"
        rows.append(f"{sample}\tP{month}{i}\t{role}\t../{sample}.fcs\t2025-{month:02d}-01")
        result = make_result(sample, patient=f"P{month}{i}", role=role, mrd=i % 2 if role == "control" else 0)
        key = hashlib.sha256(f"{same_files_as or month}-{i}".encode()).hexdigest()
        provenance = result.provenance.model_copy(update={"fcs_sha256": key})
        folder = run / "results/samples" / sample
        write_json(folder / "mrd.json", result.model_copy(update={"provenance": provenance}).to_json_dict())
        when = {"date": f"2025-{month:02d}-03", "begin": 60.0, "end": 90.0}
        write_json(folder / "qc.json", qc_record(sample, 1000, {}) | {"acquisition": when})
    write_text(run / "config/config.yaml", "panel: ino10\nsamples: config/samples.tsv\n")
    write_text(run / "config/samples.tsv", "\n".join(rows) + "\n")
    if ended:
        write_json(run / "results/provenance.json", {"run": {"ended": ended}})


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for month in range(1, 9):
        write_run(folder / "2025" / f"run-{month}", month, ended=f"2025-{month:02d}-04T00:00:00+00:00")
    write_run(folder / "again", 3, same_files_as=3, ended="2025-12-01T00:00:00+00:00")
    (folder / "broken/config").mkdir(parents=True)
    (folder / "broken/results/samples").mkdir(parents=True)
    (folder / "broken/config/config.yaml").write_text("panel: [")
    monitor_runs(folder, folder / "monitoring", seed=7, again=4)
    return folder


def test_a_tube_analysed_twice_counts_once_and_a_run_that_cannot_be_read_is_named(runs: Path) -> None:
    record = read_record(runs / "monitoring/monitoring.json", MonitoringFile)
    assert record.followups == 8 * 4
    assert {run.run: run.repeated for run in record.runs if run.repeated} == {"2025/run-3": 6}
    assert len(record.problems) == 1
    assert record.problems[0].startswith("broken: ")
    assert record.negatives == 32
    assert len(record.rereview) == 4


def test_the_same_runs_give_the_same_bytes(runs: Path, tmp_path: Path) -> None:
    monitor_runs(runs, tmp_path / "a", seed=7, again=4)
    monitor_runs(runs, tmp_path / "b", seed=7, again=4)
    for name in ("monitoring.json", "index.html"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize("code", ["de", "zh"])
def test_the_page_is_in_the_language_asked_for_with_every_text_but_names(runs: Path, tmp_path: Path, code: str) -> None:
    monitor_runs(runs, tmp_path / "out", seed=7, again=4, code=code)
    assert f'<html lang="{code}">' in (tmp_path / "out/index.html").read_text(encoding="utf-8")
    fresh = Language(code, language(code).catalogue)
    fresh.page((runs / "monitoring/index.html").read_text(encoding="utf-8"))
    assert [text for text in fresh.missing if not re.match(r"flowmrd|\d{4}/run|again|broken", text)] == []


def test_a_folder_without_runs_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no run with results"):
        monitor_runs(tmp_path, tmp_path / "out", seed=1, again=1)


TITLES_OVER_TICKS = """
[...document.querySelectorAll('figure svg')].flatMap(svg => {
  const boxes = [...svg.querySelectorAll('text')].map(text => [text.textContent, text.getBoundingClientRect()]);
  const upright = boxes.filter(([said, box]) => said.length > 3 && box.height > 2 * box.width);
  return upright.flatMap(([title, one]) => boxes
    .filter(([said, box]) => said !== title && box.width > 0 && box.left < one.right + 2 && box.right > one.left
      && box.top < one.bottom && box.bottom > one.top)
    .map(([said]) => [title, said]));
})
"""


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_shows_every_measure_by_month_and_can_be_read_by_everybody(
    runs: Path, open_page: OpenPage, axe: str, scheme: str
) -> None:
    page = open_page(runs / "monitoring/index.html", color_scheme=scheme)
    assert page.locator("figure").count() == 7
    assert page.locator("#background svg title").count() == 8
    assert labels_cut_off(page) == []
    assert violations(page, axe) == []
    over = page.evaluate(TITLES_OVER_TICKS)
    assert over == []
    links = page.locator("#again + section a").evaluate_all("links => links.map(a => a.getAttribute('href'))")
    assert len(links) == 4
    assert all((runs / "monitoring" / link).parent.joinpath("mrd.json").is_file() for link in links)
