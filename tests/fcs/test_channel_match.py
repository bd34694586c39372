"""Which channel of a file is which channel of the panel."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowmrd.errors import ChannelError
from flowmrd.panel import PanelModel, load_panel
from flowmrd.panel.match import match_channels, names_marker
from flowmrd.panel.model import Channel, ChannelKind
from flowmrd.panel.names import is_time_name, printable_name, scatter_name

SCATTER = [("FSC-A", None), ("SSC-A", None)]
INO10 = [
    ("FITC-A", "CD66b"),
    ("PE-A", "CD22"),
    ("PE-CF594-A", "CD24"),
    ("PerCP-Cy5-5-A", "CD34"),
    ("PE-Cy7-A", "CD19"),
    ("APC-A", "CD10"),
    ("AF700-A", "CD38"),
    ("APC-H7-A", "CD20"),
    ("BV421-A", "CD58"),
    ("V500-A", "CD45"),
]
Names = list[tuple[str | None, str | None]]


@pytest.fixture(scope="module")
def panel(repository: Path) -> PanelModel:
    return load_panel(repository / "panels" / "ino10.yaml")


def columns(panel: PanelModel, names: Names) -> dict[str, int]:
    return {match.marker: match.index for match in match_channels(panel, names, "x.fcs").channels if match.marker}


SAYS_CD10 = (
    *("CD10", "cd10", "CD-10", "CD 10", "CD10-PE", "PE CD10", "CD10_PE-Cy7", "CD10BV605VIOLET610-A", "CD1 0"),
    *("CD10BV605VIOLET610", "BV605 CD10", "CD10 (HI10a) BV605", "CD10 PE-Cy7-A", "anti-human CD10 APC", "CD10APC"),
    *("PECD10", "CD10:PE-A", "CD10 Alexa Fluor 700", "CD10 APC-Vio770", "CD10 KrO", "CD10 PC5.5", "CD10 FL5 INT LOG"),
    *("CD10/APC", "H:CD10"),
)
SAYS_ANOTHER = (
    *("CD1", "CD101", "CD101UL", "CD100", "CD1a", "CD10a", "CD10/CD20", "CD3 CD10", "PE", "", "10", "CD 101 PE"),
    *("ACD10B", "CD103 BV605", "CD105CD10", "CD110 PE", "CD210"),
)


@pytest.mark.parametrize("text", SAYS_CD10)
def test_a_marker_is_recognised_among_dyes_and_detectors(text: str) -> None:
    assert names_marker(text, "CD10")


@pytest.mark.parametrize("text", SAYS_ANOTHER)
def test_another_marker_is_never_taken_for_cd10(text: str) -> None:
    assert not names_marker(text, "CD10")


@pytest.mark.parametrize(
    ("text", "marker", "says"),
    [
        ("CD3 FITC", "CD34", False),
        ("CD34 FITC", "CD3", False),
        ("CD38", "CD3", False),
        ("CD3BV421", "CD3", True),
        ("CD66BV421", "CD66b", False),
        ("CD66bBV421", "CD66b", True),
        ("CD66b FITC", "CD66b", True),
        ("CD45RA", "CD45", False),
        ("CD45 RO", "CD45", False),
        ("HLA-DR V450", "HLA-DR", True),
        ("Syto 41", "SYTO41", True),
        ("SYTO41-PacificBlue", "SYTO41", True),
    ],
)
def test_markers_that_begin_alike_are_told_apart(text: str, marker: str, says: bool) -> None:
    assert names_marker(text, marker) is says


CD = st.integers(1, 371).map(lambda number: f"CD{number}")
DYES = st.sampled_from(
    ["FITC", "PE", "PE-Cy7", "APC", "APC-H7", "BV421", "BV605", "AF700", "PerCP-Cy5.5", "V450", "KrO", "PC7"]
)


@settings(deadline=None)
@given(CD, CD, DYES, st.sampled_from(["-", " ", "_", "", ":", " - "]), st.booleans(), st.booleans())
def test_a_name_says_its_own_marker_and_no_other(
    marker: str, other: str, dye: str, joint: str, dye_first: bool, area: bool
) -> None:
    text = f"{dye}{joint}{marker}" if dye_first else f"{marker}{joint}{dye}"
    text += "-A" if area else ""
    assert names_marker(text, marker)
    assert names_marker(text.lower(), marker)
    assert names_marker(text, other) is (marker == other)


@pytest.mark.parametrize(
    ("text", "signal"),
    [
        ("FSC-A", "FSC-A"),
        ("FSC A", "FSC-A"),
        ("FSCA", "FSC-A"),
        ("fsc_a", "FSC-A"),
        ("FS INT", "FSC-A"),
        ("FS INT LIN", "FSC-A"),
        ("FS-A", "FSC-A"),
        ("FS Area", "FSC-A"),
        ("FSC PEAK", "FSC-H"),
        ("FS PEAK LIN", "FSC-H"),
        ("FSC-Height", "FSC-H"),
        ("FSC-Width", "FSC-W"),
        ("FS TOF", "FSC-W"),
        ("Forward Scatter-A", "FSC-A"),
        ("FSC1-A", "FSC-A"),
        ("FS Lin", "FSC"),
        ("SS INT LIN", "SSC-A"),
        ("SSC-A", "SSC-A"),
        ("SS", "SSC"),
        ("SSC-B-A", "SSC-A"),
        ("SSC-H", "SSC-H"),
        ("BSC-A", "SSC-A"),
        ("Side Scatter", "SSC"),
        ("VSSC-A", "SSC2-A"),
        ("Violet SSC-A", "SSC2-A"),
        ("SSC-V-A", "SSC2-A"),
        ("FITC-A", None),
        ("PE-A", None),
        ("CD10", None),
        ("Time", None),
        ("FL1-A", None),
        ("", None),
    ],
)
def test_scatter_is_recognised_in_the_words_of_every_vendor(text: str, signal: str | None) -> None:
    assert scatter_name(text) == signal


@pytest.mark.parametrize("text", ["Time", "TIME", "time", "Time_1", "HDR-T", "Time (204.80 sec.)"])
def test_the_clock_is_recognised(text: str) -> None:
    assert is_time_name(text)


@pytest.mark.parametrize("text", ["TIME LSW", "Time MSW", "FSC-TOF", "lifetime", "CD10"])
def test_what_is_no_clock_is_not_taken_for_one(text: str) -> None:
    assert not is_time_name(text)


def test_the_marker_in_pns_beats_the_detector(panel: PanelModel) -> None:
    names: Names = [*SCATTER, *INO10]
    names[3], names[2] = ("PE-A", "CD66b"), ("FITC-A", "CD22")
    assert columns(panel, names)["CD22"] == 2


def test_a_detector_is_believed_where_pns_says_nothing(panel: PanelModel) -> None:
    names: Names = [*SCATTER, *[(pnn, None) for pnn, _ in INO10]]
    assert len(columns(panel, names)) == 12


def test_a_detector_is_not_believed_where_pns_names_another_marker(panel: PanelModel) -> None:
    names: Names = [*SCATTER, *INO10]
    names[3] = ("PE-A", "CD3")
    with pytest.raises(ChannelError, match="no CD22"):
        columns(panel, names)


def test_navios_and_dxflex_names_match(panel: PanelModel) -> None:
    dyes = ["FITC", "PE", "ECD", "PC5.5", "PC7", "APC", "APC-A700", "APC-A750", "PB", "KrO"]
    colours: Names = [
        (f"FL{n} INT", f"{pns} {dye}") for n, ((_, pns), dye) in enumerate(zip(INO10, dyes, strict=True), start=1)
    ]
    scatter: Names = [("FS INT", "FS INT"), ("FS PEAK", "FS PEAK"), ("FS TOF", "FS TOF"), ("SS INT", "SS INT")]
    matched = match_channels(panel, [*scatter, *colours, ("TIME", "TIME")], "x")
    assert [match.column for match in matched.channels[:4]] == ["FSC-A", "FSC-H", "FSC-W", "SSC-A"]
    assert [match.column for match in matched.channels[4:14]] == [pns for _, pns in INO10]
    assert matched.channels[14].kind == "time"


def test_height_and_width_of_the_same_detector_are_not_ambiguous(panel: PanelModel) -> None:
    names: Names = [*SCATTER]
    for pnn, pns in INO10:
        names += [(pnn.replace("-A", "-H"), pns), (pnn, pns), (pnn.replace("-A", "-W"), pns)]
    found = columns(panel, names)
    assert {found[pns] % 3 for _, pns in INO10} == {0}


def test_two_detectors_with_the_same_marker_are_ambiguous(panel: PanelModel) -> None:
    with pytest.raises(ChannelError, match="CD10 is claimed by 2 channels"):
        columns(panel, [*SCATTER, *INO10, ("BV786-A", "CD10")])


def test_a_missing_backbone_marker_lists_what_was_found_and_the_nearest(panel: PanelModel) -> None:
    names: Names = [*SCATTER, *INO10]
    names[7], names[3] = ("Detector 7", "CD1O"), ("Detector 3", None)
    with pytest.raises(ChannelError) as caught:
        columns(panel, names)
    message = str(caught.value)
    assert "no CD10 (nearest: " in message
    assert "CD1O" in message.split("no CD10")[1].split(")", maxsplit=1)[0]
    assert "no CD22" in message
    assert "BV421-A = CD58" in message


def test_missing_height_width_and_clock_are_no_error(panel: PanelModel) -> None:
    assert match_channels(panel, [*SCATTER, *INO10], "x").missing == ("FSC-H", "FSC-W", "Time")


def test_height_stands_in_for_a_missing_area_and_says_so(panel: PanelModel) -> None:
    matched = match_channels(panel, [("FSC-H", None), ("SSC-A", None), *INO10], "x")
    assert matched.channels[0].column == "FSC-A"
    assert matched.notes == ("the file has no FSC-A; FSC-H stands in for it",)


def test_every_channel_gets_exactly_one_column(panel: PanelModel) -> None:
    matched = match_channels(panel, [*SCATTER, *INO10, ("SSC-H", None), ("Width", None), ("FSC-A", None)][:-1], "x")
    names = [match.column for match in matched.channels]
    assert len(set(names)) == len(names) == 14
    assert names[12:] == ["ch13", "ch14"]
    assert matched.channels[12].kind == "scatter"


@settings(max_examples=30, deadline=None)
@given(st.permutations([*SCATTER, *INO10, ("Time", None), ("BUV395-A", "CD3"), ("FSC-W", None)]))
def test_the_order_of_channels_does_not_matter(order: Names) -> None:
    panel = load_panel(Path(__file__).resolve().parents[2] / "panels" / "ino10.yaml")
    found = columns(panel, order)
    assert {marker: order[index] for marker, index in found.items() if marker.startswith("CD")} == {
        pns: (pnn, pns) for pnn, pns in INO10
    }


def test_a_marker_named_in_pnn_alone_is_found() -> None:
    channels = tuple(Channel(marker=marker) for marker in ("CD34", "CD3", "CD38"))
    scatter = (Channel(marker="FSC-A", kind=ChannelKind.SCATTER),)
    panel = PanelModel(name="p", version="1", title="t", channels=scatter + channels, gates=())
    assert columns(panel, [("FSC-A", ""), ("CD38", ""), ("CD3 APC-A", ""), ("CD34-A", "")]) == {
        "FSC-A": 0,
        "CD38": 1,
        "CD3": 2,
        "CD34": 3,
    }


@pytest.mark.parametrize(
    "text", ["CD10", "PE-Cy7-A", "FSC-A", "CD10BV605VIOLET610-A", "FL5 INT", "HLA-DR", "Time", "Syto 41"]
)
def test_channel_names_are_printed_as_they_are(text: str) -> None:
    assert printable_name(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [("CD10 Mustermann", "CD10 ?"), ("Erika", "?"), ("Müller", "?"), ("MUSTERMANN1-A", "?-A"), ("12345678", "?")],
)
def test_words_that_may_be_a_person_are_not_printed(text: str, shown: str) -> None:
    assert printable_name(text) == shown
