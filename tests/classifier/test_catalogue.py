"""Names of compact groups by their place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from flowmrd.classifier.calibration import Calibration
from flowmrd.classifier.candidate_cells import CandidateCells
from flowmrd.classifier.catalogue import _distance_from_sum, anchor_levels, load_catalogue, match_catalogue
from flowmrd.classifier.found_groups import find_groups
from flowmrd.classifier.group_evidence import EvidenceOnGroup, is_normal_population
from flowmrd.classifier.library import Library
from flowmrd.classifier.mixture import Mixture
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.patient_laip import PatientLaip, _without_mature_b
from flowmrd.classifier.searched_phenotypes import SearchedPhenotypes
from flowmrd.classifier.unknown_population import _is_normal
from flowmrd.classifier.window_cells import WindowCells
from flowmrd.errors import ArtefactError
from flowmrd.simulate.populations import MATURATION, NORMAL, SIGNALS, Code

PARAMETERS = ClassifierParameters()
FEATURES = tuple(name for name in SIGNALS if name != "SYTO41")
INDEX = [SIGNALS.index(name) for name in FEATURES]


def level(code: Code) -> np.ndarray:
    return NORMAL[code].mean[INDEX]


ANCHORS = {
    "t_nk": level(Code.T_NK),
    "mature_b": level(Code.MATURE_B),
    "granulocytes": level(Code.NEUTROPHIL),
    "erythroblasts": level(Code.ERYTHROBLAST),
}


def call(mean: np.ndarray, share: float = 1e-4, **more: object) -> tuple[str, bool] | None:
    place = match_catalogue(mean, FEATURES, ANCHORS, PARAMETERS, share=share, **more)  # type: ignore[arg-type]
    return None if place is None else (place.call, place.accepted)


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (Code.PLASMA_CELL, "normal:plasma_cells"),
        (Code.BASOPHIL, "normal:basophils"),
        (Code.PDC, "normal:pdc"),
        (Code.EARLY_PROGENITOR, "normal:early_progenitors_cd24"),
        (Code.MYELOBLAST, "normal:cd34_myeloid_progenitors"),
        (Code.MONOCYTE, "normal:monocytes"),
        (Code.MATURE_B, "normal:mature_b"),
        (Code.T_NK, "normal:t_nk_subset"),
        (Code.NEUTROPHIL, "normal:cd10_granulocytes"),
        (Code.ERYTHROBLAST, "normal:erythroblasts"),
    ],
)
def test_a_group_of_a_normal_population_bears_its_name(code: Code, name: str) -> None:
    assert call(level(code)) == (name, True)


@pytest.mark.parametrize(("knot", "name"), [(0, "haematogones_1"), (2, "haematogones_2"), (3, "haematogones_3")])
def test_haematogones_are_named_and_never_accepted_by_place_alone(knot: int, name: str) -> None:
    mean = np.array([MATURATION[marker][knot] for marker in FEATURES])
    assert call(mean) == (f"normal:{name}", False)


@pytest.mark.parametrize(
    ("code", "off", "known"),
    [
        (Code.NEUTROPHIL, {"SSC-A": 0.6, "CD10": 0.7, "CD45": 0.2}, True),
        (Code.NEUTROPHIL, {"CD34": 0.9}, False),
        (Code.NEUTROPHIL, {"SSC-A": -1.8}, False),
        (Code.ERYTHROBLAST, {"CD45": 0.2, "CD10": 0.2}, True),
        (Code.ERYTHROBLAST, {"CD38": 0.7}, False),
        (Code.ERYTHROBLAST, {"FSC-A": 1.0}, False),
        (Code.ERYTHROBLAST, {"CD45": 0.7}, False),
        (Code.MONOCYTE, {}, False),
        (Code.MYELOBLAST, {}, False),
    ],
)
def test_many_granulocytes_or_erythroblasts_are_no_unknown_population_and_myeloblasts_are_one(
    code: Code, off: dict[str, float], known: bool
) -> None:
    mean = np.array([value + off.get(name, 0.0) for name, value in zip(FEATURES, level(code), strict=True)])
    assert _is_normal(mean, 0.45, FEATURES, ANCHORS, PARAMETERS) is known


def test_cells_without_antigens_are_not_known_as_erythroblasts_after_a_therapy_that_takes_cd19() -> None:
    after = replace(PARAMETERS, unreliable=frozenset({"CD19"}))
    assert not _is_normal(level(Code.ERYTHROBLAST), 0.3, FEATURES, ANCHORS, after)


def test_a_group_larger_than_its_population_ever_is_stays_a_doubt() -> None:
    assert call(level(Code.PLASMA_CELL), share=0.1) == ("normal:plasma_cells", False)


@pytest.mark.parametrize(("brighter", "named"), [(0.9, True), (1.6, False)])
def test_plasma_cells_whose_bright_cd38_spills_into_cd10_are_named_and_cells_with_clear_cd10_are_not(
    brighter: float, named: bool
) -> None:
    mean = level(Code.PLASMA_CELL)
    mean[FEATURES.index("CD10")] = ANCHORS["t_nk"][FEATURES.index("CD10")] + brighter
    assert (call(mean) == ("normal:plasma_cells", True)) is named


@pytest.mark.parametrize(
    ("codes", "share", "in_controls", "normal"),
    [
        ((Code.MATURE_B,), 0.18, "alike", True),
        ((Code.MATURE_B,), 0.18, "as many", True),
        ((Code.MATURE_B,), 0.18, "fewer", False),
        ((Code.MATURE_B,), 0.5, "alike", False),
        ((Code.MATURE_B,), 0.5, "as many", False),
        ((Code.MATURE_B, None), 0.18, "alike", False),
        ((None,), 0.18, "alike", False),
        ((None,), 0.18, "as many", False),
    ],
)
def test_many_mature_b_cells_are_no_heavy_burden_and_leukaemia_among_them_is_one(
    monkeypatch: pytest.MonkeyPatch, codes: tuple[Code | None, ...], share: float, in_controls: str, normal: bool
) -> None:
    leukaemia = np.array([MATURATION[marker][2] for marker in FEATURES])
    means = np.array([leukaemia if code is None else level(code) for code in codes])
    mixture = Mixture(np.full(len(codes), 1.0 / len(codes)), means, np.stack([np.eye(len(FEATURES))] * len(codes)))
    cells = SimpleNamespace(
        features=FEATURES, anchors=ANCHORS, parameters=PARAMETERS, unreliable=frozenset(), shift=np.zeros(len(FEATURES))
    )
    held = np.array([0.001, 0.95 * share if in_controls == "as many" else 0.002])
    monkeypatch.setattr("flowmrd.classifier.group_evidence.like_normal", lambda *_: in_controls == "alike")
    monkeypatch.setattr("flowmrd.classifier.group_evidence.shares_in_place", lambda *_: held)
    assert is_normal_population(mixture, share, cast(WindowCells, cells), []) is normal


def test_mature_b_cells_beside_a_leukaemia_are_no_part_of_its_phenotype() -> None:
    leukaemia = np.array([MATURATION[marker][2] for marker in FEATURES])
    tube = cast(CandidateCells, SimpleNamespace(features=FEATURES))

    def learned(means: list[np.ndarray], weights: list[float]) -> tuple[int, float]:
        mixture = Mixture(np.array(weights), np.stack(means), np.stack([np.eye(len(FEATURES))] * len(means)))
        laip, share = _without_mature_b(mixture, 0.6, tube, ANCHORS, PARAMETERS)
        return laip.k, round(share, 6)

    assert learned([leukaemia, level(Code.MATURE_B)], [0.75, 0.25]) == (1, 0.45)
    assert learned([level(Code.MATURE_B)], [1.0]) == (1, 0.6), "nothing else was found"
    assert learned([leukaemia], [1.0]) == (1, 0.6)


def test_a_heavy_burden_where_no_leukaemia_lies_is_a_question(monkeypatch: pytest.MonkeyPatch) -> None:
    module = "flowmrd.classifier.found_groups"
    monkeypatch.setattr(f"{module}.like_normal", lambda *_: False)
    monkeypatch.setattr(f"{module}.weigh_mixture", lambda *_: EvidenceOnGroup(0.5))
    cells = cast(
        WindowCells,
        SimpleNamespace(features=FEATURES, anchors=ANCHORS, parameters=PARAMETERS, unreliable=frozenset()),
    )

    def counted(mean: np.ndarray) -> bool:
        mixture = Mixture(np.ones(1), mean[None], np.eye(len(FEATURES))[None])
        burden = cast(PatientLaip, SimpleNamespace(mixture=mixture, share=0.04, n_cells=8000))
        found = find_groups(
            SearchedPhenotypes(None, Library(()), PARAMETERS),
            cells,
            cast(Calibration, SimpleNamespace(cut=2.0)),
            burden=burden,
        )
        assert len(found.counted) + len(found.uncounted) == 1
        return bool(found.counted)

    assert not counted(level(Code.MYELOBLAST))
    assert counted(np.array([MATURATION[marker][2] for marker in FEATURES]))


def test_cd19_negative_progenitors_are_a_doubt_after_therapy_against_cd19_only() -> None:
    mean = level(Code.EARLY_PROGENITOR)
    assert call(mean, unreliable=frozenset({"CD19"})) == ("normal:early_progenitors_cd24", False)
    after_cd22 = call(mean, unreliable=frozenset({"CD22"}))
    assert after_cd22 is not None
    assert after_cd22[1]


def test_a_population_whose_marker_therapy_hides_keeps_its_name() -> None:
    mean = level(Code.EARLY_PROGENITOR)
    mean[FEATURES.index("CD22")] = ANCHORS["t_nk"][FEATURES.index("CD22")]
    found = call(mean, unreliable=frozenset({"CD22"}))
    assert found is not None
    assert found[1]
    assert found[0].startswith("normal:early_progenitors")


def test_a_leukaemia_has_no_place_in_the_catalogue() -> None:
    blast = level(Code.MATURE_B)
    for marker, value in {"CD10": 3.8, "CD20": 1.1, "CD45": 2.2, "CD34": 2.2, "CD58": 2.6, "CD38": 1.8}.items():
        blast[FEATURES.index(marker)] = value
    assert call(blast) is None


def test_two_cells_measured_as_one_are_named_as_a_doublet() -> None:
    mean = np.log10(10 ** ANCHORS["mature_b"] + 10 ** ANCHORS["t_nk"])
    for marker in ("FSC-A", "SSC-A"):
        column = FEATURES.index(marker)
        mean[column] = ANCHORS["mature_b"][column] + ANCHORS["t_nk"][column]
    place = match_catalogue(mean, FEATURES, {k: ANCHORS[k] for k in ("t_nk", "mature_b")}, PARAMETERS, share=1e-4)
    assert place is not None
    assert place.call in {"artefact:doublets_b_t", "normal:mature_b"}
    small = mean.copy()
    small[FEATURES.index("FSC-A")] = 0.9
    single = match_catalogue(small, FEATURES, ANCHORS, PARAMETERS, share=1e-4)
    assert single is None or not single.call.startswith("artefact:doublets")


def test_a_doublet_lies_where_it_lies_whichever_of_its_two_cells_is_named_first() -> None:
    anchors = {name: ANCHORS[name].copy() for name in ("t_nk", "mature_b")}
    dim = FEATURES.index("CD10")
    anchors["mature_b"][dim], anchors["t_nk"][dim] = -0.1, 0.3
    mean = np.log10(10 ** anchors["mature_b"] + 10 ** anchors["t_nk"])
    mean[dim] = 0.3
    for marker in ("FSC-A", "SSC-A"):
        column = FEATURES.index(marker)
        mean[column] = anchors["mature_b"][column] + anchors["t_nk"][column]
    one, other = (
        _distance_from_sum(cells, mean, FEATURES, anchors, PARAMETERS)
        for cells in (("mature_b", "t_nk"), ("t_nk", "mature_b"))
    )
    assert one is not None
    assert one == other


def test_a_panel_without_the_telling_marker_gives_no_name() -> None:
    features = tuple(name for name in FEATURES if name != "CD22")
    keep = [FEATURES.index(name) for name in features]
    anchors = {name: levels[keep] for name, levels in ANCHORS.items()}
    place = match_catalogue(level(Code.BASOPHIL)[keep], features, anchors, PARAMETERS, share=1e-4)
    assert place is None or "basophils" not in place.call


@pytest.mark.parametrize(("size", "cd10", "expected"), [(-0.9, 1.0, True), (0.2, 1.0, False), (-0.9, 2.4, False)])
def test_without_cd66b_small_granular_cells_alike_in_every_antigen_are_dying_and_larger_or_distinct_ones_are_not(
    size: float, cd10: float, expected: bool
) -> None:
    features = tuple(name for name in FEATURES if name not in {"CD66b", "CD22", "CD24"})
    keep = [FEATURES.index(name) for name in features]
    anchors = {name: levels[keep] for name, levels in ANCHORS.items()}
    raised = {"CD45": -1.5, "FSC-A": size, "SSC-A": 0.4, "CD10": cd10}
    mean = anchors["t_nk"] + np.array([raised.get(name, 1.0) for name in features])
    place = match_catalogue(mean, features, anchors, PARAMETERS, share=2e-3)
    assert (place is not None and place.call == "artefact:small_dying_cells" and place.accepted) is expected


def test_anchors_are_the_tubes_own_cells_where_it_holds_enough() -> None:
    values = np.repeat([[1.0], [3.0]], 200, axis=0).astype(np.float32)
    tube = CandidateCells(
        "a", ("CD19",), values, np.zeros(400, dtype=bool), 400,
        population=np.repeat([0, 1], [200, 200]).astype(np.int16), populations=("t_nk", "mature_b"),
    )  # fmt: skip
    found = anchor_levels(tube, PARAMETERS, expected={"mature_b": np.array([2.5]), "granulocytes": np.array([1.4])})
    assert found["mature_b"] == pytest.approx([3.0])
    assert found["granulocytes"] == pytest.approx([1.4])


def test_a_catalogue_with_an_unknown_anchor_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "populations.yaml"
    path.write_text(
        "version: 1\nartefacts: []\npopulations:\n"
        "  - {name: x, title: X, place: {CD19: [t_cells, 0, 1]}, needs: [CD19], most: [1, 1],\n"
        "     accepted: never, source: s}\n"
    )
    with pytest.raises(ArtefactError, match="t_cells"):
        load_catalogue(path)


def test_every_entry_of_the_catalogue_names_its_source() -> None:
    known = load_catalogue()
    assert all(entry.source for entry in (*known.populations, *known.artefacts))
    assert known.entry("normal:plasma_cells") is not None
    assert known.entry("counted") is None
