"""Pictures of the pages for the documentation, taken in Chromium from finished runs.

``python -m benchmarks.pictures DEMO_RUN TRIAL_RUN`` after ``make demo`` and ``make trial``: the report of P04-day21 and
the cohort page of ``demo/cohort``, the trial page of ``trial-demo``, and its validation where ``flowmrd validate`` ran.
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
    """Take the pictures; 2 where Chromium or a page is missing."""
    if len(arguments) != 2:
        sys.stderr.write("usage: python -m benchmarks.pictures DEMO_RUN TRIAL_RUN\n")
        return 2
    demo, trial = (Path(argument) / "results" for argument in arguments)
    pages = {
        "report-top": (demo / "samples/P04-day21/report.html", 0, 1010),
        "report-gates": (demo / "samples/P04-day21/report.html", "#gates", 900),
        "cohort": (demo / "cohort/index.html", 0, 1150),
        "trial": (trial / "cohort/trial.html", 0, 1000),
        "validation": (trial / "validation/ino10/report.html", 0, 1150),
    }
    program = os.environ.get("FLOWMRD_CHROMIUM") or shutil.which("chromium")
    missing = [str(path) for path, _, _ in pages.values() if not path.is_file()]
    if program is None or missing:
        sys.stderr.write(f"missing: {', '.join(missing) or 'chromium'}\n")
        return 2
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--headless", "--no-sandbox"])
        for name, (path, place, height) in pages.items():
            page = browser.new_page(viewport={"width": WIDTH, "height": height})
            page.goto(path.resolve().as_uri())
            page.wait_for_timeout(2500)
            if place:
                page.evaluate("place => document.querySelector(place).scrollIntoView()", place)
                page.wait_for_timeout(2500)
            page.screenshot(path=IMAGES / f"{name}.png")
            page.close()
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
