"""How large pages are and how soon they can be used, in Chromium.

``python -m benchmarks.page_speed demo/cohort`` after ``make demo``: the page of the tube with most events, until its
script is ready and until its first plot is drawn; and an index of 500 tubes, made of copies of that run's results.
Limits of the project: 8 MB and 2 s for a tube's page, 2 MB and 1 s for the index.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from flowmrd.config import Sample, load_config, read_sheet
from flowmrd.stages.cohort import cohort
from flowmrd.store import read_json, write_json

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TUBES = 500


def index_of(run: Path, folder: Path) -> tuple[Path, float]:
    """An index of :data:`TUBES` copies of a run's tubes, and the seconds that making it took."""
    config = load_config(run / "config/config.yaml")
    rows = [
        row for row in read_sheet(run / config.samples)[0] if (run / f"results/samples/{row.sample}/mrd.json").is_file()
    ]
    made: list[Sample] = []
    for number in range(TUBES):
        row = rows[number % len(rows)]
        name = f"{row.sample}-{number:03d}"
        for file in ("mrd.json", "qc.json"):
            record = read_json(run / f"results/samples/{row.sample}/{file}")
            write_json(folder / f"results/samples/{name}/{file}", record | {"sample": name})
        made.append(replace(row, sample=name, patient=f"{row.patient}-{number // len(rows):02d}"))
    start = time.perf_counter()
    cohort(folder, made, config=config)
    return folder / "results/cohort/index.html", time.perf_counter() - start


def seconds_to(browser: Browser, path: Path, *selectors: str) -> list[float]:
    """Seconds from opening a page until each element is there, one after the other."""
    page: Any = browser.new_page(viewport={"width": 1280, "height": 900})
    start, found = time.perf_counter(), []
    page.goto(path.resolve().as_uri())
    for selector in selectors:
        if selector.startswith("#std"):
            page.locator(selector.split(".")[0]).scroll_into_view_if_needed()
        page.wait_for_selector(selector)
        found.append(time.perf_counter() - start)
    page.close()
    return found


def main(arguments: list[str]) -> int:
    """Print both tables; 2 where Chromium or the run is missing."""
    program = os.environ.get("FLOWMRD_CHROMIUM") or shutil.which("chromium")
    run = Path(arguments[0]) if len(arguments) == 1 else Path()
    results = sorted(run.glob("results/samples/*/mrd.json"))
    if program is None or not results:
        sys.stderr.write("usage: python -m benchmarks.page_speed RUN (a finished run; Chromium must be installed)\n")
        return 2
    largest = max(results, key=lambda path: int(read_json(path)["counts"]["total"])).with_name("report.html")
    from playwright.sync_api import sync_playwright

    with TemporaryDirectory() as scratch, sync_playwright() as playwright:
        index, seconds = index_of(run, Path(scratch))
        browser = playwright.chromium.launch(executable_path=program, args=["--headless", "--no-sandbox"])
        seconds_to(browser, index, "body")  # the first page of a new browser waits for the browser
        ready, drawn = seconds_to(browser, largest, "html[data-ready]", "#std-1-tube.live .main-svg")
        (shown,) = seconds_to(browser, index, "#sample-table thead button")
        browser.close()
        events = read_json(largest.with_name("mrd.json"))["counts"]["total"]
        megabytes = [path.stat().st_size / 1e6 for path in (largest, index)]
        sys.stdout.write(f"page of {events:,} events: {megabytes[0]:.2f} MB, ready {ready:.2f} s, plot {drawn:.2f} s\n")
        sys.stdout.write(f"index of {TUBES} tubes: {megabytes[1]:.2f} MB, made {seconds:.2f} s, usable {shown:.2f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
