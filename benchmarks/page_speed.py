"""How large pages are and how soon they can be used, in Chromium.

``python -m benchmarks.page_speed demo/cohort`` after ``make demo``: the page of the tube with most events, until its
script is ready and until its first plot is drawn; and an index of 500 tubes, made of copies of that run's results.
Limits of the project: 8 MB and 2 s for a tube's page, 2 MB and 1 s for the index.

``--events 5000000`` measures the page of one more follow-up tube of that size besides: it is simulated as the run's
P03, and judged with the run's own reference and phenotype. ``--against PAGE`` opens another page in turns with it, such
as the one that an earlier checkout made, because times mean something only beside times of the same minutes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from flowmrd.config import Role, Sample, load_config, read_sheet
from flowmrd.panel import load_panel
from flowmrd.simulate.cohort import MANIFEST, write_tube
from flowmrd.simulate.design import plan_preset, resized, tube_seed
from flowmrd.simulate.tube import simulate_tube
from flowmrd.stages.cohort import cohort
from flowmrd.store import read_json, write_json, write_text

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TUBES = 500
LARGE = "P03-day21"
"""The tube of the demo that a larger one is simulated as."""
OPENED = 5
"""Times that a page is opened; the median counts."""


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


def large_tube(run: Path, folder: Path, events: int) -> Path:
    """The page of a tube of about this many events, judged in ``folder`` with what the run has learned."""
    config = load_config(run / "config/config.yaml")
    panel = load_panel(config.panel)
    seed = int(read_json(run / MANIFEST)["seed"])
    plan = next(plan for plan in plan_preset("demo", panel, seed) if plan.sample == LARGE)
    known = read_json(run / MANIFEST)["tubes"][LARGE]
    plan = resized([plan], round(events * known["nucleated"] / known["events"]))[0]
    write_tube(folder / f"fcs/{LARGE}.fcs", simulate_tube(plan.spec, panel, tube_seed(seed, LARGE)))
    shutil.copytree(run / "config", folder / "config")
    sheet = (folder / "config/samples.tsv").read_text(encoding="utf-8")
    others = str(run.resolve() / "fcs")
    write_text(
        folder / "config/samples.tsv", sheet.replace("../fcs", others).replace(f"{others}/{LARGE}.", f"../fcs/{LARGE}.")
    )
    for part in ("reference", "laip", "work", "samples"):
        for path in sorted((run / "results" / part).iterdir()):
            if path.name != LARGE:
                (folder / "results" / part).mkdir(parents=True, exist_ok=True)
                (folder / "results" / part / path.name).symlink_to(path.resolve())
    reference = folder / "results/reference" / panel.name
    controls = [row.sample for row in read_sheet(run / config.samples)[0] if row.role is Role.CONTROL]
    subprocess.run(  # noqa: S603 - our own command
        [
            sys.executable, "-m", "flowmrd", "judge", "--run", str(folder), "--sample", LARGE,
            "--reference", reference / "reference.json", "--transforms", reference / "transform.json",
            "--thresholds", reference / "gates.json", "--laip", folder / f"results/laip/{plan.patient}/laip.json",
            *(word for name in controls for word in ("--control", name)),
        ],
        check=True,
    )  # fmt: skip
    return folder / f"results/samples/{LARGE}/report.html"


def medians(browser: Browser, *pages: Path) -> list[tuple[float, float]]:
    """Median seconds until each page is ready and until its first plot is drawn; pages are opened in turns."""
    times: dict[Path, list[list[float]]] = {page: [] for page in pages}
    for _ in range(OPENED):
        for page, found in times.items():
            found.append(seconds_to(browser, page, "html[data-ready]", "#std-1-tube.live .main-svg"))
    return [
        (statistics.median(ready for ready, _ in found), statistics.median(drawn for _, drawn in found))
        for found in times.values()
    ]


def main(arguments: list[str]) -> int:
    """Print both tables; 2 where Chromium or the run is missing."""
    program = os.environ.get("FLOWMRD_CHROMIUM") or shutil.which("chromium")
    asked = argparse.ArgumentParser(prog="python -m benchmarks.page_speed")
    asked.add_argument("run", type=Path, help="a finished run")
    asked.add_argument("--events", type=int, help="simulate and judge a tube of so many events besides")
    asked.add_argument("--against", type=Path, help="another page, opened in turns")
    options = asked.parse_args(arguments)
    run: Path = options.run
    results = sorted(run.glob("results/samples/*/mrd.json"))
    if program is None or not results:
        sys.stderr.write(f"{run}: no finished run, or no Chromium; run `flowmrd run {run}`, install chromium\n")
        return 2
    largest = max(results, key=lambda path: int(read_json(path)["counts"]["total"])).with_name("report.html")
    from playwright.sync_api import sync_playwright

    with TemporaryDirectory() as scratch, sync_playwright() as playwright:
        index, seconds = index_of(run, Path(scratch) / "index")
        pages = {f"page of {_events(largest):,} events": largest}
        if options.events:
            large = large_tube(run, Path(scratch) / "large", options.events)
            pages[f"page of {_events(large):,} events"] = large
        if options.against:
            pages[f"{options.against}"] = options.against
        browser = playwright.chromium.launch(executable_path=program, args=["--headless", "--no-sandbox"])
        seconds_to(browser, index, "body")  # the first page of a new browser waits for the browser
        for (name, page), (ready, drawn) in zip(pages.items(), medians(browser, *pages.values()), strict=True):
            megabytes = page.stat().st_size / 1e6
            sys.stdout.write(f"{name}: {megabytes:.2f} MB, ready {ready:.2f} s, plot {drawn:.2f} s\n")
        (shown,) = seconds_to(browser, index, "#sample-table thead button")
        browser.close()
        megabytes = index.stat().st_size / 1e6
        sys.stdout.write(f"index of {TUBES} tubes: {megabytes:.2f} MB, made {seconds:.2f} s, usable {shown:.2f} s\n")
    return 0


def _events(page: Path) -> int:
    return int(read_json(page.with_name("mrd.json"))["counts"]["total"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
