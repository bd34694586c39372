"""The page of an assay validation in a real browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from browser import OpenPage, labels_cut_off, violations
from flowmrd.compare.comparison import compare_methods
from flowmrd.compare.measurement import MeasuredPair, Measurement
from flowmrd.report.language import Language, language
from flowmrd.report.page import write_page
from flowmrd.report.validation_page import render
from flowmrd.stages.compare import write_comparison
from flowmrd.stages.validate import comparison_of
from flowmrd.validate.dilution import Dilution
from flowmrd.validate.figures import figures

HOSTILE = "<img src=x onerror=alert(1)>"
KINDS = {"P01": ("CD19 lost", "CD34 over"), HOSTILE: ("CD34 over", HOSTILE)}
LEVELS = ((1e-2, 1.0), (1e-3, 1.0), (1e-4, 0.9), (1e-5, 0.4))


def dilutions(loss: float = 1.0) -> list[Dilution]:
    """Two leukaemias in twelve controls at four levels and blank, with two sizes of tube."""
    made = []
    for patient in ("P01", HOSTILE):
        for control in range(12):
            cells = 600_000 if control % 2 else 250_000
            for level, share in LEVELS:
                true = round(level * cells)
                measured = round(true * share * loss) + control % 3
                made.append(Dilution(patient, f"C{control}", level, 0, cells, true, measured, measured, False))
            made.append(Dilution(patient, f"C{control}", 0.0, 0, cells, 0, control % 4, 0, False))
    return made


def page_of(folder: Path, made: list[Dilution]) -> Path:
    path = folder / "report.html"
    text = render(
        figures(made, detect_events=20, kinds=KINDS),
        detect_events=20,
        target=1e-4,
        warnings=[f"Only 2 diagnosis tubes {HOSTILE}"],
        panel="ino10",
        version="0",
    )
    write_page(path, text)
    return path


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a validation that holds."""
    return page_of(tmp_path_factory.mktemp("validation"), dilutions())


def test_the_same_figures_give_the_same_bytes(path: Path, tmp_path: Path) -> None:
    assert page_of(tmp_path, dilutions()).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("code", ["de", "zh"])
def test_every_text_of_the_page_has_a_translation_but_for_names(path: Path, code: str) -> None:
    fresh = Language(code, language(code).catalogue)
    fresh.page(path.read_text(encoding="utf-8"))
    assert [text for text in fresh.missing if HOSTILE not in text and not text.startswith("flowmrd")] == []


def test_a_comparison_with_another_method_stands_on_the_page_of_the_validation(tmp_path: Path) -> None:
    pairs = [MeasuredPair(f"S{n}", Measurement(1e-3 * n), Measurement(1.1e-3 * n)) for n in range(1, 7)]
    pairs.append(MeasuredPair("S0", Measurement(0.0, 5e-5), Measurement(0.0, 1e-5)))
    run = tmp_path / "run"
    write_comparison(compare_methods(pairs, first="flowmrd", second="PCR"), run / "results/compare", samples=None)
    comparison = comparison_of(run)
    assert comparison is not None
    text = render(
        figures(dilutions(), detect_events=20, kinds=KINDS),
        detect_events=20,
        target=1e-4,
        warnings=[],
        panel="ino10",
        version="0",
        comparison=comparison,
    )
    assert "Agreement with another method" in text
    assert "PCR" in text
    assert 'href="../../compare/index.html"' in text
    assert comparison_of(tmp_path) is None


def test_a_target_that_was_not_reached_is_stated_and_not_shown_as_passed(tmp_path: Path) -> None:
    text = page_of(tmp_path, dilutions(loss=0.3)).read_text()
    assert "is not shown to be detectable" in text
    assert (
        '<span class="badge fail"><span class="sign" aria-hidden="true">✕</span><bdi>Limit of detection</bdi></span>'
        in text
    )


def test_nothing_but_blanks_gives_a_page_not_a_crash(tmp_path: Path) -> None:
    blanks = [dilution for dilution in dilutions() if dilution.level == 0]
    assert "not shown to be detectable" in page_of(tmp_path, blanks).read_text()


def test_a_share_beside_its_count_stands_in_brackets(path: Path) -> None:
    """The column "Within half a log" read "24 / 24 100.0 %"."""
    text = re.sub(r"<[^>]+>", " ", path.read_text(encoding="utf-8"))
    assert re.search(r"24 / 24 \(100\.0\s%\)", text)


def test_detection_is_told_by_kind_of_aberrancy(path: Path) -> None:
    text = path.read_text()
    assert "By kind of aberrancy" in text
    assert '<th scope="row">CD34 over</th><td class="num">2</td><td class="num">24 / 24</td>' in text


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(path: Path, open_page: OpenPage, axe: str, scheme: str) -> None:
    assert violations(open_page(path, color_scheme=scheme, bypass_csp=True), axe) == []


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
def test_it_fits_the_window_and_hostile_text_is_text(path: Path, open_page: OpenPage, width: int) -> None:
    page = open_page(path)
    page.set_viewport_size({"width": width, "height": 900})
    assert labels_cut_off(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert HOSTILE in page.locator("main").inner_text()
    assert page.locator("main img").count() == 0


@pytest.mark.browser
def test_the_answer_stands_at_the_top_and_the_page_prints_on_two_sheets(path: Path, open_page: OpenPage) -> None:
    page = open_page(path)
    answer = page.locator("section").first.inner_text()
    assert "10⁻⁴" in answer
    assert "Limit of detection" in answer
    assert len(re.findall(rb"/Type\s*/Page[^s]", page.pdf(prefer_css_page_size=True))) <= 2
