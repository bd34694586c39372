"""Which channel of a file is which channel of the panel."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels import channel
from flowmrd.errors import ChannelError
from flowmrd.home import PANELS
from flowmrd.panel import PanelModel, load_panel
from flowmrd.panel.match import match_channels, names_marker
from flowmrd.panel.model import Channel, ChannelKind
from flowmrd.panel.names import dye_of_file, is_time_name, printable_name, qualifier, scatter_name
from flowmrd.tube.labels import as_stained, detectors_and_dyes

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
def test_a_channel_that_is_not_a_clock_is_not_used_as_one(text: str) -> None:
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
def test_channels_are_matched_in_any_order_of_the_file(order: Names) -> None:
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
    "text",
    ["CD10", "PE-Cy7-A", "FSC-A", "CD10BV605VIOLET610-A", "FL5 INT", "HLA-DR", "Time", "Syto 41", "cyIgM", "R9-A"],
)
def test_channel_names_are_printed_as_they_are(text: str) -> None:
    assert printable_name(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("CD10 Mustermann", "CD10 ?"),
        ("Erika", "?"),
        ("Müller", "?"),
        ("MUSTERMANN1-A", "?-A"),
        ("12345678", "?"),
        ("KIM1985", "?"),
        ("Anna 7", "? 7"),
    ],
)
def test_words_that_may_be_a_person_are_not_printed(text: str, shown: str) -> None:
    assert printable_name(text) == shown


def scatter(*names: str) -> Names:
    return [(name, None) for name in names]


MARKERS = [pns for _, pns in INO10]
BECKMAN = ["FITC", "PE", "ECD", "PC5.5", "PC7", "APC", "APC-AF700", "APC-AF750", "PB", "KrO"]
CYTEXPERT = ["FITC", "PE", "ECD", "PC5.5", "PC7", "APC", "APC-A700", "APC-A750", "PB450", "KO525"]
FACSUITE = ["FITC", "PE", "PE-CF594", "PerCP-Cy5.5", "PE-Cy7", "APC", "APC-R700", "APC-Cy7", "V450", "V500-C"]
SPECTROFLO = ["FITC", "PE", "PE-CF594", "PerCP-Cy5.5", "PE-Cy7", "APC", "Alexa Fluor 700", "APC-H7", "BV421", "V500"]
MACSQUANT = [
    "FITC",
    "PE",
    "PE-Vio615",
    "PerCP-Vio700",
    "PE-Vio770",
    "APC",
    "AF700",
    "APC-Vio770",
    "VioBlue",
    "VioGreen",
]
DIVA = scatter("FSC-A", "FSC-H", "FSC-W", "SSC-A", "SSC-H", "SSC-W")
AURORA = scatter("Time", "SSC-H", "SSC-A", "FSC-H", "FSC-A", "SSC-B-H", "SSC-B-A", "AF-A")
PLAIN = scatter("FSC-A", "SSC-A")


def stained(pattern: str, dyes: list[str], pns: str | None = "{marker}") -> Names:
    """One channel for each marker: patterns of ``$PnN`` and ``$PnS`` with number, dye and marker."""
    return [
        (
            pattern.format(n=n, dye=dye, marker=marker),
            None if pns is None else pns.format(n=n, dye=dye, marker=marker),
        )
        for n, (dye, marker) in enumerate(zip(dyes, MARKERS, strict=True), start=1)
    ]


INSTRUMENTS: dict[str, Names] = {
    "FACSDiva, all features": [*DIVA, *(pair for f in "AHW" for pair in stained(f"{{dye}}-{f}", SPECTROFLO))],
    "FACSLyric": [*DIVA, *stained("{dye}-A", FACSUITE), ("Time", None)],
    "FACSLyric, dye in $PnS": [*DIVA, *stained("{dye}-A", FACSUITE, "{marker} {dye}")],
    "FACSLyric, detectors alone": [*DIVA, *stained("{dye}-A", FACSUITE, None)],
    "Navios LMD, second data set": [
        *scatter("FS INT", "FS PEAK", "FS TOF", "SS INT", "SS PEAK", "SS TOF"),
        *stained("FL{n} INT", BECKMAN, "{marker}-{dye}"),
        ("TIME", "TIME"),
    ],
    "Navios LMD, first data set": [
        *scatter("FS INT LIN", "SS INT LIN", "SS INT LOG", "FS PEAK LIN", "FS TOF LIN"),
        *stained("FL{n} INT LOG", BECKMAN, "{marker} {dye}"),
        *stained("FL{n} INT LIN", BECKMAN, "{marker} {dye}"),
    ],
    "Gallios, no $PnS": [*scatter("FS INT", "SS INT"), *stained("FL{n} INT", BECKMAN, None), ("TIME", None)],
    "Kaluza": [*scatter("FS-A", "FS-H", "FS-W", "SS-A"), *stained("FL{n}-A", BECKMAN, "{marker}-{dye}")],
    "Kaluza, marker in $PnN": [*scatter("FS INT", "SS INT"), *stained("FL{n} INT {marker} {dye}", BECKMAN, None)],
    "CytoFLEX": [
        *scatter("FSC-H", "FSC-A", "SSC-H", "SSC-A", "VSSC-H", "VSSC-A", "FSC-Width"),
        *stained("{dye}-H", CYTEXPERT, "{marker} {dye}"),
        *stained("{dye}-A", CYTEXPERT, "{marker} {dye}"),
    ],
    "DxFLEX, detectors alone": [*scatter("FSC-A", "SSC-A", "FSC-Width"), *stained("{dye}-A", CYTEXPERT, None)],
    "Aurora, unmixed": [*AURORA, *stained("{dye}-A", SPECTROFLO)],
    "Aurora, marker in $PnN": [*AURORA, *stained("{marker} {dye}-A", SPECTROFLO, None)],
    "MACSQuant": [*scatter("HDR-T", "FSC-A", "SSC-A"), *stained("V{n}-A", MACSQUANT, "{marker}-{dye}-A")],
    "Attune": [*PLAIN, *stained("BL{n}-A", SPECTROFLO), *scatter("FSC-H"), *stained("BL{n}-H", SPECTROFLO)],
    "NovoCyte": [*scatter("FSC-H", "FSC-A", "SSC-A", "Width", "Time"), *stained("{dye}-A", CYTEXPERT)],
    "Sony ID7000": [*scatter("TIME", "FSC_A", "FSC_W", "SSC_A"), *stained("{marker}_{dye}_A", SPECTROFLO, None)],
    "Sony SH800": [*scatter("FSC-A", "FSC-H", "BSC-A"), *stained("FL{n}-A", BECKMAN, "{marker} {dye}")],
    "ZE5, filters": [*scatter("FSC 488/10-A", "SSC 488/10-A", "SSC 405/10-A"), *stained("{n} 525/35-A", BECKMAN)],
    "ZE5, codes": [*scatter("FS00-A", "SS02-A"), *stained("B52{n}-A", BECKMAN)],
    "Symphony": [*DIVA, *scatter("FSC PMT-A"), *stained("YG7{n}-A", SPECTROFLO)],
    "Discover S8": [*scatter("FSC-A", "SSC (Violet)-A", "LightLoss (Violet)-A"), *stained("{dye}-A", SPECTROFLO)],
    "FACSCalibur, heights": [*scatter("FSC-H", "SSC-H"), *stained("FL{n}-H", BECKMAN, "{marker} {dye}")],
    "Accuri": [*PLAIN, *stained("FL{n}-A", BECKMAN, "{marker} {dye}"), *stained("FL{n}-H", BECKMAN, "{marker} {dye}")],
    "CyAn": [
        *scatter("FSC LinH", "FSC LinA", "FSC LogA", "SSC LinA", "SSC LogA"),
        *stained("FL{n} LogA", BECKMAN, "{marker} {dye}"),
        *stained("FL{n} LinA", BECKMAN, "{marker} {dye}"),
    ],
    "Guava": [*scatter("FSC-HLin", "FSC-ALin", "SSC-ALin"), *stained("GRN{n}-ALin", BECKMAN)],
    "DxP10": [*scatter("TIME", "FSC", "SSC"), *stained("FL{n}", BECKMAN, "{marker} {dye}")],
    "FlowJo, compensated": [*PLAIN, *stained("Comp-{dye}-A", SPECTROFLO, None)],
    "FlowJo, both": [*PLAIN, *stained("Comp-{dye}-A", SPECTROFLO), *stained("{dye}-A", SPECTROFLO)],
    "flowWorkspace": [*PLAIN, *stained("FJComp-{dye}-A", SPECTROFLO)],
    "Infinicyt": [*PLAIN, *stained("{marker} {dye}", SPECTROFLO, "{marker} {dye}")],
    "brackets": [*PLAIN, *stained("{dye}-A", SPECTROFLO, "{marker} [{dye}-A]")],
    "colons": [*PLAIN, *stained("{dye}-A", SPECTROFLO, "{dye}-A :: {marker}")],
    "dye first, glued": [
        *PLAIN,
        *stained("D{n}-A", ["FITC", "PE", "ECD", "BB700", "PC7", *BECKMAN[5:]], "{dye}{marker}"),
    ],
}


@pytest.mark.parametrize("names", INSTRUMENTS.values(), ids=INSTRUMENTS)
def test_the_channels_of_every_instrument_are_found(panel: PanelModel, names: Names) -> None:
    found = columns(panel, names)
    first = min(index for index, name in enumerate(names) if name in _fluorescent(names))
    for place, marker in enumerate(MARKERS):
        pnn, pns = names[found[marker]]
        assert marker in f"{pnn} {pns}" or (found[marker] - first) % 10 == place
    for signal in ("FSC-A", "SSC-A"):
        assert (scatter_name(names[found[signal]][0]) or "").startswith(signal[:3])


def _fluorescent(names: Names) -> Names:
    return [name for name in names if not scatter_name(name[0]) and not is_time_name(name[0]) and name[0] != "AF-A"]


def test_stored_values_are_preferred_to_those_that_an_export_compensated(panel: PanelModel) -> None:
    names = INSTRUMENTS["FlowJo, both"]
    assert not [names[index][0] for index in columns(panel, names).values() if (names[index][0] or "")[:4] == "Comp"]


@pytest.mark.parametrize("pns", ["CD3", "TdT", "CRLF2", "HLA-DR", "cyIgM", "kappa", "NG2", "empty"])
def test_a_detector_is_not_believed_where_pns_says_a_word_that_is_no_dye(panel: PanelModel, pns: str) -> None:
    names: Names = [*PLAIN, *[(pnn, pns if pnn == "PE-A" else None) for pnn, _ in INO10]]
    with pytest.raises(ChannelError, match="no CD22"):
        columns(panel, names)


@pytest.mark.parametrize("pns", ["PE", "FL2 INT LOG", "PE-A", "575/26", "Blue 2"])
def test_a_detector_is_believed_where_pns_repeats_dyes_and_optics(panel: PanelModel, pns: str) -> None:
    names: Names = [*PLAIN, *[(pnn, pns if pnn == "PE-A" else None) for pnn, _ in INO10]]
    assert columns(panel, names)["CD22"] == 3


def test_side_scatter_of_another_beam_stands_in_and_says_so(panel: PanelModel) -> None:
    matched = match_channels(panel, INSTRUMENTS["Discover S8"], "x")
    assert matched.notes == ("the file has no SSC-A; SSC (Violet)-A stands in for it",)


@pytest.mark.parametrize(
    "label",
    ["cyCD22", "cy CD22", "icCD22", "CD22 intracellular", "CD22 FMO", "FMO-CD22", "CD22 minus", "CD22 (-)", "no CD22",
     "CD22 isotype", "CD22 IgG1", "dump CD22", "CD22/CD24", "CD22 + kappa", "CD22 TdT", "w/o CD22", "CD22 CAR"],
)  # fmt: skip
def test_a_label_that_qualifies_a_marker_is_not_the_surface_marker(label: str) -> None:
    assert not names_marker(label, "CD22")


@pytest.mark.parametrize(
    "label",
    ["CD22 PE-Cy7", "CD22 PE Cy7", "CD22 PE-Cy 7", "APC-Cy7-CD22", "anti-CD22", "CD22 PerCP Cy5.5", "CD22_PE-A"],
)
def test_a_dye_beside_a_marker_is_no_qualifier(label: str) -> None:
    assert names_marker(label, "CD22")
    assert qualifier(label) == ""


@pytest.mark.parametrize(
    "name",
    ["Cascade Yellow-A", "Super Bright 600-A", "TRITC-A", "Hoechst Red-A", "Indo-1 (Violet)-A", "SYTOX Blue-A",
     "7-AAD-A",
     "Cell Trace Violet-A", "Real Blue 744-A", "Marina Blue-A", "Nile Red-A", "Kusabira Orange-A", "EGFP-A",
     "Near IR-A",
     "Comp-PE-A", "<PE-A>", "Unmixed PE-A", "PE-Fire 810-A", "488-530_30-A", "VioGreen-A", "BluePMT-A", "Event #"],
)  # fmt: skip
def test_detector_names_survive_scrubbing(name: str) -> None:
    assert printable_name(name) in {name, name.replace("Cell Trace", "? ?")}


@pytest.mark.parametrize("name", ["M\u00fcller Anna", "Schmidt-A", "PE Meier", "Marina Rossi"])
def test_names_of_people_are_not_printed(name: str) -> None:
    shown = printable_name(name)
    assert "?" in shown
    assert not any(word in shown for word in ("ller", "Anna", "Schmidt", "Meier", "Marina", "Rossi"))


@pytest.mark.parametrize(
    ("pnn", "panel", "dye", "same"),
    [
        ("PE-A", "PE", "PE", True),
        ("PerCP-Cy5-5-A", "PerCP-Cy5.5", "PerCP-Cy5.5", True),
        ("Alexa Fluor 700-A", "AF700", "AF700", True),
        ("FL2-A", "PE", "PE", True),
        ("B525-A", "FITC", "FITC", True),
        ("CD19-A", "PE", "PE", True),
        ("APC-A", "PE", "APC", False),
        ("Comp-BV421-A", "PE", "BV421", False),
    ],
)
def test_the_dye_of_the_file_is_reported_where_its_detector_names_another_one(
    pnn: str, panel: str, dye: str, same: bool
) -> None:
    assert dye_of_file(pnn, panel) == (dye, same)


@pytest.mark.parametrize(
    ("tag", "dye", "same"),
    [("BV421", "BV421", False), ("PE", "PE", True), ("Alexa Fluor 700", "Alexa Fluor 700", False)],
)
def test_the_dye_that_fcs_3_2_states_goes_before_the_name_of_the_detector(tag: str, dye: str, same: bool) -> None:
    assert dye_of_file("APC-A", "PE", tag) == (dye, same)


@pytest.mark.parametrize(
    ("stored", "detector"),
    [
        ({"pnn": "PE-Cy7-A"}, "PE-Cy7"),
        ({"pnn": "CD19 PE-Cy7-A"}, "PE-Cy7"),
        ({"pnn": "PE-Cy7 CD19"}, "PE-Cy7"),
        ({"pnn": "CD19-A"}, None),
        ({"pnn": "CD19-A", "detector": "B780"}, "B780"),
    ],
)
def test_carriers_are_found_without_using_the_marker_itself(stored: dict[str, str], detector: str | None) -> None:
    entry = channel("CD19", **stored)
    assert detectors_and_dyes([entry], load_panel(PANELS / "ino10.yaml")).detectors.get("CD19") == detector


@pytest.mark.parametrize(("stored", "clone"), [({"pnn": "PE-A"}, True), ({"pnn": "PE-A", "tag": "BV421"}, False)])
def test_the_clone_of_the_panel_is_said_of_the_panels_dye_alone(stored: dict[str, str], clone: bool) -> None:
    panel = load_panel(PANELS / "ino10.yaml")
    known = panel.channel("CD22").model_copy(update={"clone": "S-HCL-1"})
    panel = panel.model_copy(update={"channels": tuple(known if c.marker == "CD22" else c for c in panel.channels)})
    entry = channel("CD22", **stored)
    assert (as_stained(panel, [entry]).channel("CD22").clone is not None) is clone
