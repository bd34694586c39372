"""The trial page in a real browser: it shows the answer, runs nothing foreign and fetches nothing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from trial_results import run_after_quantify

from browser import OpenPage, labels_cut_off, violations
from flowmrd.report.language import Language, language
from flowmrd.stages.trial import build_trial

pytestmark = pytest.mark.browser
HOSTILE = "<img src=x onerror=alert(1)><script>document.title='owned'</script>"


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the re-enacted trial, with a hostile adverse event."""
    run: Path = run_after_quantify(tmp_path_factory.mktemp("browser"))
    events = run / "config" / "adverse_events.tsv"
    events.write_text(events.read_text(encoding="utf-8") + f"T01\t{HOSTILE}\t4\n", encoding="utf-8")
    build_trial(run)
    return run / "results" / "cohort" / "trial.html"


@pytest.mark.parametrize("code", ["de", "zh"])
def test_every_text_has_a_translation_but_for_names_and_what_the_trial_wrote(page_file: Path, code: str) -> None:
    fresh = Language(code, language(code).catalogue)
    fresh.page(page_file.read_text(encoding="utf-8"))
    names = re.compile(r"flowmrd|\w+\.(csv|json)|withdrew consent|chictr|ChiCTR|day21, d21")
    sheet = page_file.parents[2] / "config/adverse_events.tsv"
    terms = {line.split("\t")[1] for line in sheet.read_text(encoding="utf-8").splitlines()}
    assert [text for text in fresh.missing if not names.match(text) and text not in terms] == []


@pytest.fixture
def page(page_file: Path, open_page: OpenPage) -> Any:
    """The page, opened; a request, a dialog or an error on the console fails the test."""
    return open_page(page_file)


def test_answer_is_visible_at_the_top(page: Any) -> None:
    text = page.locator("section").first.inner_text().replace("\u00a0", " ")
    assert "11/12 (91.7 %, 95 % interval 61.5–99.8 %)" in text
    assert "9/12 (75.0 %, 95 % interval 42.8–94.5 %)" in text


def test_hostile_term_is_text_and_nothing_else_happens(page: Any) -> None:
    assert page.title() == "Trial report – flowmrd"
    assert page.get_by_text("onerror=alert(1)").count() == 1
    assert page.locator("img").count() == 0


def test_patients_can_be_sorted(page: Any) -> None:
    table = page.locator("table", has=page.get_by_text("LOD (95 %)"))
    table.get_by_role("button", name="Last contact, day").click()
    first = table.locator("tbody tr").first.inner_text()
    assert first.startswith("T13")


def test_every_drawing_has_a_size_and_every_table_a_caption(page: Any) -> None:
    boxes = [drawing.bounding_box() for drawing in page.locator("figure svg").all()]
    assert len(boxes) == 9
    assert all(box["width"] > 300 and box["height"] > 100 for box in boxes)
    captions = page.locator("table caption").count()
    assert captions == page.locator("table").count() > 0


def test_nothing_is_wider_than_a_small_screen_and_it_prints(page: Any) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.set_viewport_size({"width": 1280, "height": 900})
    assert page.pdf(format="A4")[:5] == b"%PDF-"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(page_file: Path, open_page: OpenPage, axe: str, scheme: str) -> None:
    opened = open_page(page_file, color_scheme=scheme, bypass_csp=True)
    for details in opened.query_selector_all("details"):
        details.evaluate("node => { node.open = true; }")
    assert violations(opened, axe) == []


@pytest.mark.parametrize("width", [1280, 390])
def test_no_label_of_a_drawing_is_cut_off(page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    assert labels_cut_off(page) == []


def test_the_trial_page_prints_on_at_most_six_sheets(page: Any) -> None:
    printed = page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page[^s]", printed)) <= 6
