"""What a technician sees of a run, from the events of the logger plugin."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from flowmrd.engine.batch_plan import work_lines
from flowmrd.engine.progress import Event, Progress, read_events, run_and_follow
from snakemake_logger_plugin_flowmrd import as_events


def record(facts: Mapping[str, object], level: int = logging.INFO, message: str = "") -> logging.LogRecord:
    made = logging.LogRecord("snakemake", level, __file__, 1, message, None, None)
    made.__dict__.update(facts)
    return made


JOB = {
    "event": LogEvent.JOB_INFO,
    "jobid": 4,
    "rule_name": "gate",
    "rule_msg": "P01: gating",
    "wildcards": {"sample": "P01"},
}
GROUP = {"event": LogEvent.GROUP_INFO, "group_id": "P01_judge", "jobs": [SimpleNamespace(jobid=4)]}


def test_a_job_is_reported_with_the_group_it_is_submitted_with() -> None:
    groups: dict[int, str] = {}
    assert as_events(record(GROUP), groups) == []
    (event,) = as_events(record(JOB), groups)
    assert event["group"] == "P01_judge"
    assert (event["rule"], event["message"], event["wildcards"]) == ("gate", "P01: gating", {"sample": "P01"})


def test_an_error_outside_any_job_is_a_failure_and_a_remark_is_not() -> None:
    (event,) = as_events(record({}, logging.ERROR, "no such profile"), {})
    assert event == {"event": "trouble", "message": "no such profile"}
    assert as_events(record({}, logging.INFO, "Building DAG"), {}) == []


def test_events_survive_a_line_that_a_kill_cut_off() -> None:
    text = json.dumps({"event": "finished", "id": 1}) + "\n[1]\n" + '{"event": "fini'
    assert list(read_events(io.StringIO(text))) == [{"event": "finished", "id": 1}]


def test_steps_and_the_share_done_are_shown() -> None:
    progress = Progress()
    assert progress.lines({"event": "job", "message": "P01: gating"}) == ["  P01: gating"]
    (line,) = progress.lines({"event": "progress", "done": 3, "total": 9})
    assert line.startswith("  [3/9 steps, about ")
    assert progress.lines({"event": "finished", "id": 3}) == []


def test_what_would_be_done_is_a_line_per_tube_with_its_stages_in_order() -> None:
    events: list[Event] = [
        {"event": "job", "rule": "gate_kept", "wildcards": {"sample": "C1"}},
        {"event": "job", "rule": "ingest", "wildcards": {"sample": "C1"}},
        {"event": "job", "rule": "cohort", "wildcards": {}},
        {"event": "job", "rule": "all", "wildcards": {}},
    ]
    lines = work_lines(events)
    assert lines[0] == "To be done: 3 steps for 2 units"
    assert [line.split() for line in lines[1:]] == [["C1", "ingest,", "gate"], ["cohort", "cohort"]]
    assert work_lines([]) == ["Nothing is to be done."]


def test_a_stage_that_fails_is_heard_and_everything_is_in_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = (
        "import os, sys; print('noise'); print('error: no tube'); print('   do: correct it', flush=True); "
        'os.write(int(os.environ[\'FLOWMRD_EVENTS_FD\']), b\'{"event": "progress", "done": 1, "total": 2}\\n\'); '
        "sys.exit(3)"
    )
    log = tmp_path / "snakemake.log"
    code, done = run_and_follow([sys.executable, "-c", script], {}, cwd=tmp_path, log=log)
    shown = capsys.readouterr().out
    assert (code, done) == (3, 1)
    assert "error: no tube" in shown
    assert "do: correct it" in shown
    assert "[1/2 steps" in shown
    assert "noise" not in shown
    assert "noise" in log.read_text()
