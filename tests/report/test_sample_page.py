"""The page of one sample in a real browser."""

from __future__ import annotations

import json
import re
from itertools import cycle
from pathlib import Path
from typing import Any, Literal

import pytest
from report_pages import build

from browser import OpenPage, labels_cut_off, violations
from flowmrd.flags import Flag
from flowmrd.mrd.result import Cluster, MarkerShift
from flowmrd.panel.model import PanelModel
from flowmrd.review.importing import import_review
from flowmrd.review.keys import make_key
from flowmrd.review.model import read_review
from flowmrd.store import write_json
from report_factory import MARKERS, MadeSample, ino10, make_sample

pytestmark = pytest.mark.browser

HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(2)>",
    "javascript:alert(3)",
    "x" * 10_000,
    "\u202eمرحبا بالعالم",
    "🧬🔬 </style></script><!--",
    "{{ 7 * 7 }} ${7*7} ]]>",
)


def page_of(made: MadeSample) -> Path:
    return made.sample_dir / "report.html"


def ready(page: Any) -> None:
    page.wait_for_selector("html[data-ready]", timeout=30_000)


def settle(page: Any) -> None:
    """Scroll through the page so that every plot is drawn."""
    for figure in page.query_selector_all(".plot"):
        figure.scroll_into_view_if_needed()
    page.wait_for_selector(".plot:not(.live)", state="detached", timeout=60_000)


def test_the_verdict_stands_at_the_top_in_words(positive: MadeSample, open_page: OpenPage) -> None:
    page = open_page(page_of(positive))
    heading = page.locator("#verdict")
    assert "MRD detected: " in heading.inner_text()
    box = heading.bounding_box()
    assert box is not None
    assert box["y"] < 300
    assert "not passed" in page.locator("#sensitivity-h").inner_text()
    assert "Research use only" in page.locator(".bar").inner_text()


def test_a_negative_verdict_says_what_the_tube_could_have_seen(negative: MadeSample, open_page: OpenPage) -> None:
    page = open_page(page_of(negative))
    said = page.locator(".verdict").inner_text()
    assert "MRD not detected: <\u00a00.0084\u00a0%" in said, "no line breaks within a level"
    said = said.replace("\u00a0", " ")
    assert "Limit of detection 0.0084 %" in said
    assert "MRD < 0.01 % (10⁻⁴): yes" in said


def test_every_plot_is_drawn_without_webgl_and_without_upload_button(positive: MadeSample, open_page: OpenPage) -> None:
    page = open_page(page_of(positive))
    ready(page)
    settle(page)
    assert page.locator(".plot.live .main-svg").count() > 5
    assert page.locator("canvas.gl-canvas, .gl-container canvas").count() == 0
    titles = [node.get_attribute("data-title") or "" for node in page.query_selector_all(".modebar-btn")]
    assert not [title for title in titles if re.search("share|cloud|edit|plotly", title, re.IGNORECASE)]


def test_every_mrd_event_is_on_every_gate_plot(positive: MadeSample, open_page: OpenPage) -> None:
    page = open_page(page_of(positive))
    ready(page)
    settle(page)
    counts = page.evaluate(
        "[...document.querySelectorAll('.plots .canvas')].map(c => c.data.find(t => t.name === 'MRD cell').x.length)"
    )
    assert counts
    assert set(counts) == {positive.result.counts.mrd_events}


def test_back_gating_shows_the_chosen_population_in_every_plot(positive: MadeSample, open_page: OpenPage) -> None:
    page = open_page(page_of(positive))
    ready(page)
    settle(page)
    options = {o.inner_text(): o.get_attribute("value") for o in page.query_selector_all("#backgate option")}
    mature = next(value for text, value in options.items() if text.startswith("Mature B"))
    page.select_option("#backgate", mature)
    shown = page.evaluate(
        "[...document.querySelectorAll('.canvas')].map(c => c.data.find(t => t.name === 'back-gated cell').x.length)"
    )
    assert len(set(shown)) == 1
    assert shown[0] >= 100
    medians = page.evaluate(
        "(() => { const c = [...document.querySelectorAll('.canvas')].find("
        "c => c.layout.xaxis.title.text.startsWith('CD20')"
        " || c.layout.yaxis.title.text.startsWith('CD20')); const t = c.data.find(t => t.name === 'back-gated cell');"
        " const v = [...(c.layout.xaxis.title.text.startsWith('CD20') ? t.x : t.y)].sort((a, b) => a - b);"
        " return v[Math.floor(v.length / 2)]; })()"
    )
    assert 0.7 < medians < 0.9, "mature B cells are CD20 bright"


