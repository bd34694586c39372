"""Pictures of the pages for the documentation, taken in Chromium from finished runs.

``python -m benchmarks.pictures demo/cohort`` after ``make demo``: a positive tube (its top, the standard panel, the
canonical view, gates, thresholds, its top in German), a negative one with its spiked cells, an atypical group, a
control, the cohort, and the monitoring page; after ``flowmrd validate demo/cohort`` its validation too. A second
argument names a finished trial (``make trial``): its trial page, and its validation instead of the demo's.

The monitoring page needs many months, and the demo has one: it is made of twelve copies of the demo's results under
other dates, each without some of its tubes, one of them with tubes that were acquired short.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from flowmrd.cli.demo import pages_to_see
from flowmrd.home import REPOSITORY
from flowmrd.report.language import language
from flowmrd.stages.monitor import monitor_runs
from flowmrd.store import read_json, write_json, write_text

if TYPE_CHECKING:
    from playwright.sync_api import Browser

IMAGES = REPOSITORY / "docs" / "images"
WIDTH = 1280
MONTHS = 12
VALIDATION = "results/validation/ino10/report.html"
SHORT_MONTH = 9
"""The month whose tubes hold a third of the events."""

Shot = tuple[Path, str, int]
"""Page, element that the picture begins with (empty: the top), height in pixels."""


def shots(run: Path, trial: Path | None) -> dict[str, Shot]:
    """Name of every picture to what it shows; pages that a run lacks are left out."""
    seen = pages_to_see(run)
    found: dict[str, Shot] = {"cohort": (run / "results/cohort/index.html", "", 1150)}
    if "positive" in seen:
        page = seen["positive"]
        found |= {
            "report-top": (page, "", 1080),
            "report-standard": (page, ".plot-row:has(#std-6-tube)", 1000),
            "report-canonical": (page, "#canonical", 760),
            "report-gates": (page, "#gates", 1000),
            "report-thresholds": (page, "details:has(.thresholds)", 620),
        }
    if "negative" in seen:
        found["report-negative"] = (seen["negative"], ".plot-row:has(#std-6-tube)", 1000)
    if "atypical group" in seen:
        found["report-atypical"] = (seen["atypical group"], ".plot-row:has(#std-6-tube)", 1000)
    if "control" in seen:
        found["report-control"] = (seen["control"], "", 1080)
    found["validation"] = (run / VALIDATION, "", 1150)
    if trial is not None:
        found["trial"] = (trial / "results/cohort/trial.html", "", 1000)
        if (trial / VALIDATION).is_file():
            found["validation"] = (trial / VALIDATION, "", 1150)
    return {name: shot for name, shot in found.items() if shot[0].is_file()}


def months_of(run: Path, folder: Path) -> None:
    """Twelve copies of a run's results under other dates, as runs that ``flowmrd monitor`` reads."""
    lines = (run / "config/samples.tsv").read_text(encoding="utf-8").splitlines()
    for month in range(1, MONTHS + 1):
        copy = folder / f"2025-{month:02d}"
        kept = [line for line in lines[1:] if _digest(f"{month} {line}")[0] in "0123456789ab"]
        write_text(copy / "config/config.yaml", (run / "config/config.yaml").read_text(encoding="utf-8"))
        write_text(copy / "config/samples.tsv", "\n".join([lines[0], *kept]) + "\n")
        for line in kept:
            sample = line.split("\t")[0]
            source = run / "results/samples" / sample
            if not (source / "mrd.json").is_file():
                continue
            result, quality = read_json(source / "mrd.json"), read_json(source / "qc.json")
            result["provenance"]["fcs_sha256"] = _digest(f"{month} {sample}")
            scatter = 0.8 + 0.4 * int(_digest(f"{month} {sample} events")[:4], 16) / 0xFFFF
            result["counts"]["total"] = round(result["counts"]["total"] * scatter / (3 if month == SHORT_MONTH else 1))
            quality["acquisition"]["date"] = f"2025-{month:02d}-{1 + int(_digest(sample)[:2], 16) % 28:02d}"
            write_json(copy / "results/samples" / sample / "mrd.json", result)
            write_json(copy / "results/samples" / sample / "qc.json", quality)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def take(browser: Browser, name: str, shot: Shot) -> None:
    """Take one picture."""
    path, place, height = shot
    page: Any = browser.new_page(viewport={"width": WIDTH, "height": height})
    page.goto(path.resolve().as_uri(), timeout=120_000)
    page.wait_for_timeout(2500)
    if place:
        page.evaluate(
            "place => { const at = document.querySelector(place);"
            " document.querySelector('.tools-bar')?.remove(); if (at.tagName === 'DETAILS') at.open = true;"
            " at.scrollIntoView(); }",
            place,
        )
        page.wait_for_timeout(3500)
    page.screenshot(path=IMAGES / f"{name}.png")
    page.close()
    _make_smaller(IMAGES / f"{name}.png")


def _make_smaller(picture: Path) -> None:
    """Write a picture again with the 256 colours that are nearest to its own: half the bytes."""
    from PIL import Image

    with Image.open(picture) as full:
        few = full.convert("RGB").quantize(colors=256, dither=Image.Dither.NONE)
    few.save(picture, optimize=True)


def main(arguments: list[str]) -> int:
    """Take the pictures of the pages that are there; 2 where Chromium or the run is missing."""
    if len(arguments) not in {1, 2}:
        sys.stderr.write("usage: python -m benchmarks.pictures RUN [TRIAL_RUN]\n")
        return 2
    program = os.environ.get("FLOWMRD_CHROMIUM") or shutil.which("chromium")
    run = Path(arguments[0])
    if program is None or not (run / "results/samples").is_dir():
        sys.stderr.write("missing: chromium, or a finished run\n")
        return 2
    from playwright.sync_api import sync_playwright

    with TemporaryDirectory() as scratch, sync_playwright() as playwright:
        folder = Path(scratch)
        wanted = shots(run, Path(arguments[1]) if len(arguments) > 1 else None)
        months_of(run, folder / "runs")
        monitor_runs(folder / "runs", folder / "monitoring", seed=1, again=6)
        wanted["monitoring"] = (folder / "monitoring/index.html", "", 1150)
        if "report-top" in wanted:
            german = folder / "german.html"
            write_text(german, language("de").page(wanted["report-top"][0].read_text(encoding="utf-8")))
            wanted["report-german"] = (german, "", 1080)
        browser = playwright.chromium.launch(executable_path=program, args=["--headless", "--no-sandbox"])
        for name, shot in wanted.items():
            take(browser, name, shot)
            sys.stdout.write(f"{name}.png: {shot[0].name if shot[0].is_relative_to(folder) else shot[0]}\n")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
