"""The pages of ``flowmrd compare`` and ``flowmrd panel show``: languages, labels and access."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from test_language import NAMES, OTHERS, half_translated, listed

from browser import OpenPage, labels_cut_off, violations
from flowmrd.cli.app import call
from flowmrd.compare.comparison import compare_methods
from flowmrd.compare.measurement import MeasuredPair, Measurement
from flowmrd.home import PANELS
from flowmrd.panel import load_panel
from flowmrd.report.comparison import render
from flowmrd.report.language import Language, language
from flowmrd.report.panel_page import panel_page
from flowmrd.simulate.cohort import write_tube
from flowmrd.simulate.tube import TubeSpec, simulate_tube


def compared(n: int = 12) -> str:
    """The page of invented pairs, some below a limit and some on either side of a threshold."""
    pairs = [
        MeasuredPair(
            f"S{k:02d}",
            Measurement(10 ** -(1 + k / 3)) if k % 4 else Measurement(0.0, 7e-5),
            Measurement(2 * 10 ** -(1 + k / 3)) if k % 5 else Measurement(0.0, 2e-5 if k else None),
        )
        for k in range(n)
    ]
    found = compare_methods(pairs, first="flowmrd", second="PCR", without_partner=["S77"])
    return render(found, links={"S01": "x.html"}, version="0.1")


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both pages in each language, as the commands write them."""
    folder = tmp_path_factory.mktemp("methods")
    tube = folder / "T1.fcs"
    write_tube(tube, simulate_tube(TubeSpec(8_000, person_seed=3), load_panel("ino10"), 3))
    (folder / "both.tsv").write_text("key\tone\ttwo\n" + "".join(f"S{k}\t1e-{k}\t2e-{k}\n" for k in range(1, 7)))
    pages = {}
    for code in ("en", *OTHERS):
        page = folder / f"panel-{code}.html"
        assert call(["panel", "show", "ino10", str(tube), "-o", str(page), "--language", code]) == 0
        pages[f"panel-{code}"] = page
        out = folder / f"compare-{code}"
        table = ["compare", str(folder / "both.tsv"), "--first-level", "one", "--second-level", "two", "--key", "key"]
        assert call([*table, "-o", str(out), "--language", code]) == 0
        pages[f"compare-{code}"] = out / "index.html"
    return pages


def test_events_that_no_gate_holds_together_are_called_by_words(shown: dict[str, Path]) -> None:
    """The page said "61,000 events of root"."""
    text = re.sub(r"<[^>]+>", " ", shown["panel-en"].read_text(encoding="utf-8"))
    assert "of root" not in text
    assert re.search(r"\d events, [\d.]+\s%\sof\sall\sanalysable events", text)
    for code in OTHERS:
        assert not re.search(
            r"(?<![:\w])root\b", re.sub(r"<[^>]+>", " ", shown[f"panel-{code}"].read_text(encoding="utf-8"))
        )


@pytest.mark.parametrize("code", OTHERS)
def test_every_text_of_both_pages_has_a_translation(shown: dict[str, Path], code: str) -> None:
    fresh = Language(code, language(code).catalogue)
    english = [compared(), compared(2), shown["panel-en"].read_text(encoding="utf-8")]
    english += [panel_page(load_panel(path), None) for path in sorted(PANELS.glob("*.yaml"))]
    for page in map(fresh.page, english):
        assert half_translated(page) == []
    assert listed(code, (text for text in fresh.missing if not NAMES.fullmatch(text))) == []
    for kind in ("panel", "compare"):
        assert shown[f"{kind}-{code}"].read_text(encoding="utf-8").count(f'<html lang="{code}">') == 1


def test_a_gate_is_named_as_the_panel_file_names_it_in_every_language(shown: dict[str, Path]) -> None:
    names = [f"<code>{gate.name}</code>" for gate in load_panel("ino10").gates]
    english, *others = (shown[f"panel-{code}"].read_text(encoding="utf-8") for code in ("en", *OTHERS))
    for name in names:
        assert english.count(name) >= 1
        assert [page.count(name) for page in others] == [english.count(name)] * len(others), name


def test_a_comparison_of_a_run_speaks_the_language_of_the_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "results/cohort").mkdir(parents=True)
    (run / "results/cohort/mrd.tsv").write_text(
        "sample\trole\tverdict\tdenominator\tnucleated\tfraction\tlod95\nA\tfollowup\tPOSITIVE\tnucleated\t400000\t0.001\t7e-05\n"
    )
    (run / "config").mkdir()
    (run / "config/config.yaml").write_text("panel: ino10\nsamples: config/samples.tsv\nreport: {language: de}\n")
    (tmp_path / "pcr.csv").write_text("sample;mrd\nA;0,12 %\n")
    assert call(["compare", str(run), "--with", str(tmp_path / "pcr.csv")]) == 0
    page = run / "results/compare/index.html"
    assert "Vergleich zweier Verfahren" in page.read_text(encoding="utf-8")
    assert call(["compare", str(run), "--with", str(tmp_path / "pcr.csv"), "--language", "en"]) == 0
    assert "Comparison of two methods" in page.read_text(encoding="utf-8")


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["panel-en", "panel-de", "compare-en", "compare-zh"])
def test_axe_finds_no_violation_and_no_label_is_cut_off(
    shown: dict[str, Path], open_page: OpenPage, axe: str, name: str, scheme: str
) -> None:
    page = open_page(shown[name], color_scheme=scheme, bypass_csp=True)
    assert labels_cut_off(page) == []
    assert violations(page, axe) == []
