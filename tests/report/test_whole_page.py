"""The whole page of a tube, for every class of answer and every flag: no two of its statements disagree."""

from __future__ import annotations

import html
import re
from string import Formatter

import pytest
from test_one_truth import of_class

from flowmrd.flags import REGISTRY, Effect, Flag
from flowmrd.home import PANELS
from flowmrd.mrd.result import MRD_NEGATIVE_OF, MrdResult, VerdictClass
from flowmrd.panel.load import load_panel
from flowmrd.records.quality import QualityFile
from flowmrd.report.page import environment
from flowmrd.report.page_inputs import PageInputs
from flowmrd.report.plotly_script import SharedScript
from flowmrd.report.sample_page import build_page
from flowmrd.store import read_json
from flowmrd.tube import Tube
from flowmrd.tube.files import TubeFiles, tube_from_files
from report_factory import MadeSample, config, make_result, make_sample

NOT_DETECTED = r"MRD not detected: |Below the limit of detection: "
SIGN = r"then sign\b"
DISAGREE = (
    (NOT_DETECTED, r"MRD detected: |MRD failure|intermediate \(positive|form one cluster away from normal precursors"),
    (NOT_DETECTED, r"Report as not evaluable|Do not report this tube as negative|no result"),
    (NOT_DETECTED, r"Sensitivity check (✕ not passed|! by number)|Trial endpoint MRD < [^:]*: no"),
    (r"MRD detected: ", r"MRD not detected|Below the limit of detection: |No cluster of MRD events was found"),
    (r"MRD detected: ", r"complete MRD response|Report as not evaluable|plots, then sign|no result"),
    (r"sensitivity insufficient: ", r"Sensitivity check ✓ passed|complete MRD response|MRD failure|" + SIGN),
    (
        r"Not answered: |Not evaluable",
        r"complete MRD response|MRD failure|intermediate \(|Trial endpoint [^:]*: (yes|no\b)",
    ),
    (r"Not answered: |Not evaluable", NOT_DETECTED + "|MRD detected: |" + SIGN),
    (r"may have been overlooked", r"Sensitivity check ✓ passed"),
    (
        r"(Control|Odd control): ",
        r"Trial endpoint|ELN 2024: |may have been overlooked|more nucleated events|MRD of nucl",
    ),
    (r"(Control|Odd control): ", r"Sensitivity check|" + SIGN),
    (r"Leukaemia at diagnosis: |Diagnosis: ", r"Trial endpoint|ELN 2024: |Sensitivity check|more nucleated events"),
    (r"Leukaemia at diagnosis: |Diagnosis: ", NOT_DETECTED + r"|may have been overlooked"),
)
"""First statement, and what a page that says it must not say."""
ONE_UNIT = re.compile(r"(?<![\w.#-])\d(?:\.\d+)?e[-−]\d+|interval 0\.0\d+ to|threshold 0\.0\d+(?! ?%)")
"""A level in another unit than per cent with the power of ten in brackets."""


TEMPLATES = environment()


class Anything:
    """A value for any place of a sentence, however it is formatted."""

    def __format__(self, _: str) -> str:
        """Some number."""
        return "7"


def said(code: str) -> Flag:
    """A flag with its own sentence."""
    sentence = REGISTRY[code].sentence
    names = {name for _, name, _, _ in Formatter().parse(sentence) if name}
    return Flag(code, sentence.format(**dict.fromkeys(names, Anything())))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[MadeSample, Tube]:
    """A small tube whose page is quick to make."""
    made = make_sample(tmp_path_factory.mktemp("whole"), n=1200, blasts=20)
    work = made.work_dir
    files = TubeFiles(made.sample, work / "preprocessed.arrow", work / "gated.arrow", work / "classified.arrow")
    return made, tube_from_files(files, load_panel(PANELS / "ino10.yaml"), config())