def test_free_plot_follows_the_chosen_axes_and_the_keyboard(positive: MadeSample, open_page: OpenPage) -> None:
    page = open_page(page_of(positive))
    ready(page)
    page.locator("#free-plot").scroll_into_view_if_needed()
    page.wait_for_selector("#free-plot.live")
    page.select_option("#free-x", "CD10")
    page.select_option("#free-y", "SSC-A")
    page.wait_for_selector("#free-plot .xtitle:has-text('CD10')")
    page.locator("#free-plot .canvas").focus()
    page.keyboard.press("+")
    low, high = page.evaluate("document.querySelector('#free-plot .canvas').layout.xaxis.range")
    assert high - low < 1.0
    page.keyboard.press("0")
    low, high = page.evaluate("document.querySelector('#free-plot .canvas').layout.xaxis.range")
    assert (low, high) == (-0.05, 1.05)


def test_a_review_saved_from_the_page_is_imported_and_then_shown(tmp_path: Path, open_page: OpenPage) -> None:
    made = make_sample(tmp_path, n=4000, blasts=40)
    page = open_page(build(made))
    ready(page)
    page.get_by_role("button", name="Save the review").click()
    assert "Still needed" in page.locator("#review-status").inner_text()
    comment = "Compared with the diagnosis. <b>Agreed</b> 👍\nSecond line"
    page.get_by_label("Accept the result").check()
    page.fill("#review-comment", comment)
    page.fill("#review-name", "Dr Ada Example")
    page.select_option("#review-meaning", "approval")
    page.get_by_role("button", name="Save the review").click()
    assert "4 points of the checklist" in page.locator("#review-status").inner_text()
    for point in page.locator('[name="point"]').all():
        point.check()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the review").click()
    saved = tmp_path / download.value.suggested_filename
    download.value.save_as(saved)
    review = read_review(saved)
    assert saved.name == f"{made.sample}.{review.mrd_sha256[:12]}.review.json"
    assert len(review.checklist) == 4
    assert (review.decision, review.name, review.meaning) == ("accept", "Dr Ada Example", "approval")
    assert review.comment == comment
    assert review.mrd_sha256 == json.loads((made.sample_dir / "report.json").read_text())["mrd_sha256"]
    import_review(made.run, saved)
    again = open_page(build(made))
    block = again.locator(".signatures").inner_text()
    assert "Dr Ada Example" in block
    assert "approval" in block
    assert "<b>Agreed</b>" in block
    text = (made.sample_dir / "mrd.json").read_text()
    (made.sample_dir / "mrd.json").write_text(text + "\n")
    page = open_page(build(made))
    assert "void" in page.locator(".signatures").inner_text()
    assert "Review by Dr Ada Example is void: the result was changed" in page.locator(".verdict").inner_text()


def test_a_later_decision_is_shown_beside_the_one_it_replaces(tmp_path: Path, open_page: OpenPage, axe: str) -> None:
    made = make_sample(tmp_path, n=4000, blasts=40)
    private, public, _ = make_key(tmp_path / "keys")
    (made.run / "config").mkdir(parents=True)
    (made.run / "config/flowmrd-review.pub").write_bytes(public.read_bytes())
    sha256 = json.loads((build(made).parent / "report.json").read_text())["mrd_sha256"]
    for decision in ("accept", "reject", "comment"):
        file = tmp_path / f"{decision}.json"
        review = {
            "format": "flowmrd-review/1", "sample": made.sample, "mrd_sha256": sha256, "decision": decision,
            "comment": "Doublets. " * 80, "name": "Dr Ada Example", "meaning": "review",
            "signed_at": "2026-01-02T03:04:05+00:00",
        }  # fmt: skip
        write_json(file, review)
        import_review(made.run, file, key=private)
    page = open_page(build(made), bypass_csp=True)
    entries = page.locator(".signatures > li:not(.print-only)").all_inner_texts()
    assert "accepted" in entries[0]
    assert "Replaced by entry 2" in entries[0]
    assert "rejected" in entries[1]
    assert "Replaced" not in entries[1]
    assert all("digitally signed, key" in entry for entry in entries)
    assert "Review: rejected by Dr Ada Example" in page.locator(".verdict").inner_text()
    assert page.locator("#verdict").inner_text() == "Rejected by Dr Ada Example: not to be reported"
    assert violations(page, axe) == []
    assert len(re.findall(rb"/Type\s*/Page[^s]", page.pdf(prefer_css_page_size=True))) == 3


def test_figures_are_saved_as_json_and_tsv_from_the_page(positive: MadeSample, open_page: OpenPage) -> None:
    page = open_page(page_of(positive))
    ready(page)
    with page.expect_download() as download:
        page.locator('[data-action="save-json"]').click()
    saved = json.loads(Path(download.value.path()).read_text())
    assert saved == json.loads((positive.sample_dir / "report.json").read_text())
    with page.expect_download() as download:
        page.locator('[data-action="save-tsv"]').click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert lines[0] == "figure\tvalue"
    assert f"result.counts.mrd_events\t{positive.result.counts.mrd_events}" in lines


