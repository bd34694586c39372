"""A panel designer's way without Python: draft a panel from tubes, look at it on a tube, see what a marker costs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from flowmrd.classifier.mixture import Mixture
from flowmrd.classifier.normal_model import NormalModel
from flowmrd.classifier.separable_kinds import KINDS, separable_kinds
from flowmrd.cli.app import call
from flowmrd.home import PANELS
from flowmrd.panel import PanelModel, load_panel
from flowmrd.panel.describe import ordered, tree_lines
from flowmrd.panel.draft import DraftPanel, draft_panel
from flowmrd.simulate.cohort import write_tube
from flowmrd.simulate.tube import TubeSpec, simulate_tube

SCATTER = [("FSC-A", ""), ("FSC-H", ""), ("SSC-A", ""), ("Time", "")]
INO = [
    ("FITC-A", "CD66b"), ("PE-A", "CD22 PE"), ("PE-CF594-A", "CD24"), ("PerCP-Cy5-5-A", "CD34"), ("PE-Cy7-A", "CD19"),
    ("APC-A", "CD10"), ("APC-R700-A", "CD38"), ("APC-H7-A", "CD20"), ("BV421-A", "CD58"), ("V500-A", "CD45"),
]  # fmt: skip


@pytest.fixture(scope="module")
def shipped() -> list[PanelModel]:
    return [load_panel(path) for path in sorted(PANELS.glob("*.yaml"))]


@pytest.fixture(scope="module")
def tube(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tube") / "T1.fcs"
    write_tube(path, simulate_tube(TubeSpec(8_000, person_seed=3), load_panel("ino10"), 3))
    return path


def loaded(draft: DraftPanel, folder: Path) -> PanelModel:
    (folder / "mine.yaml").write_text(draft.text)
    return load_panel(folder / "mine.yaml")


def test_a_draft_has_the_gates_of_the_nearest_panel_and_the_detectors_of_the_tubes(
    shipped: list[PanelModel], tmp_path: Path
) -> None:
    panel = loaded(draft_panel("mine", [[*SCATTER, *INO]], shipped), tmp_path)
    assert [gate.name for gate in panel.gates] == [gate.name for gate in load_panel("ino10").gates]
    assert panel.channel("CD38").fluorochrome == "APC-R700"
    assert panel.channel("CD38").detectors == (r"^APC\-R700(-A)?$",)


def test_without_cd66b_the_nearest_panel_is_one_that_tells_granulocytes_without_it(
    shipped: list[PanelModel], tmp_path: Path
) -> None:
    draft = draft_panel("mine", [[*SCATTER, *INO[1:]]], shipped)
    assert draft.base.startswith("euroflow12")
    panel = loaded(draft, tmp_path)
    assert {"granulocytes", "t_nk", "route_cd22", "route_cd24", "mononuclear"} <= {gate.name for gate in panel.gates}
    assert any("in no tube: CD81" in note for note in draft.notes)


def test_markers_and_dyes_that_no_shipped_panel_has_become_channels(shipped: list[PanelModel], tmp_path: Path) -> None:
    labels = [*SCATTER, ("FL1 INT", "CD58 FITC"), ("FL2 INT", "CD10 PE"), ("FL3 INT", "CD34 ECD"), ("FL5 INT", "CD19"),
              ("FL6 INT", "CD38 APC"), ("FL8 INT", "CD20 AA750"), ("FL9 INT", "SYTO16"), ("FL10 INT", "CD45 KrO"),
              ("FL4 INT", "CD371 PC5.5"), ("FL7 INT", "Jane Doe")]  # fmt: skip
    draft = draft_panel("mine", [labels], shipped)
    panel = loaded(draft, tmp_path)
    assert draft.base == "vienna_b8"
    assert panel.channel("SYTO41").aliases == ("SYTO16",)
    assert panel.channel("CD371").feature
    assert any("channel 14 of 14" in note and "add it by hand" in note for note in draft.notes)
    assert "Doe" not in draft.text


def labels_of(*markers: str) -> list[tuple[str, str]]:
    """Labels of a tube with these colours; the detectors name no dye."""
    return [*SCATTER, *((f"FL{number} INT", marker) for number, marker in enumerate(markers, start=1))]


def test_a_draft_keeps_every_marker_that_gates_of_a_shipped_panel_know(
    shipped: list[PanelModel], tmp_path: Path
) -> None:
    """Without CD66b and a dye, cog6_1 lacks no marker, but knows neither CD34 nor CD22."""
    markers = ("CD58", "CD10", "CD34", "CD19", "CD22", "CD20", "CD38", "CD123", "CD45", "CD3")
    draft = draft_panel("mine", [labels_of(*markers)], shipped)
    panel = loaded(draft, tmp_path)
    assert {"route_cd22", "route_precursor", "cd34_pos"} <= {gate.name for gate in panel.gates}
    assert [note.split(":")[0] for note in draft.notes if "no gate looks at it" in note] == ["CD58", "CD123", "CD3"]


def test_a_draft_with_a_nucleic_acid_dye_has_its_gates_and_the_ways_in_by_cd22_and_cd24(
    shipped: list[PanelModel], tmp_path: Path
) -> None:
    markers = ("CD58", "CD10", "CD34", "CD19", "CD22", "CD20", "CD38", "SYTO41", "CD45", "CD24")
    draft = draft_panel("mine", [labels_of(*markers)], shipped)
    panel = loaded(draft, tmp_path)
    gates = {gate.name: gate for gate in panel.gates}
    assert {"dye_pos", "route_cd22", "route_cd24", "route_cd19"} <= set(gates)
    assert {"route_cd22", "route_cd24"} <= set(gates["possible_b_lineage"].references())
    assert gates["route_cd22"].parent == gates["route_cd19"].parent
    assert panel.channel("CD22").masked_by == ("cd22",)
    assert any("CD22 and CD24: gates of euroflow12_1" in note for note in draft.notes)
    assert not any("CD22: no gate" in note for note in draft.notes)


@pytest.mark.parametrize("absent", ["CD34", "CD20", "CD38"])
def test_a_tube_without_one_marker_keeps_the_dye_and_all_gates_that_rest_on_others(
    shipped: list[PanelModel], tmp_path: Path, absent: str
) -> None:
    markers = ("CD20", "CD10", "CD45", "CD34", "SYTO41", "CD19", "CD38")
    draft = draft_panel("mine", [labels_of(*(one for one in markers if one != absent))], shipped)
    assert draft.base == "vienna_b8"
    kept = {"nucleated", "dye_pos", "mononuclear", "erythroblasts", "granulocytes", "t_nk", "route_cd19"}
    assert kept <= {gate.name for gate in loaded(draft, tmp_path).gates}


def test_a_marker_that_some_tubes_lack_is_optional_in_the_draft(shipped: list[PanelModel], tmp_path: Path) -> None:
    fewer = [name for name in INO if name[1] != "CD58"]
    draft = draft_panel("mine", [[*SCATTER, *INO], [*SCATTER, *fewer]], shipped)
    assert not loaded(draft, tmp_path).channel("CD58").required


def test_what_a_draft_lacks_is_reported_and_the_command_says_that_it_is_no_panel_yet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from flowmrd.fcs.writer import ChannelSpec, write_fcs

    names = [("FSC-A", ""), ("SSC-A", ""), ("FITC-A", "CD3"), ("PE-A", "CD19")]
    values = [np.ones(2, dtype=np.float32)] * 4
    write_fcs(tmp_path / "t.fcs", values, [ChannelSpec(pnn, pns, 262144) for pnn, pns in names], {})
    assert call(["panel", "new", "--from", str(tmp_path), "--name", "two", "-o", str(tmp_path)]) == 2
    said = capsys.readouterr().out
    assert "draft: routes into the B lineage of cog6_1 that these tubes cannot have" in said
    assert "error: " in said
    assert call(["panel", "new", "--from", str(tmp_path), "--name", "two", "-o", str(tmp_path)]) == 2
    assert "a file of this name" in capsys.readouterr().err


def test_a_drafted_panel_passes_its_check_with_the_tubes_it_was_made_of(
    tube: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["panel", "new", "--from", str(tube.parent), "--name", "lab10", "-o", str(tmp_path)]) == 0
    assert "gates of ino10, from 1 tube" in capsys.readouterr().out


def test_show_prints_every_gate_and_draws_it_on_the_tube_without_network(
    tube: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "gates.html"
    assert call(["panel", "show", "ino10", str(tube), "-o", str(page)]) == 0
    said, html = capsys.readouterr().out, page.read_text()
    for gate in load_panel("ino10").gates:
        assert f"{gate.name}" in said
        assert f"<code>{gate.name}</code>" in html
    assert " of nucleated]" in said
    assert html.count('id="plot-') > 8
    assert "http://" not in html.replace("http://www.w3.org/2000/svg", "")
    assert "connect-src &#39;none&#39;" in html


def test_the_tree_shows_children_below_their_parents() -> None:
    gates = load_panel("vienna_b8").gates
    depth = {gate.name: at for at, gate in ordered(gates)}
    assert all(gate.parent == "root" or depth[gate.name] == depth[gate.parent] + 1 for gate in gates)
    assert len(tree_lines(gates)) == len(gates)


def test_inspect_shows_which_channel_would_be_which_marker(tube: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["inspect", str(tube), "--panel", "ino10", "--json"]) == 0
    (facts,) = json.loads(capsys.readouterr().out)["data_sets"]
    assert {c["pnn"]: c["marker"] for c in facts["channels"]}["PE-A"] == "CD22"
    assert facts["panel"]["problem"] is None
    assert call(["inspect", str(tube), "--panel", "cog6_2"]) == 2
    said = capsys.readouterr().out
    assert "does not fit cog6_2: no CD9" in said
    assert "CD19         $PnS" in said


def test_a_marker_that_parts_leukaemia_from_normal_cells_costs_kinds_and_another_does_not() -> None:
    features = ("FSC-A", "SSC-A", "CD19", "CD10", "CD38")
    centre = np.array([1.3, 0.4, 2.9, 1.2, 1.8])
    covariance = np.diag([0.2, 0.2, 0.2, 0.2, 3.0])[None] ** 2
    one = np.ones(1)
    model = NormalModel(
        features, Mixture(one, centre[None], covariance), np.zeros((1, 5)), one, np.ones(1, dtype=np.bool_), centre
    )
    found = separable_kinds(model)
    assert found.tried == KINDS
    assert set(found.without) == {"CD19", "CD10", "CD38"}
    assert found.without["CD10"] < found.with_all
    assert found.without["CD38"] >= found.with_all - 2


def written(path: Path, tube: Path, **changed: str) -> Path:
    """A copy of a tube without its spillover matrix, with other keywords."""
    from flowmrd.fcs.reader import read_fcs
    from flowmrd.fcs.writer import ChannelSpec, write_fcs

    (whole,) = read_fcs(tube)
    columns = list(whole.raw())
    channels = [ChannelSpec(one.pnn or "", one.pns or "", 262144) for one in whole.channels]
    write_fcs(path, columns, channels, {"$CYT": "simulator", "$TIMESTEP": "0.01"} | changed)
    return path


def test_what_several_tubes_show_is_said_once(tube: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder of thirteen tubes gave 250 notes, sixteen of each tube the same bounds."""
    (tmp_path / "tubes").mkdir()
    for name in ("a", "b", "c"):
        (tmp_path / "tubes" / f"{name}.fcs").write_bytes(tube.read_bytes())
    assert call(["panel", "new", "--from", str(tmp_path / "tubes"), "--name", "lab10", "-o", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert said.count("cd34_pos on CD34: ") == 1
    assert "a.fcs and 2 more: cd34_pos on CD34: " in said
    for name in ("a", "b", "c"):
        written(tmp_path / "tubes" / f"{name}.fcs", tube)
    assert call(["panel", "check", str(tmp_path / "lab10.yaml"), *words(tmp_path / "tubes")]) == 2
    said = capsys.readouterr().out
    assert said.count("no spillover matrix in the file") == 1
    assert "a.fcs and 2 more: no spillover matrix" in said


def words(folder: Path) -> list[str]:
    return [word for path in sorted(folder.iterdir()) for word in ("--tubes", str(path))]


def test_a_tube_without_a_matrix_is_checked_and_shown_with_the_one_that_is_given(
    tube: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from flowmrd.simulate.cytometer import build_cytometer

    bare = written(tmp_path / "bare.fcs", tube)
    cytometer = build_cytometer(load_panel("ino10"))
    names = [detector.pnn for detector in cytometer.fluorescence]
    rows = [",".join([name, *(f"{x:.6g}" for x in row)]) for name, row in zip(names, cytometer.spill, strict=True)]
    table = tmp_path / "matrix.csv"
    table.write_text("\n".join([",".join(["", *names]), *rows]) + "\n")
    assert call(["panel", "check", "ino10", "--tubes", str(bare)]) == 2
    assert "--spillover" in capsys.readouterr().out
    assert call(["panel", "check", "ino10", "--tubes", str(bare), "--spillover", str(table)]) == 0
    assert "shares of all events: singlets" in capsys.readouterr().out
    assert call(["panel", "show", "ino10", str(bare), "--spillover", str(table), "-o", str(tmp_path / "p.html")]) == 0
    assert call(["panel", "check", "ino10", "--tubes", str(bare), "--compensated"]) == 2
    assert "values that hold spillover" in capsys.readouterr().out


def test_exchanged_names_of_height_and_width_are_told_by_the_check(
    tube: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The page of every tube said it after the run."""
    exchanged = tmp_path / "tube.fcs"
    exchanged.write_bytes(
        tube.read_bytes().replace(b"FSC-H", b"FSC-?").replace(b"FSC-W", b"FSC-H").replace(b"FSC-?", b"FSC-W")
    )
    assert call(["panel", "check", "ino10", "--tubes", str(exchanged)]) == 0
    assert "names of height and width of FSC are exchanged" in capsys.readouterr().out
    assert call(["panel", "check", "ino10", "--tubes", str(tube)]) == 0
    assert "exchanged" not in capsys.readouterr().out


def test_detectors_that_were_drafted_from_a_tube_fit_it(shipped: list[PanelModel], tmp_path: Path) -> None:
    """``FL1 INT`` is tried as ``FL1-A``; ``check`` said that no pattern fits it."""
    from flowmrd.cli.panel_check import _detector_notes
    from flowmrd.panel.match import match_channels

    labels = labels_of(*(marker.split()[0] for _, marker in INO))
    panel = loaded(draft_panel("mine", [labels], shipped), tmp_path)
    found = match_channels(panel, labels, "tube")
    assert _detector_notes(found, [pnn for pnn, _ in labels], panel) == []


def test_raw_detectors_of_a_spectral_file_are_one_line_of_a_draft(shipped: list[PanelModel]) -> None:
    raw = [(f"{laser}{number}-A", "") for laser in "VBR" for number in range(1, 15)]
    notes = draft_panel("mine", [[*SCATTER, *INO, *raw]], shipped).notes
    assert [note for note in notes if "no label says a marker" in note] == [
        "channels 15 to 56 of 56: no label says a marker; add by hand those that are stained"
    ]
