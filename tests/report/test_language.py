"""Pages in German and Chinese: nothing but words changes, and what has no translation is English and listed."""

from __future__ import annotations

import html
import re
import warnings
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest
from report_pages import build
from test_cohort_page import make_cohort

from browser import OpenPage, labels_cut_off, violations
from flowmrd.config.run import ReportConfig
from flowmrd.errors import InternalError
from flowmrd.flags import REGISTRY, Effect
from flowmrd.home import PANELS
from flowmrd.panel import load_panel
from flowmrd.report.language import LANGUAGES, Language, language, message_id, read_catalogue
from flowmrd.report.page import ASSETS
from flowmrd.stages.cohort import cohort, refresh_page
from report_factory import MadeSample, config, make_sample

OTHERS = [code for code in LANGUAGES if code != "en"]
NAMES = re.compile(
    r"[A-Z][\w-]+ [A-Z]{1,2}\b.*\d{4};\d+:.*"  # a reference: authors, journal, year
    r"|[0-9a-f]{64}"  # digests
    r"|[a-z]+\.[a-z_0-9]+|configuration_digest"  # settings
    r"|fsc [\d.]+, ssc [\d.]+, cd45 [\d.]+"  # a gate's numbers by their keys
    r"|ino10|flowmrd( \d[\w.]*)?|Simulated|day\d+|log10|sim\d|(▸ )?(P|CTRL)\d+[\w-]*(: < [\d.]+ %)?"  # names, files
    r"|\S+ version \S+: .*"  # a panel and its title, from its file
)
"""What a page keeps as it is on purpose."""


def listed(code: str, missing: Iterable[str]) -> list[str]:
    """Texts without a translation, which are shown in English: whoever writes one need not speak every language."""
    found = sorted(missing)
    if found:
        warnings.warn(f"{code} lacks {len(found)} texts: {found}", stacklevel=2)
    return found


@pytest.mark.parametrize("code", OTHERS)
def test_every_message_of_a_tube_has_a_translation(code: str) -> None:
    known = language(code).catalogue
    wanted = {
        message_id(text)
        for kind in REGISTRY.values()
        if kind.places & {"banner", "reasons", "quality"} or kind.effect is Effect.ANSWER
        for text in (kind.sentence, kind.step, kind.step_without_cells, kind.question)
        if text and text != "{text}"
    }
    assert listed(code, wanted - known.keys()) == []


@pytest.mark.parametrize("code", OTHERS)
def test_every_title_of_a_shipped_panels_gates_and_plots_has_a_translation(code: str) -> None:
    fresh = Language(code, language(code).catalogue)
    for path in sorted(PANELS.glob("*.yaml")):
        panel = load_panel(path)
        for title in (*(gate.title for gate in panel.gates), *(plot.title for plot in panel.standard_plots)):
            fresh.text(title or "")
    assert listed(code, fresh.missing) == []


@pytest.mark.parametrize("code", OTHERS)
def test_every_sentence_of_the_pages_scripts_has_a_translation(code: str) -> None:
    said = {
        sentence
        for name in ("page.js", "figures.js", "plots.js", "review.js")
        for sentence in re.findall(r'flowmrd\.say\(\s*"([^"]+)"', (ASSETS / name).read_text(encoding="utf-8"))
    }
    assert len(said) > 15
    assert listed(code, said - language(code).catalogue.keys()) == []


ENGLISH_WORDS = re.compile(r"\b(the|of|and|is|are|with|from|than|for|not|were|by|events|cells)\b")
FROM_OUTSIDE = re.compile(r'<bdi class="outside" dir.*?</bdi>|<code>.*?</code>|<(script|style)\b.*?</\1>', re.DOTALL)


def half_translated(page: str) -> list[str]:
    """Texts of a translated page that hold an English word, whatever the catalogue says of them."""
    texts = (html.unescape(text).strip() for text in re.split(r"<[^>]*>", FROM_OUTSIDE.sub("", page)))
    return [text for text in texts if ENGLISH_WORDS.search(text) and not NAMES.fullmatch(text)]


def test_a_sentence_is_translated_whole_or_not_at_all() -> None:
    """An entry of few letters fits any sentence: it must not translate one word of it."""
    entries = {
        "{a} of {b}": "{a} von {b}",
        "{a}, {b}": "{a:t}, {b:id}",
        "All cells of {cells}.": "Alle Zellen: {cells}.",
    }
    made = Language("de", entries)
    for sentence in (
        "Half of the cells were lost.",
        "Blasts, and what else was found.",
        "All cells of some other kind.",
    ):
        made.text(sentence)
    assert made.text("Half of the cells were lost.") == "Half of the cells were lost."
    assert set(made.missing) == {
        "Half of the cells were lost.", "Blasts, and what else was found.", "some other kind"
    }  # fmt: skip
    assert made.text("12 of 40") == "12 von 40"


def test_an_entry_with_places_does_not_reach_over_the_end_of_a_sentence() -> None:
    made = Language(
        "de", {"Made with {version}.": "Gemacht mit {version:id}.", "Nothing was lost.": "Nichts ging verloren."}
    )
    assert made.text("Made with 0.1. Nothing was lost.") == "Gemacht mit 0.1. Nichts ging verloren."


@pytest.mark.parametrize("code", OTHERS)
def test_every_text_of_a_tubes_page_has_a_translation_but_for_names(
    positive: MadeSample, negative: MadeSample, code: str
) -> None:
    fresh = Language(code, language(code).catalogue)
    for made in (positive, negative):
        page = fresh.page((made.sample_dir / "report.html").read_text(encoding="utf-8"))
        assert "FCS data were analysed" not in page
        assert half_translated(page) == []
    assert listed(code, (text for text in fresh.missing if not NAMES.fullmatch(text))) == []
    assert Language(code, {}).text("Quality") == "Quality", "what has none stays English"