LONG = "A remark about this tube that goes on for a while, names CD19, CD22, CD34 and 300,000 events and a rate. "
PRINTED: dict[str, dict[str, Any]] = {
    "positive": {"blasts": 60},
    "negative": {"blasts": 0, "nucleated": 331_204},
    "too few events": {"blasts": 0, "nucleated": 150_000},
    "no controls": {"blasts": 20, "background": None},
    "not evaluable": {"blasts": 0, "failures": (Flag("TIME_UNSTABLE", LONG),)},
    "many remarks": {
        "blasts": 60,
        "extra": tuple(Flag("SIGNAL_DRIFT", f"{index} {LONG}") for index in range(12)),
        "timepoint": "day 21 of cycle 1, second look",
    },
}


@pytest.mark.parametrize("code", ["en", "de", "zh"])
@pytest.mark.parametrize("name", PRINTED)
def test_it_prints_on_three_pages(
    tmp_path: Path, open_page: OpenPage, name: str, code: Literal["en", "de", "zh"]
) -> None:
    page = open_page(build(make_sample(tmp_path, n=4000, **PRINTED[name]), language=code))
    ready(page)
    settle(page)
    printed = page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page[^s]", printed)) == 3


@pytest.mark.parametrize("width", [1280, 390])
def test_no_label_of_a_drawing_is_cut_off(
    positive: MadeSample, negative: MadeSample, open_page: OpenPage, width: int
) -> None:
    for made in (positive, negative):
        page = open_page(page_of(made))
        page.set_viewport_size({"width": width, "height": 900})
        ready(page)
        assert labels_cut_off(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_it_can_be_read_without_scripts(positive: MadeSample, open_page: OpenPage) -> None:
    page = open_page(page_of(positive), java_script_enabled=False)
    assert "MRD detected" in page.locator("#verdict").inner_text()
    assert page.locator(".still svg image").count() > 5
    assert page.locator(".still svg").first.is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(positive: MadeSample, open_page: OpenPage, axe: str, scheme: str) -> None:
    page = open_page(page_of(positive), color_scheme=scheme, bypass_csp=True)
    ready(page)
    settle(page)
    for details in page.query_selector_all("details"):
        details.evaluate("node => { node.open = true; }")
    assert violations(page, axe) == []


def hostile_sample(tmp_path: Path) -> MadeSample:
    """A sample whose every free text wants to break out of the page."""
    shifts = tuple(MarkerShift(marker=text[:200], shift_decades=0.9, direction="over") for text in HOSTILE)
    clusters = (
        Cluster(id=0, events=40, nearest_normal=HOSTILE[0], markers=shifts,
                medians=dict.fromkeys(MARKERS, 0.5)),
    )  # fmt: skip
    reasons = tuple(Flag("SIGNAL_DRIFT", text) for text in HOSTILE)
    made = make_sample(
        tmp_path, n=4000, blasts=40, extra=reasons, timepoint=HOSTILE[0], shifts=shifts, clusters=clusters
    )
    qc = json.loads((made.sample_dir / "qc.json").read_text())
    qc["flags"] += [{"code": "SIGNAL_DRIFT", "level": "warn", "message": text} for text in HOSTILE]
    qc["instrument"] = {text[:40]: text for text in HOSTILE}
    for entry, text in zip(qc["channels"], HOSTILE, strict=False):
        entry["pns"] = text
    write_json(made.sample_dir / "qc.json", qc)
    gates = json.loads((made.work_dir / "gates.json").read_text())
    for gate, text in zip(gates["gates"], HOSTILE, strict=False):
        gate["why"], gate["state"] = text, "insufficient_parent"
    gates["flags"] = [{"code": "GATE_SHIFT_AT_BOUND", "level": "warn", "message": text} for text in HOSTILE]
    write_json(made.work_dir / "gates.json", gates)
    result = json.loads((made.sample_dir / "mrd.json").read_text())
    result["sample"], result["patient"] = HOSTILE[0], "".join(HOSTILE)
    result["targets"]["CD19"]["note"] = "".join(HOSTILE)
    write_json(made.sample_dir / "mrd.json", result)
    return made


def hostile_panel() -> PanelModel:
    """The default panel with dyes, clones and titles that want to break out."""
    panel = ino10()
    texts = cycle(HOSTILE)
    channels = tuple(
        channel.model_copy(update={"fluorochrome": next(texts), "clone": next(texts)}) for channel in panel.channels
    )
    gates = tuple(gate.model_copy(update={"title": next(texts)}) for gate in panel.gates)
    return panel.model_copy(update={"title": "".join(HOSTILE), "channels": channels, "gates": gates})


def test_hostile_text_is_shown_and_does_nothing(tmp_path: Path, open_page: OpenPage) -> None:
    page = open_page(build(hostile_sample(tmp_path), panel=hostile_panel()))
    ready(page)
    settle(page)
    text = page.locator("main").inner_text()
    assert "<script>alert(1)</script>" in text
    assert "{{ 7 * 7 }}" in text
    assert "<script>alert(1)</script>" in page.locator("h1").inner_text()
    assert page.title().startswith("MRD detected")
    assert page.locator("main img, main script, main iframe, main object").count() == 0
    links = page.evaluate("[...document.querySelectorAll('a[href]')].map(a => a.getAttribute('href'))")
    assert all(link.startswith("#") for link in links)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth + 1")
