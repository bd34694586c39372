"""A real Chromium for the pages, watched for what no page may do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from report_factory import MadeSample, make_sample
from report_pages import OpenPage, build

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; tests are skipped where there is none."""
    program = os.environ.get("FLOWMRD_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium: install chromium, or set FLOWMRD_CHROMIUM")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Open a file as a page; at the end it must have made no request, logged no error and broken no policy."""
    complaints: list[str] = []
    contexts: list[Any] = []

    def opened(path: Path, **options: Any) -> Page:
        context = browser.new_context(accept_downloads=True, viewport={"width": 1280, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()

        def logged(message: Any) -> None:
            if message.type == "error":
                complaints.append(f"console: {message.text}")

        def asked(dialog: Any) -> None:
            complaints.append(f"dialog: {dialog.message}")
            dialog.dismiss()

        def seen(request: Any) -> None:
            if not request.url.startswith(("file:", "data:", "blob:")):
                complaints.append(f"request: {request.url}")

        page.on("console", logged)
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("dialog", asked)
        page.on("request", seen)
        page.add_init_script(
            "document.addEventListener('securitypolicyviolation', e => console.error('policy ' + e.violatedDirective));"
        )
        page.goto(path.resolve().as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture(scope="session")
def axe() -> str:
    """axe-core's script; tests are skipped where it is not at hand."""
    places = [os.environ.get("FLOWMRD_AXE", ""), "node_modules/axe-core/axe.min.js", ".axe/package/axe.min.js"]
    root = Path(__file__).resolve().parents[2]
    for place in places:
        if place and (root / place).is_file():
            return (root / place).read_text(encoding="utf-8")
    pytest.skip("no axe-core: unpack its npm package and set FLOWMRD_AXE to axe.min.js")


@pytest.fixture(scope="session")
def positive(tmp_path_factory: pytest.TempPathFactory) -> MadeSample:
    """A tube of 12,000 events with 60 blasts, and its page."""
    made = make_sample(tmp_path_factory.mktemp("positive"))
    build(made)
    return made


@pytest.fixture(scope="session")
def negative(tmp_path_factory: pytest.TempPathFactory) -> MadeSample:
    """A clean tube that could have shown 1e-4, and its page."""
    made = make_sample(tmp_path_factory.mktemp("negative"), "P02_d21", blasts=0, nucleated=331_204)
    build(made, visits=False)
    return made
