"""Gates that an expert drew elsewhere: against FlowKit where it reads the file, against the numbers otherwise.

FlowKit writes the workspaces and reads them back. FACSDiva experiments and Kaluza analyses are made here by the
structure that is publicly known: none was written by the software itself.
"""

from __future__ import annotations

import io
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flowmrd.errors import GateError
from flowmrd.fcs.writer import ChannelSpec, write_fcs
from flowmrd.gating.experts import read_expert_gates
from flowmrd.preprocess.transform.logicle import inverse_logicle, logicle

N = 4000
NAMES = ("FSC-A", "FSC-H", "FSC-W", "SSC-A", "PE-A", "APC-A", "Time")
SPILL = np.array([[1.0, 0.1], [0.05, 1.0]])


@pytest.fixture(scope="module")
def raw() -> np.ndarray:
    rng = np.random.default_rng(5)
    columns = [
        rng.normal(90_000, 20_000, N),
        rng.normal(80_000, 15_000, N),
        rng.normal(70_000, 9_000, N),
        rng.normal(40_000, 15_000, N),
        np.where(rng.random(N) < 0.3, rng.lognormal(8.5, 0.6, N), rng.normal(0, 300, N)),
        np.where(rng.random(N) < 0.4, rng.lognormal(9, 0.7, N), rng.normal(0, 200, N)),
        np.arange(N, dtype=np.float64),
    ]
    return np.array(columns, dtype=np.float32)


@pytest.fixture
def tube(tmp_path: Path, raw: np.ndarray) -> Path:
    path = tmp_path / "tube1.fcs"
    write_fcs(path, list(raw), [ChannelSpec(name) for name in NAMES])
    return path


@pytest.fixture
def spilled(tmp_path: Path, raw: np.ndarray) -> Path:
    path = tmp_path / "tube1.fcs"
    numbers = ",".join(str(value) for value in SPILL.ravel())
    write_fcs(path, list(raw), [ChannelSpec(name) for name in NAMES], {"$SPILLOVER": f"2,PE-A,APC-A,{numbers}"})
    return path


def compensated(raw: np.ndarray) -> np.ndarray:
    return np.asarray(raw[4:6].T.astype(np.float64) @ np.linalg.inv(SPILL)).T


def workspace(tube: Path) -> str:
    """A workspace by FlowKit: a rectangle on scatter, and below it a polygon and a range on a biexponential scale."""
    return made_by_flowkit(tube)[0]


def made_by_flowkit(tube: Path) -> tuple[str, dict[str, np.ndarray]]:
    """The workspace, and the events that FlowKit finds in each of its gates."""
    fk = pytest.importorskip("flowkit")
    warnings.simplefilter("ignore")
    biex = fk.transforms.WSPBiexTransform()
    strategy = fk.GatingStrategy()
    strategy.add_transform("PE-A", biex)
    strategy.add_transform("APC-A", biex)
    sample = fk.Sample(str(tube))
    if "spillover" in sample.get_metadata():
        matrix = fk.Matrix(sample.get_metadata()["spillover"], detectors=["PE-A", "APC-A"], fluorochromes=["", ""])
        strategy.add_comp_matrix("matrix", matrix)
    ref = "matrix" if strategy.comp_matrices else None
    scatter = [fk.Dimension("FSC-A", range_min=60_000, range_max=130_000), fk.Dimension("SSC-A", range_min=10_000)]
    strategy.add_gate(fk.gates.RectangleGate("Cells", scatter), ("root",))
    on = {name: fk.Dimension(name, ref, name) for name in ("PE-A", "APC-A")}
    corners = [(2200, 2200), (4000, 2400), (3800, 4000), (2100, 3600)]
    strategy.add_gate(fk.gates.PolygonGate("Blasts", list(on.values()), corners), ("root", "Cells"))
    low = fk.Dimension("PE-A", ref, "PE-A", range_min=2500)
    strategy.add_gate(fk.gates.RectangleGate("PE high", [low]), ("root", "Cells"))
    session = fk.Session(gating_strategy=strategy, fcs_samples=[sample])
    buffer = io.BytesIO()
    session.export_wsp(buffer, "group")
    results = strategy.gate_sample(sample)
    masks = {name: np.asarray(results.get_gate_membership(name, path)) for name, path in strategy.get_gate_ids()}
    return buffer.getvalue().decode(), masks


