"""From a signed review to the page that shows it, and to the change that voids it, through the real workflow."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from flowmrd.store import digest_file, write_json
from workflow.runs import digests, flowmrd, planned, snakemake

pytestmark = [pytest.mark.workflow, pytest.mark.timeout(1800)]
TUBE = "P01-day21"
POSITIVE = "P02-day21"


def decision_on(result: Path) -> dict[str, Any]:
    """Decisions of a laboratory that called cells such as the first group of a tube dying cells."""
    facts = json.loads(result.read_text())
    levels = facts["groups"][0]["medians"]
    decision = {
        "panel": facts["panel"], "call": "artefact:dying_cells", "events": 60, "levels": levels,
        "sd": dict.fromkeys(levels, 0.05), "result_sha256": "0" * 64,
    }  # fmt: skip
    return {"format": "flowmrd-decisions/1", "decisions": [decision]}


def test_a_review_is_shown_by_the_next_run_and_void_after_a_change_upstream(finished: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run", symlinks=True))
    folder = run / "results/samples" / TUBE
    before = digests(run)
    review = {
        "format": "flowmrd-review/1", "sample": TUBE, "decision": "accept", "comment": "Agreed.",
        "mrd_sha256": json.loads((folder / "report.json").read_text())["mrd_sha256"],
        "name": "Dr Ada Example", "meaning": "review", "signed_at": "2026-01-02T03:04:05+00:00",
    }  # fmt: skip
    write_json(tmp_path / "review.json", review)
    imported = flowmrd("review", "import", run, tmp_path / "review.json")
    assert imported.returncode == 0, imported.stderr
    head = imported.stdout.split("head ")[1].split(";")[0]
    redone = {job.split(":")[0] for job in planned(run)}
    assert redone == {"cohort", "provenance"}, "no tube is computed again for a signature"

    shown = snakemake(run)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "Review: accepted by Dr Ada Example" in (folder / "report.html").read_text()
    changed = {name for name, digest in digests(run).items() if before.get(name) != digest}
    allowed = (f"samples/{TUBE}/report.", "cohort/", "manifest.json", "review/")
    assert all(name.startswith(allowed) for name in changed), changed
    found = flowmrd("verify", run, "--head", head)
    assert found.returncode == 0, found.stdout
    assert "accepted" in flowmrd("review", "status", run).stdout

    config = run / "config/config.yaml"
    decisions = run / "config/decisions.json"
    write_json(decisions, decision_on(run / "results/samples" / POSITIVE / "mrd.json"))
    config.write_text(
        config.read_text() + "mrd: {min_quantify_events: 60}\nreview: {decisions: config/decisions.json}\n"
    )
    told = flowmrd("verify", run)
    assert told.returncode == 2
    assert "config/config.yaml: this input was changed after the run" in told.stdout
    again = snakemake(run)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "is void: the result was changed after it was signed" in (folder / "report.html").read_text()
    assert "void" in flowmrd("review", "status", run).stdout
    for tube in (TUBE, POSITIVE):
        result = json.loads((run / "results/samples" / tube / "mrd.json").read_text())
        assert result["provenance"]["decisions_sha256"] == digest_file(decisions)
    group = result["groups"][0]
    assert group["proposal"] == {"call": "artefact:dying_cells", "agree": 1, "decisions": 1}
    assert (group["call"], group["called_by"]) == ("counted", "classifier"), "a proposal calls nothing"
