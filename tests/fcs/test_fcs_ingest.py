"""The ingest stage: columns by marker, a record without identities, the file unchanged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flowmrd.errors import ChannelError, FcsError
from flowmrd.fcs.writer import ChannelSpec, write_fcs
from flowmrd.panel import PanelModel, load_panel
from flowmrd.stages.ingest import ingest
from flowmrd.stages.inspect import inspect
from flowmrd.store import open_columns

CHANNELS = [
    ChannelSpec("FSC-A", voltage=310),
    ChannelSpec("FSC-H"),
    ChannelSpec("SSC-A"),
    ChannelSpec("FITC-A", "CD66b"),
    ChannelSpec("PE-A", "CD22", gain=2.0, voltage=500.5),
    ChannelSpec("PE-CF594-A", "CD24 ECD"),
    ChannelSpec("PerCP-Cy5-5-A", "PerCP CD34"),
    ChannelSpec("PE-Cy7-A", "cd-19"),
    ChannelSpec("APC-A", "CD10BV605VIOLET610-A"),
    ChannelSpec("AF700-A", "CD38"),
    ChannelSpec("APC-H7-A"),
    ChannelSpec("BV421-A", "CD58"),
    ChannelSpec("V500-A", "CD45"),
    ChannelSpec("QDot 655-A", "spare"),
    ChannelSpec("Time"),
]
KEYWORDS = {
    "$TIMESTEP": "0.01",
    "$CYT": "FACSLyric (x)",
    "$CYTSN": "R658221",
    "$DATE": "07-JAN-2026",
    "$BTIM": "10:11:12.50",
    "$SPILLOVER": "2,FITC-A,PE-A,1,0.1,0.02,1",
    "CST SETUP STATUS": "SUCCESS WITH WARNING",
}


@pytest.fixture(scope="module")
def panel(repository: Path) -> PanelModel:
    return load_panel(repository / "panels" / "ino10.yaml")


def tube(folder: Path, keywords: dict[str, str] | None = None, channels: list[ChannelSpec] | None = None) -> Path:
    path = folder / "tube.fcs"
    rng = np.random.default_rng(11)
    channels = channels or CHANNELS
    values = [rng.normal(500, 300, 120).astype(np.float32) for _ in channels]
    write_fcs(path, values, channels, KEYWORDS if keywords is None else keywords)
    return path


def run(path: Path, panel: PanelModel, out: Path) -> dict[str, Any]:
    ingest(path, panel=panel, sample="S1", events=out / "events.arrow", record=out / "ingest.json")
    facts: dict[str, Any] = json.loads((out / "ingest.json").read_text(encoding="utf-8"))
    return facts


def test_columns_are_named_by_marker_with_gain_and_time_applied(tmp_path: Path, panel: PanelModel) -> None:
    path = tube(tmp_path)
    facts = run(path, panel, tmp_path)
    rng = np.random.default_rng(11)
    stored = [rng.normal(500, 300, 120).astype(np.float32) for _ in CHANNELS]
    with open_columns(tmp_path / "events.arrow") as columns:
        expected = ["FSC-A", "FSC-H", "SSC-A", "CD66b", "CD22", "CD24", "CD34", "CD19", "CD10", "CD38", "CD20"]
        assert columns.names == (*expected, "CD58", "CD45", "ch14", "Time")
        assert columns.n_events == 120
        assert np.array_equal(columns["CD19"], stored[7])
        assert np.allclose(columns["CD22"], stored[4] / 2)
        assert np.allclose(columns["Time"], stored[14] * 0.01)
        assert columns["CD19"].dtype == np.float32
    assert facts["n_events"] == 120
    assert facts["second_reader"]["status"] == "agree"
    assert facts["spillover"] == {
        "source": "$SPILLOVER",
        "detectors": ["CD66b", "CD22"],
        "matrix": [[1.0, 0.1], [0.02, 1.0]],
        "percent_scaled": False,
        "malformed": "",
        "others": [],
    }
    assert facts["missing"] == ["FSC-W"]
    assert facts["instrument"]["model"] == "FACSLYRIC"
    assert facts["acquisition"] == {"date": "2026-01-07", "begin": 36672.5, "end": None}
    assert facts["channels"][4]["voltage"] == 500.5
    assert facts["keywords"]["CST SETUP STATUS"] == "SUCCESS WITH WARNING"


def test_the_same_file_gives_the_same_bytes(tmp_path: Path, panel: PanelModel) -> None:
    path = tube(tmp_path)
    for name in ("a", "b"):
        run(path, panel, tmp_path / name)
    for name in ("events.arrow", "ingest.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


PLANTED = "Mustermann"
EVERY_KEY = """$ABRT;$BTIM;$CELLS;$COM;$COMP;$CSMODE;$CSVBITS;$CYT;$CYTSN;$DATE;$ETIM;$EXP;$FIL;$GATE;$INST;
$LAST_MODIFIED;$LAST_MODIFIER;$LOST;$OP;$ORIGINALITY;$PLATEID;$PLATENAME;$PROJ;$SMNO;$SPILLOVER;$SRC;$SYS;$TIMESTEP;$TR;$UNICODE;$VOL;
$WELLID;$BEGINDATETIME;$ENDDATETIME;$CARRIERID;$CARRIERTYPE;$FLOWRATE;$LOCATIONID;$MODIFIER;$UNSTAINEDCENTERS;
$UNSTAINEDINFO;$P2F;$P2L;$P2O;$P2P;$P2T;$P2D;$P2V;$P2CALIBRATION;$P2ANALYTE;$P2TAG;$P2FEATURE;$P2DET;$P2G;
PATIENT_ID;PATIENT NAME;EXPERIMENT NAME;TUBE NAME;GUID;CREATOR;USER;SPILL;SPILLOVER;APPLY COMPENSATION;THRESHOLD;
CST SETUP STATUS;CST BEADS LOT ID;CST SETUP DATE;CST BASELINE DATE;CYTOMETER CONFIG NAME;CYTOMETER CONFIG CREATE DATE;
LASER1NAME;LASER1DELAY;LASER1ASF;FSC ASF;WINDOW EXTENSION;EXPORT USER NAME;EXPORT TIME;LOGIN NAME;P2DISPLAY;P2BS;P2MS;
@SAMPLEID1;@SAMPLEID2;@BARCODE;@LOCATION;@CYTOMETERID;@PANEL;@TUBENO;@P2GAIN;@P2VOLTAGE;TESTNAME;TESTFILE;ACQTIME;
&10PATIENT ID;FJ_$TIMESTEP;MBEXPERIMENT;SAMPLE ID;SPECIMEN;INSTITUTE;OPERATOR;SETTINGS;$DFC1TO2;CYTEK PRIVATE"""


def planted() -> tuple[dict[str, str], list[ChannelSpec]]:
    """A name in every keyword that a writer may fill, and in the names of channels."""
    keywords = dict.fromkeys(EVERY_KEY.replace("\n", "").split(";"), f"{PLANTED}, Erika")
    channels = [*CHANNELS, ChannelSpec("Mustermann-A", "Erika Mustermann"), ChannelSpec("R9-A", "MUSTERMANN1")]
    return keywords, channels


def test_a_name_planted_in_every_keyword_reaches_nothing_that_is_written(
    tmp_path: Path, panel: PanelModel, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    keywords, channels = planted()
    channels[3] = ChannelSpec("FITC-A", "CD66b Mustermann")
    path = tube(tmp_path, keywords, channels)
    assert path.read_bytes().count(PLANTED.encode()) > 80
    run(path, panel, tmp_path / "out")
    written = b"".join(one.read_bytes() for one in (tmp_path / "out").rglob("*") if one.is_file())
    captured = "".join(capfd.readouterr()) + caplog.text
    for part in (PLANTED, "Erika"):
        assert part.lower().encode() not in written.lower()
        assert part.lower() not in captured.lower()


@pytest.mark.parametrize("hurt", ["marker", "truncated", "spill", "tot", "type"])
def test_error_messages_hold_no_planted_name(tmp_path: Path, panel: PanelModel, hurt: str) -> None:
    keywords, channels = planted()
    if hurt == "marker":
        channels = [channel for channel in channels if channel.pns != "CD22"]
    path = tube(tmp_path, keywords, channels)
    content = path.read_bytes()
    if hurt == "truncated":
        path.write_bytes(content[:-500])
    elif hurt == "tot":
        path.write_bytes(content.replace(b"$TOT\x0c120", b"$TOT\x0c999"))
    elif hurt == "type":
        path.write_bytes(content.replace(b"$DATATYPE\x0cF", b"$DATATYPE\x0cM"))
    if hurt == "spill":
        facts = run(path, panel, tmp_path)
        assert PLANTED not in json.dumps(facts)
        return
    with pytest.raises((FcsError, ChannelError)) as caught:
        run(path, panel, tmp_path)
    assert PLANTED.lower() not in str(caught.value).lower()
    assert "erika" not in str(caught.value).lower()
    assert not (tmp_path / "events.arrow").exists()
    assert not (tmp_path / "ingest.json").exists()


def test_keywords_are_never_used_as_paths(tmp_path: Path, panel: PanelModel) -> None:
    target = tmp_path / "escaped"
    run(tube(tmp_path, {**KEYWORDS, "$FIL": str(target), "TUBE NAME": "../../escaped"}), panel, tmp_path / "out")
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == ["events.arrow", "ingest.json"]
    assert not target.exists()


def test_a_file_that_changes_while_it_is_read_stops_the_sample(
    tmp_path: Path, panel: PanelModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flowmrd.fcs.reader import DataSet

    path = tube(tmp_path)
    whole = DataSet.scaled

    def meddling(self: DataSet) -> Any:
        values = whole(self)
        content = bytearray(path.read_bytes())
        content[-20] ^= 1
        path.write_bytes(content)
        return values

    monkeypatch.setattr(DataSet, "scaled", meddling)
    with pytest.raises(FcsError, match="changed while it was read"):
        run(path, panel, tmp_path / "out")
    assert not (tmp_path / "out" / "events.arrow").exists()


def test_nonfinite_values_are_counted_by_column_and_kept(tmp_path: Path, panel: PanelModel) -> None:
    path = tmp_path / "tube.fcs"
    values = [np.ones(50, dtype=np.float32) for _ in CHANNELS]
    values[4][[3, 7]] = [np.nan, np.inf]
    write_fcs(path, values, CHANNELS, KEYWORDS)
    facts = run(path, panel, tmp_path)
    assert facts["nonfinite"] == {"CD22": 2}
    with open_columns(tmp_path / "events.arrow") as columns:
        assert np.isnan(columns["CD22"][3])
        assert np.isinf(columns["CD22"][7])


def test_inspect_gives_names_and_sums_ready_for_json(tmp_path: Path) -> None:
    path = tmp_path / "tube.fcs"
    values = [
        np.array([1, 2, np.nan], dtype="f4"),
        np.array([1, np.inf, 1], dtype="f4"),
        np.array([2, 4, 6], dtype="f4"),
    ]
    write_fcs(path, values, [ChannelSpec("A-A", "CD<b>10"), ChannelSpec("B-A"), ChannelSpec("C-A", gain=2)])
    found = inspect(path, sums=True)
    json.dumps(found, allow_nan=False)
    (only,) = found["data_sets"]
    assert only["events"] == 3
    assert only["channels"][0] == {"pnn": "A-A", "pns": "CD<b>10"}
    assert only["sums"] == ["NaN", "Infinity", 12.0]
    assert "sums" not in inspect(path)["data_sets"][0]