@pytest.fixture(autouse=True)
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plots say nothing here; they and the compiling of templates, which is done once, take most of the time."""
    monkeypatch.setattr("flowmrd.report.page.environment", lambda: TEMPLATES)
    monkeypatch.setattr("flowmrd.report.sample_page.gate_views", lambda *_: [])
    monkeypatch.setattr("flowmrd.report.sample_page.mrd_views", lambda *_: [])
    monkeypatch.setattr("flowmrd.report.sample_page.threshold_figures", lambda *_: [])


def text_of(small: tuple[MadeSample, Tube], result: MrdResult) -> str:
    """What the page of a result says, in one line."""
    made, tube = small
    panel = load_panel(PANELS / "ino10.yaml").model_copy(update={"standard_plots": ()})
    quality = QualityFile.model_validate(read_json(made.sample_dir / "qc.json"))
    page = build_page(
        PageInputs(result, "f" * 64, panel, config(), qc=quality, shared_script=SharedScript("plotly.js")), tube
    ).html
    body = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body)).split())


def wrong(text: str) -> list[str]:
    """Statements of a page that disagree, and levels in another unit."""
    found = [f"{first} / {hit.group()}" for first, second in DISAGREE
             if re.search(first, text) and (hit := re.search(second, text))]  # fmt: skip
    return found + ONE_UNIT.findall(text)


def test_no_two_statements_of_a_page_disagree_for_any_class_with_every_remark_at_once(
    small: tuple[MadeSample, Tube],
) -> None:
    found = {}
    remarks = [code for code, kind in REGISTRY.items() if "reasons" in kind.places and kind.effect is Effect.REMARK]
    for kind in VerdictClass:
        for negative in MRD_NEGATIVE_OF[kind]:
            for role in ("control",) if kind.value.startswith("CONTROL") else ("followup", "diagnosis"):
                flags = tuple(said(code) for code in remarks if role in REGISTRY[code].roles)
                if mistakes := wrong(text_of(small, of_class(kind, negative, flags, role))):
                    found[kind.value, negative, role] = mistakes
    assert found == {}


BY_EFFECT = {
    Effect.FAILURE: "failures", Effect.DOUBT: "doubts", Effect.NO_POSITIVE: "not_positive",
    Effect.NO_NEGATIVE: "blind_spots", Effect.NOT_SENSITIVE: "not_sensitive", Effect.ODD: "oddities",
}  # fmt: skip


@pytest.mark.parametrize("effect", list(BY_EFFECT))
def test_no_two_statements_of_a_page_disagree_whichever_flag_decides(
    small: tuple[MadeSample, Tube], effect: Effect
) -> None:
    found = {}
    for code, kind in REGISTRY.items():
        if kind.effect is not effect:
            continue
        for role in sorted(kind.roles):
            # Cells that are detected in one tube and none in the next, so that a flag of either side decides.
            events = 400 if effect is Effect.NO_POSITIVE else 0
            result = make_result(
                "P01_d21", mrd=events, nucleated=1_000_000, role=role, further={BY_EFFECT[effect]: (said(code),)}
            )
            if mistakes := wrong(text_of(small, result)):
                found[code, role] = mistakes
    assert found == {}


@pytest.mark.parametrize("events", [0, 11, 30, 60, 100, 120, 400])
@pytest.mark.parametrize("nucleated", [100_000, 1_000_000])
def test_a_page_without_any_flag_says_one_thing_in_one_unit(
    small: tuple[MadeSample, Tube], events: int, nucleated: int
) -> None:
    assert wrong(text_of(small, make_result("P01_d21", mrd=events, nucleated=nucleated))) == []


def test_statements_that_contradict_each_other_would_be_found() -> None:
    assert wrong("MRD not detected: < 0.0028 % Sensitivity check ✕ not passed")
    assert wrong("95 % interval 0.0001 to 0.0002")
    assert wrong("a limit of detection of 9.3e-05")
    assert not wrong("MRD detected: 0.095 % 95 % interval 0.09 % to 0.1 % (10⁻³)")
