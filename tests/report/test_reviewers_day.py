"""A reviewer's day in one piece: find the cells, verify them, call the group, sign twice, see the banner, print."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from pdf_text import pdf_text
from report_neighbours import with_neighbours
from reviewer_actions import drawn, lasso, opened

from browser import OpenPage
from flowmrd.config.run import ReportConfig
from flowmrd.mrd.result import CellGroup, GroupEvidence
from flowmrd.report.pdf import PROGRAMS, write_pdf
from flowmrd.review.importing import import_review
from flowmrd.review.status import review_status
from flowmrd.stages.cohort import refresh_page
from report_factory import MARKERS, make_result

pytestmark = pytest.mark.browser
INSIDE = """() => {
  const data = document.querySelector('#std-6-tube .canvas').data;
  const hit = (t, x, y) => { let odd = false;
    for (let i = 0, j = t.x.length - 1; i < t.x.length; j = i++)
      if (t.y[i] > y !== t.y[j] > y && x < (t.x[j] - t.x[i]) * (y - t.y[i]) / (t.y[j] - t.y[i]) + t.x[i]) odd = !odd;
    return odd; };
  const mrd = data.find(t => t.meta.layer === 'mrd');
  const share = role => mrd.x.filter((x, i) => data.filter(t => t.meta.role === role && t.mode === 'lines')
    .some(t => hit(t, x, mrd.y[i]))).length / mrd.x.length;
  return {diagnosis: share('diagnosis'), normal: share('normal'),
    low: [Math.min(...mrd.x) - 0.01, Math.min(...mrd.y) - 0.01],
    high: [Math.max(...mrd.x) + 0.01, Math.max(...mrd.y) + 0.01]};
}"""


def signed(page: Any, name: str, folder: Path) -> Path:
    """Fill in the form of a page and keep the file that it saves."""
    page.get_by_label("Accept the result").check()
    page.select_option("[data-group='0']", "leukaemia")
    for point in page.locator("[name='point']").all():
        point.check()
    page.get_by_label("Printed name").fill(name)
    page.get_by_label("Meaning of the signature").select_option("approval")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the review").click()
    kept = folder / f"{name}.{download.value.suggested_filename}"
    download.value.save_as(kept)
    return kept


def test_a_reviewer_finds_calls_signs_twice_imports_and_prints_a_tube(tmp_path: Path, open_page: OpenPage) -> None:
    group = CellGroup(
        events=60, phenotype="CD58+ CD38-", nearest_normal="haematogones_2", evidence=GroupEvidence(), call="counted",
        markers=make_result("x").laip.markers, medians=dict.fromkeys(MARKERS, 0.5), cluster=0,
    )  # fmt: skip
    made = with_neighbours(tmp_path, groups=(group,))
    page = opened(made, open_page, color_scheme="dark")
    drawn(page, "std-6-tube")
    found = page.evaluate(INSIDE)
    assert found["diagnosis"] > 0.8, "the diamonds lie inside the outline of the diagnosis"
    assert found["normal"] < 0.2, "and outside the contours of normal maturation"
    lasso(page, "std-6-tube", tuple(found["low"]), tuple(found["high"]))
    page.wait_for_selector("#selection strong")
    n = made.result.counts.mrd_events
    assert f"MRD cell: {n} of {n}" in page.locator("#selection").inner_text()

    assert "not reviewed yet" in page.locator(".verdict-classes").inner_text()
    files = [signed(page, name, tmp_path) for name in ("Dr Ada", "Dr Ben")]
    settings = ReportConfig(signatures=2)
    for file, state in zip(files, ("signed_once", "accepted"), strict=True):
        import_review(made.run, file)
        states = {one.sample: one.state.value for one in review_status(made.run, signatures=2).samples}
        assert states[made.sample] == state
    assert refresh_page(made.run, made.result, settings)

    again = opened(made, open_page)
    assert "accepted by Dr Ada and Dr Ben" in again.locator(".verdict-classes").inner_text()
    assert "Group 1: leukaemia" in again.locator(".signature-card").inner_text()
    if any(shutil.which(program) for program in PROGRAMS):
        write_pdf(made.sample_dir / "report.html", tmp_path / "report.pdf")
        assert "Dr Ben" in pdf_text((tmp_path / "report.pdf").read_bytes())