@pytest.mark.parametrize("which", ["tube", "spilled"])
def test_a_flowjo_workspace_gives_the_events_that_flowkit_finds(
    which: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    fcs = request.getfixturevalue(which)
    text, expected = made_by_flowkit(fcs)
    (tmp_path / "a.wsp").write_text(text)
    found = read_expert_gates(tmp_path / "a.wsp", fcs)
    assert set(found.masks) == {("Cells",), ("Cells", "Blasts"), ("Cells", "PE high")}
    for name, mask in expected.items():
        assert np.array_equal(found.members(name), mask), name
        assert 20 < mask.sum() < N
    assert np.array_equal(found.leukaemic(), found.members("Cells/Blasts"))


def test_what_flowkit_does_not_know_is_refused_by_name_and_the_rest_is_read(tube: Path, tmp_path: Path) -> None:
    text = workspace(tube)
    gate = (
        '<Statistic name="Mean" id="PE-A" value="1"/>'
        '<Population name="Curly" owningGroup=""><Gate><gating:CurlyQuad/></Gate><Subpopulations>'
        '<Population name="Inner" owningGroup=""><Gate><gating:CurlyQuad/></Gate></Population>'
        "</Subpopulations></Population>"
        '<NotNode name="Rest" owningGroup=""><Dependents><Dependent name="Curly"/></Dependents></NotNode>'
        '<Population name="Derived" owningGroup=""><Gate><gating:RectangleGate><gating:dimension gating:min="1">'
        '<data-type:fcs-dimension data-type:name="UMAP1"/></gating:dimension></gating:RectangleGate></Gate>'
        "</Population>"
    )
    where = text.index("<Subpopulations", text.index("<SampleNode")) + len("<Subpopulations>")
    (tmp_path / "a.wsp").write_text(text[:where] + gate + text[where:])
    found = read_expert_gates(tmp_path / "a.wsp", tube)
    assert set(found.masks) == {("Cells",), ("Cells", "Blasts"), ("Cells", "PE high")}
    assert found.refused[("Curly",)] == "its kind is CurlyQuad"
    assert "needs the gate Curly" in found.refused[("Curly", "Inner")]
    assert "needs the gate Curly" in found.refused[("Rest",)]
    assert "no channel 'UMAP1'" in found.refused[("Derived",)]
    with pytest.raises(GateError, match="the gate Curly: its kind is CurlyQuad"):
        found.members("Curly")
    with pytest.raises(GateError, match="no gate 'Lymphocytes'"):
        found.members("Lymphocytes")


def test_a_scale_that_flowkit_does_not_know_refuses_only_its_gates(tube: Path, tmp_path: Path) -> None:
    text = workspace(tube).replace('transforms:length="256"', 'transforms:length="4096"')
    (tmp_path / "a.wsp").write_text(text)
    found = read_expert_gates(tmp_path / "a.wsp", tube)
    assert set(found.masks) == {("Cells",)}
    assert "PE-A is on a scale of the kind biex of length 4096" in found.refused[("Cells", "PE high")]


def test_gates_of_another_tube_are_refused(tube: Path, tmp_path: Path, raw: np.ndarray) -> None:
    (tmp_path / "a.wsp").write_text(workspace(tube))
    other = tmp_path / "tube1" / "tube1.fcs"
    other.parent.mkdir()
    write_fcs(other, list(raw[:, :-5]), [ChannelSpec(name) for name in NAMES])
    with pytest.raises(GateError, match=f"a tube of {N} events"):
        read_expert_gates(tmp_path / "a.wsp", other)


def test_a_count_that_the_experts_software_did_not_find_is_refused(tube: Path, tmp_path: Path) -> None:
    text = workspace(tube).replace('name="Blasts"', 'name="Blasts" count="900"')
    (tmp_path / "a.wsp").write_text(text)
    found = read_expert_gates(tmp_path / "a.wsp", tube)
    with pytest.raises(GateError, match="of which the file says 900"):
        found.members("Blasts")


def test_gatingml_gives_the_events_that_flowkit_finds_with_quadrants_and_combinations(
    spilled: Path, tmp_path: Path
) -> None:
    fk = pytest.importorskip("flowkit")
    strategy = fk.GatingStrategy()
    strategy.add_transform("scale", fk.transforms.LogicleTransform(262144, 0.5, 4.5, 0))
    divider = [fk.QuadrantDivider(f"d{n}", n, "FCS", [0.4], "scale") for n in ("PE-A", "APC-A")]
    quadrants = [
        fk.gates.Quadrant(f"q{x}{y}", ["dPE-A", "dAPC-A"], [_side(x), _side(y)]) for x in (0, 1) for y in (0, 1)
    ]
    strategy.add_gate(fk.gates.QuadrantGate("Quad", divider, quadrants), ("root",))
    cells = fk.gates.RectangleGate("Blasts", [fk.Dimension("FSC-A", "uncompensated", range_min=90_000)])
    strategy.add_gate(cells, ("root",))
    buffer = io.BytesIO()
    fk.export_gatingml(strategy, buffer)
    path = tmp_path / "gates.xml"
    path.write_bytes(buffer.getvalue())
    found = read_expert_gates(path, spilled)
    results = strategy.gate_sample(fk.Sample(str(spilled)))
    for name in ("q00", "q01", "q10", "q11"):
        assert np.array_equal(found.members(name), results.get_gate_membership(name, ("root", "Quad"))), name
        assert found.members(name).any()
    assert np.array_equal(found.leukaemic(), results.get_gate_membership("Blasts"))


def _side(high: int) -> tuple[float | None, float | None]:
    return (0.4, None) if high else (None, 0.4)


def diva(gates: str, *, where: str = "tube", log: str = "true") -> str:
    """An experiment as FACSDiva writes it, with one tube."""
    inverse = np.linalg.inv(SPILL)
    parameters = "".join(
        f'<parameter name="{name}"><is_log>{log}</is_log><can_be_compensated>true</can_be_compensated><compensation>'
        + "".join(f"<compensation_coefficient>{value}</compensation_coefficient>" for value in inverse[:, i])
        + "</compensation></parameter>"
        for i, name in enumerate(("PE-A", "APC-A"))
    )
    everything = f'<gate fullname="All Events" type="EventSource_Classifier"><num_events>{N}</num_events></gate>'
    own = f"<gates>{everything}{gates}</gates>"
    return (
        '<?xml version="1.0" encoding="UTF-8"?><bdfacs version="Version 6.1.3"><experiment name="E">'
        "<log_decades>5</log_decades>"
        + (f'<acquisition_worksheets><worksheet_template name="G">{own}</worksheet_template></acquisition_worksheets>')
        * (where == "sheet")
        + '<specimen name="S"><tube name="T"><data_filename>tube1.fcs</data_filename>'
        f"<instrument_settings><compensation_enabled>true</compensation_enabled>{parameters}</instrument_settings>"
        + (own if where == "tube" else f"<gates>{everything}</gates>")
        + "</tube></specimen></experiment></bdfacs>"
    )


def region(path: str, shape: str, x: str, y: str, points: list[tuple[float, float]], **options: Any) -> str:
    """A gate as FACSDiva writes it; ``sx`` and ``sy`` are the scale values of scaled axes."""
    corners = "".join(f'<point x="{px}" y="{py}"/>' for px, py in points)
    parts = path.split("\\")
    axes = "".join(
        f"<is_{axis}_parameter_scaled>{str(scale is not None).lower()}</is_{axis}_parameter_scaled>"
        f"<is_{axis}_parameter_log>{str(axis in options.get('log', '')).lower()}</is_{axis}_parameter_log>"
        f"<{axis}_parameter_scale_value>{-1 if scale is None else scale}</{axis}_parameter_scale_value>"
        for axis, scale in (("x", options.get("sx")), ("y", options.get("sy")))
    )
    count = f"<num_events>{options['count']}</num_events>" if "count" in options else ""
    second = f' yparm="{y}"' if y else ""
    return (
        f'<gate fullname="{path}" type="{options.get("kind", "Region_Classifier")}"><name>{parts[-1]}</name>'
        f"<parent>{chr(92).join(parts[:-1])}</parent>{count}"
        f'<region xparm="{x}"{second} type="{shape}"><points>{corners}</points></region>{axes}</gate>'
    )


def diva_place(values: np.ndarray, scale: float) -> np.ndarray:
    width = max((4.5 - np.log10(262144 / scale)) / 2, 0) if scale else 0.0
    return np.asarray(logicle(values, T=262144, M=4.5, W=width, A=0)) * 4096


def test_a_diva_experiment_gives_the_events_that_its_published_scale_says(
    spilled: Path, tmp_path: Path, raw: np.ndarray
) -> None:
    box = [(60_000.0, 10_000.0), (130_000.0, 10_000.0), (130_000.0, 90_000.0), (60_000.0, 90_000.0)]
    corners = [(2000.0, 2000.0), (5000.0, 2000.0), (5000.0, 5000.0), (2000.0, 5000.0)]
    gates = (
        region("All Events\\P1", "RECTANGLE_REGION", "FSC-A", "SSC-A", box)
        + region("All Events\\P1\\Blasts", "POLYGON_REGION", "PE-A", "APC-A", corners, sx=150, sy=300)
        + region("All Events\\P1\\P3", "INTERVAL_REGION", "PE-A", "", [(3.0, 0.0), (4.5, 0.0)], log="x")
        + '<gate fullname="All Events\\P1\\Not" type="NOT_Classifier"><name>Not</name><parent>All Events\\P1</parent>'
        "<input>All Events\\P1\\Blasts</input></gate>"
        + region("All Events\\Snap", "POLYGON_REGION", "FSC-A", "SSC-A", box, kind="SnapTo_Classifier")
    )
    (tmp_path / "e.xml").write_text(diva(gates))
    found = read_expert_gates(tmp_path / "e.xml", spilled)
    pe, apc = compensated(raw)
    cells = (raw[0] >= 60_000) & (raw[0] < 130_000) & (raw[3] >= 10_000) & (raw[3] < 90_000)
    blasts = cells & (diva_place(pe, 150) > 2000) & (diva_place(apc, 300) > 2000)
    assert np.array_equal(found.members("P1"), cells)
    assert np.array_equal(found.leukaemic(), blasts)
    assert np.array_equal(found.members("Not"), cells & ~blasts)
    assert np.array_equal(found.members("P3"), cells & (pe >= 10**3) & (pe < 10**4.5))
    assert found.refused == {("Snap",): "its kind is SnapTo_Classifier"}
    assert 50 < blasts.sum() < cells.sum()


def test_events_beyond_the_end_of_an_axis_are_in_a_gate_that_ends_there(
    spilled: Path, tmp_path: Path, raw: np.ndarray
) -> None:
    low = [(0.0, 0.0), (1000.0, 0.0)]
    (tmp_path / "e.xml").write_text(diva(region("All Events\\Low", "INTERVAL_REGION", "PE-A", "", low, sx=0)))
    pe, _ = compensated(raw)
    held = read_expert_gates(tmp_path / "e.xml", spilled).members("Low")
    assert held[pe < -1000].all()
    assert (pe < -1000).any()
    assert np.array_equal(held, pe < inverse_logicle(1000 / 4096, T=262144, M=4.5, W=0.0, A=0))


def test_exchanged_names_of_height_and_width_are_told_by_the_counts(
    spilled: Path, tmp_path: Path, raw: np.ndarray
) -> None:
    box = [(50_000.0, 60_000.0), (100_000.0, 80_000.0)]
    for first, second in ((1, 2), (2, 1)):
        inside = (raw[first] >= 50_000) & (raw[first] < 100_000) & (raw[second] >= 60_000) & (raw[second] < 80_000)
        gate = region("All Events\\P1", "RECTANGLE_REGION", "FSC-H", "FSC-W", box, count=int(inside.sum()))
        (tmp_path / "e.xml").write_text(diva(gate))
        assert np.array_equal(read_expert_gates(tmp_path / "e.xml", spilled).members("P1"), inside)
    (tmp_path / "e.xml").write_text(diva(region("All Events\\P1", "RECTANGLE_REGION", "FSC-H", "FSC-W", box)))
    assert "no counts tell" in read_expert_gates(tmp_path / "e.xml", spilled).refused[("P1",)]


def test_gates_of_the_only_global_worksheet_serve_a_tube_without_its_own(spilled: Path, tmp_path: Path) -> None:
    box = [(60_000.0, 10_000.0), (130_000.0, 90_000.0)]
    (tmp_path / "e.xml").write_text(
        diva(region("All Events\\P1", "RECTANGLE_REGION", "FSC-A", "SSC-A", box), where="sheet")
    )
    assert read_expert_gates(tmp_path / "e.xml", spilled).members("P1").any()


def kaluza(path: Path, gates: str, *, name: str = "tube1", fcs: Path | None = None, extra: str = "") -> Path:
    text = (
        f'<?xml version="1.0"?><Analysis>{extra}<Entries><DataSet N="{name}"><Gates>{gates}</Gates></DataSet></Entries>'
        '<GateConstraints><HistogramDivider LG="L-" RG="L+"/>'
        '<Staggered ULG="Q-+" URG="Q++" LLG="Q--" LRG="Q+-"/></GateConstraints></Analysis>'
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("protocol.xml", text)
        archive.writestr("protocol.app", "x")
        if fcs is not None:
            archive.write(fcs, "tube1.fcs")
    return path


def kaluza_gate(kind: str, name: str, axes: str, points: list[tuple[float, float]], parent: str = "") -> str:
    """A gate as Kaluza writes it; axes like ``PE-A:C APC-A:C``."""
    scales = "".join('<X M="{}" S="{}"/>'.format(*axis.split(":")) for axis in axes.split())
    corners = "".join(f'<P O="{x},{y}"/>' for x, y in points)
    below = f' G="{parent}"' if parent else ""
    return f'<{kind} N="{name}"{below}><A>{scales}</A><P>{corners}</P></{kind}>'


def test_a_kaluza_analysis_gives_ranges_rectangles_polygons_and_quadrants(
    tube: Path, tmp_path: Path, raw: np.ndarray
) -> None:
    box = [(60_000.0, 10_000.0), (130_000.0, 90_000.0)]
    gates = (
        kaluza_gate("R", "Blasts", "PE-A:C APC-A:C", [(2000, 1000), (60_000, 50_000)], parent="Cells")
        + kaluza_gate("P", "Cells", "FSC-A:I SSC-A:I", [(6e4, 1e4), (1.3e5, 1e4), (1.3e5, 9e4), (6e4, 9e4)])
        + kaluza_gate("L", "L-", "PE-A:C", [(-500, 0), (1000, 0)])
        + kaluza_gate("L", "L+", "PE-A:C", [(1000, 0), (20_000, 0)])
        + kaluza_gate("P", "Q+-", "PE-A:C APC-A:C", [(900, -100), (9000, -100), (9000, 800), (900, 800)])
        + kaluza_gate("P", "Q++", "PE-A:C APC-A:C", [(0, 0), (0, 0), (0, 0), (0, 0)])
        + kaluza_gate("E", "Round", "FSC-A:I SSC-A:I", [(1, 1), (2, 2)])
        + kaluza_gate("B", "Both", "FSC-A:I SSC-A:I", box)
        + kaluza_gate("P", "Bent", "PE-A:C APC-A:C", [(-300, -300), (50_000, -300), (50_000, 200)])
    )  # fmt: skip
    found = read_expert_gates(kaluza(tmp_path / "a.analysis", gates, fcs=tube), tube)
    cells = (raw[0] >= 60_000) & (raw[0] < 130_000) & (raw[3] >= 10_000) & (raw[3] < 90_000)
    blasts = cells & (raw[4] >= 2000) & (raw[4] < 60_000) & (raw[5] >= 1000) & (raw[5] < 50_000)
    assert np.array_equal(found.members("Cells"), cells)
    assert np.array_equal(found.leukaemic(), blasts)
    assert np.array_equal(found.members("L-"), raw[4] < 1000)
    assert np.array_equal(found.members("L+"), raw[4] >= 1000)
    assert np.array_equal(found.members("Q+-"), (raw[4] >= 900) & (raw[5] < 800))
    assert {path[-1]: why.split(",")[0].split(":")[0] for path, why in found.refused.items()} == {
        "Q++": "all its corners are 0",
        "Round": "it is an ellipse",
        "Both": "it is a Boolean gate",
        "Bent": next(why for path, why in found.refused.items() if path[-1] == "Bent").split(",")[0].split(":")[0],
    }
    assert "edges are straight" in found.refused[("Bent",)]


def test_a_kaluza_gate_on_values_that_may_be_compensated_is_refused_until_the_user_says_which(
    spilled: Path, tmp_path: Path, raw: np.ndarray
) -> None:
    path = kaluza(tmp_path / "a.analysis", kaluza_gate("L", "Blasts", "PE-A:C", [(2000, 0), (60_000, 0)]))
    with pytest.raises(GateError, match="may be compensated in Kaluza"):
        read_expert_gates(path, spilled).leukaemic()
    pe, _ = compensated(raw)
    by_file = read_expert_gates(path, spilled, compensation="file").leukaemic()
    assert np.array_equal(by_file, (pe >= 2000) & (pe < 60_000))
    plain = read_expert_gates(path, spilled, compensation="none").leukaemic()
    assert np.array_equal(plain, (raw[4] >= 2000) & (raw[4] < 60_000))


def test_an_analysis_of_another_file_is_refused(tube: Path, tmp_path: Path, raw: np.ndarray) -> None:
    other = tmp_path / "other.fcs"
    write_fcs(other, list(raw + 1), [ChannelSpec(name) for name in NAMES])
    path = kaluza(tmp_path / "a.analysis", kaluza_gate("L", "Blasts", "PE-A:C", [(2000, 0), (6e4, 0)]), fcs=other)
    with pytest.raises(GateError, match="another FCS file inside"):
        read_expert_gates(path, tube)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_xml_that_declares_entities_is_refused_in_any_encoding(encoding: str, tube: Path, tmp_path: Path) -> None:
    text = f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE a [<!ENTITY b "c">]><bdfacs>&b;</bdfacs>'
    (tmp_path / "e.xml").write_bytes(text.encode(encoding))
    with pytest.raises(GateError, match="document type or entity declaration"):
        read_expert_gates(tmp_path / "e.xml", tube)


@pytest.mark.parametrize(
    ("name", "raw_bytes", "words"),
    [
        ("a.wsp", b"<html/>", "root 'html'"),
        ("a.xml", b"not xml", "not well-formed"),
        ("a.analysis", b"PK\x03\x04broken", "cannot be unpacked"),
        ("a.wsp", b'<Workspace flowJoVersion="9.1"/>', "version '9.1'"),
        ("a.xml", b"<bdfacs/>", "no experiment"),
    ],
)
def test_a_file_that_holds_no_readable_gates_is_refused(
    name: str, raw_bytes: bytes, words: str, tube: Path, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(raw_bytes)
    with pytest.raises(GateError, match=words):
        read_expert_gates(tmp_path / name, tube)
