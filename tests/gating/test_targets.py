"""What is said about CD19 and CD22, and when nothing can be said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flowmrd.config import RunConfig
from flowmrd.config.sheet import PriorTherapy, Role, Sample
from flowmrd.gating.populations import route_names
from flowmrd.gating.shapes import Rectangle
from flowmrd.gating.targets import OTHERS_FACTOR, agreed_b_lineage, assess_target, expected_others
from flowmrd.mrd.quantify import quantify
from flowmrd.mrd.result import MrdResult
from flowmrd.records.base import TargetState
from flowmrd.simulate.leukaemia import Cd19, Therapy
from flowmrd.simulate.populations import AFTER_ANTI_B
from flowmrd.stages.gate import gate
from flowmrd.store import write_columns, write_json
from flowmrd.tube.files import TubeFiles, tube_from_files
from report_factory import classification_record, ingest_record, qc_record

CUT = Rectangle((("CD19", 0.5, None),))


def judged(panel: Any, positive: int, negative: int, **facts: Any) -> TargetState:
    values = np.r_[np.full(positive, 0.7), np.full(negative, 0.3)].astype(np.float32)
    given = {"population": "b_lineage", "scale": None, "normal": None} | facts
    return assess_target("CD19", {"CD19": values}, np.ones(len(values), dtype=bool), CUT, panel, **given)


@pytest.mark.parametrize(
    ("positive", "negative", "status"),
    [(10, 9, "not_evaluable"), (5, 95, "lost"), (50, 50, "dim"), (80, 20, "present")],
)
def test_the_share_above_the_cut_decides_the_status_of_a_target(
    ino10: Any, positive: int, negative: int, status: str
) -> None:
    assert judged(ino10, positive, negative).status == status


def test_cells_without_the_marker_are_no_loss_where_normal_marrow_holds_as_many(ino10: Any) -> None:
    found = judged(ino10, 5, 95, others=100.0)
    assert found.status == "not_evaluable"
    assert "CD19 not assessable" in found.note
    assert judged(ino10, 80, 20, others=100.0).status == "present"
    assert judged(ino10, 5, 120, others=100.0).status == "lost"


def test_a_sum_of_markers_is_no_second_witness(ino10: Any, vienna_b8: Any) -> None:
    for panel, echoes in ((ino10, {"route_weak"}), (vienna_b8, {"route_weak", "route_cd19_dim"})):
        names = route_names(panel.gates)
        for echo in echoes:
            routes = np.array([1 << names.index("route_cd19") | 1 << names.index(echo)], dtype=np.uint8)
            assert not agreed_b_lineage(routes, panel.gates)[0]
        routes = np.array([1 << names.index("route_cd19") | 1 << names.index("route_cd20")], dtype=np.uint8)
        assert agreed_b_lineage(routes, panel.gates)[0]


def test_controls_tell_how_many_other_cells_two_routes_agree_on(reference: Any) -> None:
    shares = [control.fractions["agreed_without_CD19"] for control in reference.controls]
    assert expected_others(reference, "CD19", 1000) == pytest.approx(1000 * OTHERS_FACTOR * max(shares))
    assert expected_others(None, "CD19", 1000) > 0


@pytest.mark.parametrize("mrd", [0, 400])
def test_a_treated_marrow_without_b_cells_is_not_called_cd19_lost_but_its_mrd_cells_are(
    tmp_path: Path, tube: Any, ino10: Any, config: RunConfig, reference: Any, mrd: int
) -> None:
    from flowmrd.simulate.design import leukaemia_of

    disease = {"leukaemia": leukaemia_of(11, "P2"), "level": mrd / 20_000, "therapy": Therapy(cd19=Cd19.LOST)}
    made = tube(84, composition=AFTER_ANTI_B, **(disease if mrd else {}))
    result = quantified(tmp_path, made, ino10, config, reference)
    if mrd:
        assert {entry.population for entry in result.targets.values()} == {"mrd"}
        assert result.targets["CD19"].status == "lost"
        assert result.targets["CD22"].status in {"present", "dim"}
    else:
        assert result.targets == result.targets_b_lineage
        assert result.targets["CD19"].status == "not_evaluable"
    assert {entry.population for entry in result.targets_b_lineage.values()} == {"possible_b_lineage"}


def quantified(folder: Path, made: Any, panel: Any, config: RunConfig, reference: Any) -> MrdResult:
    """Gate and quantify stage of a tube, with the blasts called as the simulator made them."""
    learned = folder / "reference.json"
    write_json(learned, reference.as_record().as_json())
    source = made.write(folder / "preprocessed.arrow")
    gate(
        source, panel=panel, config=config, reference=learned, out=folder / "gated.arrow",
        populations=folder / "populations.tsv", gatingml=folder / "gates.xml", record=folder / "gates.json",
        prior_therapy="cd19",
    )  # fmt: skip
    blasts = np.asarray(made.truth["leukaemic"], dtype=bool)
    write_columns(folder / "classified.arrow", {"mrd": blasts})
    write_json(folder / "ingest.json", ingest_record("S"))
    write_json(folder / "qc.json", qc_record("S", 10, {}))
    write_json(
        folder / "classification.json",
        classification_record("S", mode="none"),
    )
    files = TubeFiles(
        "S",
        *(folder / f"{name}.arrow" for name in ("preprocessed", "gated", "classified")),
        **{name: folder / f"{name}.json" for name in ("classification", "ingest", "gates", "qc")},
    )
    sample = Sample(sample="S", patient="P", role=Role.FOLLOWUP, fcs=Path("s.fcs"), prior_therapy=PriorTherapy.CD19)
    return quantify(tube_from_files(files, panel, config), config, sample=sample)
