"""A diagnosis tube that cannot be evaluated teaches no phenotype, and the patient's other tubes say so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from laip_marrow import marrow

from flowmrd.classifier import laip_of_tubes
from flowmrd.classifier.judge_tube import _of_diagnosis
from flowmrd.classifier.laip_of_tubes import FoundLaip, find_laip
from flowmrd.classifier.normal_reference import ReferenceModel
from flowmrd.classifier.tube_candidates import TubeCandidates
from flowmrd.config import RunConfig
from flowmrd.flags import Effect, flag
from flowmrd.home import PANELS
from flowmrd.panel import load_panel
from flowmrd.records.base import FlagEntry
from flowmrd.records.quality import QualityFile
from flowmrd.tube import Tube

SCALE = flag("SCALE_OF_ANOTHER_INSTRUMENT", own=1_048_576, controls=262_144, share=0.2)
REMARK = flag("RANGE_NOT_SOUND", channels="CD19", top=262_144)
CONFIG = RunConfig(panel="vienna_b8", samples="")


def diagnosis(name: str, *flags: str) -> Tube:
    """A tube without events whose quality says these things."""
    known = {SCALE.code: SCALE, REMARK.code: REMARK}
    facts: dict[str, Any] = {"flags": tuple(FlagEntry.of(known[code]) for code in flags)}
    quality = QualityFile.model_construct(**facts)
    return Tube(name, load_panel(PANELS / "vienna_b8.yaml"), qc=quality)


@pytest.fixture
def blasts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every tube holds the cells of a marrow with 12,000 blasts."""
    cells = marrow("dx", 50, blasts=12_000)[0]
    rows = np.arange(len(cells.values))
    monkeypatch.setattr(laip_of_tubes, "candidates", lambda tube: TubeCandidates(cells, rows, rows[:0]))
    monkeypatch.setattr(laip_of_tubes, "seen_without", lambda tube, rows: None)


def test_a_tube_of_another_instrument_gives_no_phenotype_and_forbids_a_negative(
    reference: ReferenceModel, blasts: None
) -> None:
    assert find_laip("p", [diagnosis("dx", REMARK.code)], reference).laip is not None
    found = find_laip("p", [diagnosis("dx", SCALE.code)], reference)
    assert found.laip is None
    (left,) = _of_diagnosis(found, CONFIG, none_found=True)
    assert (left.code, left.effect) == ("DIAGNOSIS_NOT_EVALUABLE", Effect.NO_NEGATIVE)
    assert "dx" in left.message
    assert SCALE.code in left.message


def test_the_earlier_sound_tube_is_learned_from_instead(reference: ReferenceModel, blasts: None) -> None:
    found = find_laip("p", [diagnosis("first"), diagnosis("last", SCALE.code)], reference)
    assert found.laip is not None
    assert found.diagnosis == "first"
    assert [item.code for item in _of_diagnosis(found, CONFIG, none_found=False)] == ["DIAGNOSIS_TUBE_LEFT_OUT"]
    nothing = replace(found, laip=None)
    codes = [item.code for item in _of_diagnosis(nothing, CONFIG, none_found=True)]
    assert codes == ["DIAGNOSIS_TUBE_LEFT_OUT", "NO_LAIP"]


def test_a_search_without_phenotype_says_so() -> None:
    assert [item.code for item in _of_diagnosis(FoundLaip(None), CONFIG, none_found=True)] == ["NO_LAIP"]
    assert _of_diagnosis(FoundLaip(None), CONFIG, none_found=False) == []
