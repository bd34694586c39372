"""Pages for every reader: whatever fonts the computer has, whatever colours an eye tells apart, on a phone."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from report_neighbours import with_neighbours
from reviewer_actions import drawn, opened

from browser import ARGUMENTS, OpenPage, labels_cut_off
from flowmrd.config import Role, Sample
from flowmrd.mrd.result import CellGroup, GroupEvidence
from flowmrd.stages.cohort import cohort
from flowmrd.store import write_json
from report_factory import MARKERS, MadeSample, config, make_result, qc_record

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
FONT_SETS = {"Noto": "NotoSans-*.ttf", "DejaVu": "DejaVuSans*.ttf"}
"""Fonts that usual desktops have; the widths of their letters differ by a seventh."""


def fonts_of(pattern: str) -> list[Path]:
    """Font files of this computer."""
    if shutil.which("fc-list") is None:
        return []
    listing = subprocess.run(["fc-list", ":", "file"], capture_output=True, text=True, check=True).stdout
    found = [Path(line.split(":")[0]) for line in listing.splitlines()]
    return sorted(path for path in found if path.match(pattern))


@pytest.fixture(params=list(FONT_SETS))
def with_fonts(request: pytest.FixtureRequest, browser: Browser, tmp_path: Path) -> Iterator[Callable[[Path], Page]]:
    """A Chromium that has the fonts of one set and no others."""
    fonts = fonts_of(FONT_SETS[request.param])
    if not fonts:
        pytest.skip(f"no {request.param} fonts: install fonts-noto-core or fonts-dejavu")
    folder = tmp_path / "fonts"
    folder.mkdir()
    for path in fonts:
        shutil.copy(path, folder)
    settings = tmp_path / "fonts.conf"
    settings.write_text(
        f'<?xml version="1.0"?><fontconfig><dir>{folder}</dir><cachedir>{tmp_path / "cache"}</cachedir></fontconfig>'
    )
    program = browser.browser_type.executable_path
    program = os.environ.get("FLOWMRD_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome") or program
    running = browser.browser_type.launch(
        executable_path=program, args=ARGUMENTS, env={**os.environ, "FONTCONFIG_FILE": str(settings)}
    )

    def opened(path: Path) -> Page:
        page = running.new_page(viewport={"width": 1280, "height": 900})
        page.goto(path.resolve().as_uri())
        return page

    yield opened
    running.close()


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The index of a run with eight controls and two patients."""
    run = tmp_path_factory.mktemp("index")
    rows = []
    for number in range(12):
        role = Role.CONTROL if number < 8 else Role.FOLLOWUP
        rows.append(Sample(f"TUBE-{number:02d}", f"P{number:02d}", role, Path("x.fcs")))
        result = make_result(rows[-1].sample, patient=rows[-1].patient, role=role.value, mrd=20 * (number % 3))
        folder = run / "results/samples" / rows[-1].sample
        write_json(folder / "mrd.json", result.to_json_dict())
        medians = {"CD10": 0.5 + 0.01 * (number % 4), "CD45": 0.7 + (0.3 if number == 3 else 0.004 * number)}
        write_json(folder / "qc.json", qc_record(rows[-1].sample, 300_000, medians))
    cohort(run, rows, config=config())
    return run / "results/cohort/index.html"


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> MadeSample:
    """A follow-up with MRD cells, its diagnosis tube and four controls."""
    return with_neighbours(tmp_path_factory.mktemp("access"))


def test_no_label_is_cut_off_with_any_set_of_fonts(
    with_fonts: Callable[[Path], Page], positive: MadeSample, index: Path
) -> None:
    for path in (positive.sample_dir / "report.html", index):
        page = with_fonts(path)
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert page.locator("figure svg text").count() > 5
        assert labels_cut_off(page) == []


def test_the_two_sets_of_fonts_differ_so_that_the_test_above_means_something(browser: Browser) -> None:
    names = [pattern for pattern in FONT_SETS.values() if fonts_of(pattern)]
    if len(names) < 2:
        pytest.skip("one set of fonts only")
    page = browser.new_page()
    page.set_content("<span id=a style='font:16px Noto Sans'>Haematogones</span><br>"
                     "<span id=b style='font:16px DejaVu Sans'>Haematogones</span>")  # fmt: skip
    widths = page.evaluate("['a', 'b'].map(id => document.getElementById(id).getBoundingClientRect().width)")
    page.close()
    assert abs(widths[0] - widths[1]) > 2


