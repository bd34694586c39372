"""A real Chromium for the pages, watched for what no page may do. One for all tests: Playwright allows no second."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

OpenPage = Callable[..., "Page"]
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
    """The script of axe-core, as the locked package axe-playwright-python carries it."""
    found = importlib.util.find_spec("axe_playwright_python")
    assert found is not None
    assert found.origin is not None
    return (Path(found.origin).parent / "axe.min.js").read_text(encoding="utf-8")


_CUT = """
[...document.querySelectorAll('figure svg')].flatMap(svg => {
  const box = svg.getBoundingClientRect();
  return box.width === 0 ? [] : [...svg.querySelectorAll('text')].filter(text => {
    const at = text.getBoundingClientRect();
    return at.width > 0 && (at.left < box.left - 1 || at.right > box.right + 1
      || at.top < box.top - 2 || at.bottom > box.bottom + 2);
  }).map(text => text.textContent);
})
"""


def labels_cut_off(page: Page) -> list[str]:
    """Texts of the page's own drawings that reach beyond the drawing."""
    found: list[str] = page.evaluate(_CUT)
    return found


def violations(page: Page, axe: str) -> list[tuple[str, list[str]]]:
    """What axe-core finds wrong, as rule and the first elements."""
    page.evaluate(axe)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [(entry["id"], [node["html"][:120] for node in entry["nodes"][:3]]) for entry in found]