@pytest.mark.parametrize("code", OTHERS)
def test_no_text_of_the_cohort_page_is_translated_in_part(tmp_path: Path, code: str) -> None:
    cohort(tmp_path, make_cohort(tmp_path, 10), config=config())
    english = (tmp_path / "results/cohort/index.html").read_text(encoding="utf-8")
    fresh = Language(code, language(code).catalogue)
    assert half_translated(fresh.page(english)) == []
    assert listed(code, (text for text in fresh.missing if not NAMES.fullmatch(text))) == []


def test_a_question_after_a_colon_is_that_of_its_own_entry() -> None:
    made = Language("de", {"Not answered: {question}": "Offen: {question:t}", "Is it there?": "Ist es da?"})
    assert made.text("Not answered: is it there?") == "Offen: Ist es da?"


def shown(page: str) -> str:
    """Texts of a page, without scripts, styles and data."""
    return html.unescape(re.sub(r"<[^>]*>", " ", re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)))


@pytest.mark.parametrize("code", OTHERS)
def test_a_translated_page_has_the_same_numbers_and_names(positive: MadeSample, code: str) -> None:
    english = (positive.sample_dir / "report.html").read_text(encoding="utf-8")
    there = language(code).page(english)

    def numbers(page: str) -> Counter[str]:
        whole = re.sub(r">[^<>]*…<", "><", page)  # what is cut for paper ends elsewhere in another language
        return Counter(re.findall(r"\d+(?:[.,]\d+)?", shown(whole).replace(",", ".")))

    lost, gained = numbers(english) - numbers(there), numbers(there) - numbers(english)
    assert (set(lost), set(gained)) == (set(), set())
    for kept in (
        positive.sample,
        positive.result.patient,
        *(reason.code for reason in positive.result.verdict.reasons),
    ):
        assert shown(english).count(kept) == shown(there).count(kept)


def test_what_came_from_outside_is_never_translated() -> None:
    german = language("de")
    source = '<p><bdi class="outside" dir="auto">Nothing in particular.</bdi> <code>Quality 0.5</code> Quality 0.5</p>'
    assert german.page(source) == source.replace("</code> Quality 0.5", "</code> Quality 0.5")
    assert german.page("<p>Quality</p>") == "<p>Qualität</p>"
    assert german.page('<bdi class="outside ours">Nothing in particular.</bdi>').count("Nichts Besonderes.") == 1
    assert german.text("Review: rejected by Dr 0.5 Control") == "Prüfung: abgelehnt von Dr 0.5 Control"


def test_numbers_and_units_are_written_as_the_language_does() -> None:
    assert language("de").text("MRD not detected: < 0.0083 %") == "MRD nicht nachgewiesen: < 0,0083 %"
    assert language("zh").text("MRD not detected: < 0.0083 %") == "未检出 MRD：< 0.0083%"
    assert language("de").text("9.3 × 10⁻⁵") == "9,3 × 10⁻⁵"
    assert language("de").text("FCS3.1 of 0.1.0") == "FCS3.1 of 0.1.0"


def test_no_line_breaks_inside_a_level_and_scripts_stay_as_they_are() -> None:
    source = "<p>&lt; 0.0083 % (8.3 × 10⁻⁵) of 5 cells</p><script>f(7 % 3)</script><b>95 %</b>"
    kept = "<p>&lt;_0.0083_% (8.3_×_10⁻⁵) of 5 cells</p><script>f(7 % 3)</script><b>95_%</b>".replace("_", "\u00a0")
    assert language("en").page(source) == kept
    assert language("de").page("<p>MRD not detected: &lt; 0.0083 %</p>").count("\u00a0") == 2
    assert language("zh").page("<p>MRD not detected: &lt; 0.0083 %</p>").endswith("&lt;\u00a00.0083%</p>")


@pytest.mark.parametrize("code", OTHERS)
def test_no_translation_holds_what_its_sentence_lacks(code: str, tmp_path: Path) -> None:
    assert len(language(code).catalogue) > 700
    broken = tmp_path / "xx.po"
    broken.write_text('msgid "{n} events"\nmsgstr "{n} von {all}"\n', encoding="utf-8")
    with pytest.raises(InternalError, match="places that the sentence lacks"):
        read_catalogue(broken)


@pytest.mark.browser
@pytest.mark.parametrize("code", ["de", "zh"])
def test_a_page_in_another_language_works_and_a_review_keeps_its_language(
    tmp_path: Path, open_page: OpenPage, axe: str, code: str
) -> None:
    made = make_sample(tmp_path)
    page_file = build(made, visits=False, language=code)  # type: ignore[arg-type]
    page = open_page(page_file)
    page.wait_for_selector("html[data-ready]", timeout=30_000)
    assert page.locator("html").get_attribute("lang") == code
    headline = page.locator("#verdict").inner_text()
    assert headline.startswith({"de": "MRD nachgewiesen", "zh": "检出 MRD"}[code])
    page.get_by_role("button", name={"de": "Prüfung speichern", "zh": "保存审核"}[code]).click()
    assert {"de": "Nicht gespeichert", "zh": "未保存"}[code] in page.locator("#review-status").inner_text()
    assert labels_cut_off(page) == []
    assert violations(page, axe) == []
    settings = ReportConfig.model_validate({"language": code})
    assert not refresh_page(made.run, made.result, settings), "a page put together anew is the same, byte for byte"