def contrast(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    """Contrast ratio of two colours (WCAG 2.2, "relative luminance")."""

    def luminance(colour: tuple[int, ...]) -> float:
        parts = [c / 255 for c in colour]
        red, green, blue = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("vision", ["none", "deuteranopia", "protanopia"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_marks_stand_out_from_their_edge_whatever_colours_an_eye_tells_apart(
    compared: MadeSample, open_page: OpenPage, scheme: str, vision: str
) -> None:
    from PIL import Image

    page = open_page(compared.sample_dir / "report.html", color_scheme=scheme)
    page.wait_for_selector("html[data-ready]", timeout=30_000)
    page.locator("#std-6-tube").scroll_into_view_if_needed()
    page.wait_for_selector("#std-6-tube.live .main-svg", timeout=30_000)
    marks = page.evaluate(
        """() => document.querySelector('#std-6-tube .canvas').data.filter(t => t.meta.layer)
          .map(t => [t.meta.layer, t.marker.symbol, t.marker.color, t.marker.line.color])"""
    )
    page.evaluate(
        """marks => {
          const patch = (left, colour) =>
            `<i style="position:fixed;left:${left}px;top:0;width:20px;height:20px;background:${colour}"></i>`;
          document.body.innerHTML = [['', '', '#ff0000', '#ff0000'], ...marks]
            .map(([, , fill, edge], i) => patch(40 * i, fill) + patch(40 * i + 20, edge)).join('');
        }""",
        marks,
    )
    page.context.new_cdp_session(page).send("Emulation.setEmulatedVisionDeficiency", {"type": vision})
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")

    def seen(x: int) -> tuple[int, ...]:
        return tuple(picture.crop((x, 10, x + 1, 11)).tobytes())

    red = seen(10)
    assert (red == (255, 0, 0)) is (vision == "none"), "the filter is in force"
    for place, (layer, symbol, fill, edge) in enumerate(marks, 1):
        if symbol.endswith("-open"):
            continue
        assert contrast(seen(40 * place + 10), seen(40 * place + 30)) >= 3, (layer, symbol, fill, edge)
    signs = {(layer.split(":")[0], symbol) for layer, symbol, _, _ in marks}
    assert len({symbol for _, symbol in signs}) == len(signs), "every kind of layer has a sign of its own"


@pytest.mark.parametrize("name", ["report", "index"])
def test_on_a_phone_nothing_moves_sideways_and_the_header_stays(
    compared: MadeSample, index: Path, open_page: OpenPage, name: str
) -> None:
    page = open_page(compared.sample_dir / "report.html" if name == "report" else index)
    page.set_viewport_size({"width": 390, "height": 800})
    page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.scrollWidth") <= 391
    page.evaluate("scrollTo(0, 3000)")
    page.wait_for_timeout(200)
    assert page.evaluate("document.querySelector('header.bar').getBoundingClientRect().top") == 0


@pytest.mark.parametrize("width", [390, 360])
def test_groups_to_call_and_the_canonical_view_fit_a_phone(tmp_path: Path, open_page: OpenPage, width: int) -> None:
    group = CellGroup(
        events=60, phenotype="CD58+ CD38-", nearest_normal="haematogones_2", evidence=GroupEvidence(), call="counted",
        markers=make_result("x").laip.markers, medians=dict.fromkeys(MARKERS, 0.5), cluster=0,
    )  # fmt: skip
    page = opened(with_neighbours(tmp_path, groups=(group,)), open_page)
    page.set_viewport_size({"width": width, "height": 800})
    drawn(page, "canonical-plot")
    page.get_by_text("Contents", exact=True).click()
    assert page.evaluate(BEYOND) == []


BEYOND = """() => [...document.querySelectorAll('body *')].filter(e => {
  const at = e.getBoundingClientRect();
  return at.width > 0 && at.right > innerWidth + 1 && !e.closest('.scroll, svg, .modebar, .unseen');
}).map(e => `${e.tagName} ${e.id} ${e.className}`)"""
