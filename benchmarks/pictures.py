"""Pictures of the pages for the documentation, taken in Chromium from finished runs.

``python -m benchmarks.pictures RUN`` after ``make trial`` and ``flowmrd validate trial-demo``: the report of T05 after
cycle 1 (residual disease), the cohort page, the trial page and the validation of that run.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from flowmrd.home import REPOSITORY

IMAGES = REPOSITORY / "docs" / "images"
WIDTH = 1280


def main(arguments: list[str]) -> int:
    """Take the pictures of the pages that are there; 2 where Chromium or a page is missing."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m benchmarks.pictures RUN\n")
        return 2
    results = Path(arguments[0]) / "results"
    report = results / "samples/T05-day21/report.html"
    pages = {
        "report-top": (report, "", 1080),
        "report-standard": (report, ".plot-row:has(#std-5-tube)", 1000),
        "report-canonical": (report, "#canonical", 760),
        "report-gates": (report, "#gates", 1000),
        "report-thresholds": (report, "details:has(.thresholds)", 620),
        "cohort": (results / "cohort/index.html", "", 1150),
        "trial": (results / "cohort/trial.html", "", 1000),
        "validation": (results / "validation/ino10/report.html", "", 1150),
    }
    program = os.environ.get("FLOWMRD_CHROMIUM") or shutil.which("chromium")
    if program is None:
        sys.stderr.write("missing: chromium\n")
        return 2
    missing = sorted({str(path) for path, _, _ in pages.values() if not path.is_file()})
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--headless", "--no-sandbox"])
        for name, (path, place, height) in pages.items():
            if not path.is_file():
                continue
            page = browser.new_page(viewport={"width": WIDTH, "height": height})
            page.goto(path.resolve().as_uri(), timeout=120_000)
            page.wait_for_timeout(2500)
            if place:
                page.evaluate(
                    "place => { const at = document.querySelector(place);"
                    " document.querySelector('.tools-bar')?.remove(); if (at.tagName === 'DETAILS') at.open = true;"
                    " at.scrollIntoView(); }",
                    place,
                )
                page.wait_for_timeout(2500)
            page.screenshot(path=IMAGES / f"{name}.png")
            page.close()
        browser.close()
    if missing:
        sys.stderr.write(f"not there, so not taken: {', '.join(missing)}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
