"""The trial page in a real browser: it shows the answer, runs nothing foreign and fetches nothing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from trial_results import run_after_quantify

from flowmrd.stages.trial import build_trial

pytestmark = pytest.mark.browser
HOSTILE = "<img src=x onerror=alert(1)><script>document.title='owned'</script>"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The page, opened; ``page.seen`` collects console messages, dialogs and requests other than the file itself."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium here (Debian: apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    run: Path = run_after_quantify(tmp_path_factory.mktemp("browser"))
    events = run / "config" / "adverse_events.tsv"
    events.write_text(events.read_text(encoding="utf-8") + f"T01\t{HOSTILE}\t4\n", encoding="utf-8")
    build_trial(run)
    file = run / "results" / "cohort" / "trial.html"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        opened: Any = browser.new_page(viewport={"width": 1280, "height": 900})
        opened.seen = []
        opened.on("console", lambda message: opened.seen.append(f"console: {message.text}"))
        opened.on("pageerror", lambda error: opened.seen.append(f"error: {error}"))
        opened.on("dialog", lambda dialog: opened.seen.append("dialog"))
        opened.on(
            "request",
            lambda request: None if request.url == file.as_uri() else opened.seen.append(f"request: {request.url}"),
        )
        opened.goto(file.as_uri())
        yield opened
        browser.close()


def test_answer_is_visible_at_the_top(page: Any) -> None:
    text = page.locator("section").first.inner_text()
    assert "11/12 (91.7 %, 95 % interval 61.5–99.8 %)" in text
    assert "9/12 (75.0 %, 95 % interval 42.8–94.5 %)" in text


def test_hostile_term_is_text_and_nothing_else_happens(page: Any) -> None:
    assert page.title() == "Trial report – flowmrd"
    assert page.get_by_text("onerror=alert(1)").count() == 1
    assert page.locator("img").count() == 0
    assert page.seen == []


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
    assert page.seen == []
