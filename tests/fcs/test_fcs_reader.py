"""Reading: right values from every whole file, a clear error from every broken one."""

from __future__ import annotations

import resource
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from fcs_builder import build, keywords, pack_bits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowmrd.errors import FcsError
from flowmrd.fcs.reader import DataSet, choose, marker_names, read_fcs
from flowmrd.fcs.writer import ChannelSpec, write_fcs

ROWS = [[1, 2, 3], [100, 200, 300], [7, 0, 1023], [512, 511, 1]]
LITTLE = np.array(ROWS, dtype="<u2").tobytes()


def save(folder: Path, content: bytes) -> Path:
    path = folder / "tube.fcs"
    path.write_bytes(content)
    return path


def table(one: DataSet) -> list[list[float]]:
    values: list[list[float]] = np.column_stack([np.asarray(column, dtype=float) for column in one.raw()]).tolist()
    return values


def read(folder: Path, content: bytes) -> DataSet:
    return choose(read_fcs(save(folder, content)))


def codes(one: DataSet) -> set[str]:
    return {finding.code for finding in one.findings}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    datatype=st.sampled_from(["F", "D", "I"]),
    bits=st.lists(st.sampled_from([8, 16, 24, 32, 40, 64]), min_size=1, max_size=5),
    big=st.booleans(),
    n=st.integers(1, 40),
    seed=st.integers(0, 9),
)
def test_every_written_type_width_and_byte_order_reads_back(
    tmp_path: Path, datatype: str, bits: list[int], big: bool, n: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    path = tmp_path / "t.fcs"
    if datatype == "I":
        data = [rng.integers(0, 1 << min(width, 62), n, dtype=np.int64).astype(np.uint64) for width in bits]
    else:
        data = [rng.normal(0, 1e4, n).astype("f4" if datatype == "F" else "f8") for _ in bits]
    specs = [ChannelSpec(f"C{i}", range=1 << width, bits=width) for i, width in enumerate(bits)]
    write_fcs(path, data, specs, datatype=datatype, big_endian=big)  # type: ignore[arg-type]
    one = read_fcs(path)[0]
    assert all(np.array_equal(mine, theirs) for mine, theirs in zip(one.raw(), data, strict=True))
    assert np.array_equal(one.scaled(), np.array(data).astype(np.float32))


@pytest.mark.parametrize("big", [True, False])
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(bits=st.lists(st.integers(1, 33), min_size=1, max_size=4), n=st.integers(1, 60), seed=st.integers(0, 9))
def test_bit_packed_integers_of_any_width_read_back(
    tmp_path: Path, big: bool, bits: list[int], n: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    rows = [[int(rng.integers(0, 1 << width)) for width in bits] for _ in range(n)]
    order = "4,3,2,1" if big else "1,2,3,4"
    if all(width % 8 == 0 for width in bits):
        bits = [*bits, 5]
        rows = [[*row, 3] for row in rows]
    words = sum(next(w for w in (8, 16, 32, 64) if w >= width) for width in bits)
    packed = pack_bits(rows, bits, big=big)
    if (n * words + 7) // 8 - len(packed) in (0, 1):
        return  # both readings have the same size: nothing in the file can tell
    assert table(read(tmp_path, build(keywords(n, bits, byteord=order), packed))) == rows


def test_ten_bits_stored_in_sixteen_are_read_as_words_and_masked(tmp_path: Path) -> None:
    tagged = (np.array(ROWS, dtype="<u2") | 0x8000).tobytes()
    one = read(tmp_path, build(keywords(4, [10, 10, 10], ranges=[1024] * 3), tagged))
    assert table(one) == ROWS
    assert "padded_words" in codes(one)


@pytest.mark.parametrize(("limit", "kept"), [(1000, 1023), (1024, 1023), (1025, 2047), (65536, 65535), (3000, 4095)])
def test_integers_keep_the_bits_below_the_next_power_of_two(tmp_path: Path, limit: int, kept: int) -> None:
    one = read(tmp_path, build(keywords(2, [16], ranges=[limit]), b"\xff\xff\x01\x00"))
    assert table(one) == [[kept], [1]]


def test_middle_endian_words_follow_byteord(tmp_path: Path) -> None:
    # 0x04030201 with significance 3,4,1,2 of the stored bytes
    one = read(tmp_path, build(keywords(1, [32], byteord="3,4,1,2"), b"\x03\x04\x01\x02"))
    assert table(one) == [[0x04030201]]


def test_mixed_types_of_fcs32_are_decoded_by_parameter(tmp_path: Path) -> None:
    row = np.array([4097], "<u2").tobytes() + np.array([0.1], "<f8").tobytes() + np.array([2.5], "<f4").tobytes()
    extra = {"$P1DATATYPE": "I", "$P2DATATYPE": "D"}
    pairs = keywords(1, [16, 64, 32], datatype="F", ranges=[4096, 9, 9], extra=extra)
    assert table(read(tmp_path, build(pairs, row, version="FCS3.2"))) == [[1, 0.1, 2.5]]


@pytest.mark.parametrize("data", [b"  1 20300", b"001020300"])
def test_fixed_width_ascii_reads_numbers(tmp_path: Path, data: bytes) -> None:
    one = read(tmp_path, build(keywords(1, [3, 3, 3], datatype="A"), data))
    assert table(one) == [[1, 20, 300]]


def test_delimited_ascii_reads_numbers_and_refuses_a_wrong_count(tmp_path: Path) -> None:
    pairs = keywords(2, [8, 8], datatype="A", extra={"$P1B": "*", "$P2B": "*"})
    assert table(read(tmp_path, build(pairs, b"1 2\r\n3,4 "))) == [[1, 2], [3, 4]]
    with pytest.raises(FcsError, match="3 numbers"):
        read(tmp_path, build(pairs, b"1 2 3")).raw()


@pytest.mark.parametrize(
    ("bend", "code"),
    [
        ({"in_header": lambda a, b: (a, b + 1), "in_text": lambda a, b: (a, b + 1)}, "end_off_by_one"),
        ({"in_header": lambda a, b: (0, 0)}, "offsets_in_text_only"),
        ({"in_header": lambda a, b: (" ", " ")}, "offsets_in_text_only"),
        ({"in_header": lambda a, b: (a, 99999999)}, "offsets_disagree"),
        ({"in_header": lambda a, b: (a - 20, b)}, "offsets_disagree"),
        ({"in_text": lambda a, b: (a, b + 700)}, "offsets_disagree"),
        ({"in_text": lambda a, b: (0, 0)}, ""),
        ({"in_header": lambda a, b: (a, 99999999), "in_text": lambda a, b: (0, 0)}, "end_by_count"),
        ({"in_text": lambda a, b: (a - 1, b - 1)}, "offsets_disagree"),
        (
            {"tail": bytes(600), "in_header": lambda a, b: (a, b + 600), "in_text": lambda a, b: (a, b + 600)},
            "end_by_count",
        ),
    ],
)
def test_offsets_that_are_wrong_in_a_known_way_are_resolved_and_recorded(
    tmp_path: Path, bend: dict[str, object], code: str
) -> None:
    one = read(tmp_path, build(keywords(4, [16] * 3), LITTLE, **bend))  # type: ignore[arg-type]
    assert table(one) == ROWS
    assert not code or code in codes(one)


def test_two_places_that_fit_equally_well_are_refused(tmp_path: Path) -> None:
    content = build(
        keywords(4, [16] * 3),
        LITTLE,
        tail=bytes(64),
        in_text=lambda a, b: (a + 24, b + 24),
        in_header=lambda a, b: (a + 6, b + 6),
    )
    with pytest.raises(FcsError, match="two possible positions"):
        read(tmp_path, content)


def test_a_place_that_was_not_brought_up_to_date_gives_way_to_the_one_that_fits_snugly(tmp_path: Path) -> None:
    content = build(keywords(4, [16] * 3), LITTLE, tail=bytes(64), in_text=lambda a, b: (a + 24, b + 24))
    one = read(tmp_path, content)
    assert table(one) == ROWS
    assert "offsets_disagree" in codes(one)


@pytest.mark.parametrize("change", [-9, -3, -1, 1, 3, 40])
@pytest.mark.parametrize("at", [20, 60, 120])
def test_bytes_inserted_or_lost_before_data_are_noticed(tmp_path: Path, change: int, at: int) -> None:
    content = build(keywords(4, [16] * 3, extra={"$CYT": "none", "$COM": "a comment"}), LITTLE, tail=b"0" * 8)
    moved = content[:at] + b"x" * change + content[at:] if change > 0 else content[:at] + content[at - change :]
    try:
        one = read(tmp_path, moved)
    except FcsError:
        return
    assert table(one) == ROWS


@pytest.mark.parametrize("version", ["FCS2.0", "FCS3.0", "FCS3.1", "FCS3.2"])
def test_every_cut_of_a_file_is_refused(tmp_path: Path, version: str) -> None:
    content = build(keywords(4, [16] * 3), LITTLE, version=version)
    for length in range(len(content)):
        with pytest.raises(FcsError):
            read(tmp_path, content[:length])


def test_events_that_contradict_tot_are_refused(tmp_path: Path) -> None:
    for said in (3, 5, 400):
        with pytest.raises(FcsError):
            read(tmp_path, build(keywords(said, [16] * 3), LITTLE, tail=b"\x01" * 5000))


def test_missing_tot_counts_events_from_the_size_of_data(tmp_path: Path) -> None:
    one = read(tmp_path, build(keywords(None, [16] * 3), LITTLE, version="FCS2.0"))
    assert table(one) == ROWS
    assert "tot_missing" in codes(one)


def test_a_billion_events_in_the_header_are_refused_before_memory_is_taken(tmp_path: Path) -> None:
    path = save(tmp_path, build(keywords(10**9, [32] * 200), bytes(800), in_text=lambda a, b: (a, a + 8 * 10**11 - 1)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tracemalloc.start()
    with pytest.raises(FcsError, match="1000000000 events announced"):
        read_fcs(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4_000_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"$MODE": "C"}, "histograms"),
        ({"$PAR": "4"}, "width of parameter 4"),
        ({"$PAR": "99999999"}, "number of parameters"),
        ({"$P1B": "0"}, "width of parameter 1"),
        ({"$P1R": "x"}, "range"),
        ({"$DATATYPE": "X"}, "DATATYPE"),
        ({"$BYTEORD": "1,2,3,5"}, "BYTEORD"),
        ({"$BYTEORD": "3,4,1,2"}, "mixed"),
    ],
)
def test_a_description_that_cannot_be_trusted_is_refused(tmp_path: Path, change: dict[str, str], message: str) -> None:
    with pytest.raises(FcsError, match=message):
        read(tmp_path, build(keywords(4, [16] * 3, extra=change), LITTLE))


def test_a_file_that_is_not_fcs_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"PK\x03\x04", b"FCS3.1", b"FCS1.0".ljust(200), b"hello world " * 20):
        with pytest.raises(FcsError):
            read(tmp_path, content)
    with pytest.raises(FcsError, match="no such file"):
        read_fcs(tmp_path / "absent.fcs")


def test_log_amplification_gain_and_timestep_follow_the_standard(tmp_path: Path) -> None:
    extra = {"$P1E": "4,1", "$P2E": "4,0", "$P3E": "3,0.1", "$P4G": "8", "$P5N": "Time", "$P5G": "0.01"}
    pairs = keywords(2, [16] * 5, ranges=[1024] * 4 + [65536], extra=extra | {"$TIMESTEP": "0.5"})
    data = np.array([[512, 512, 512, 512, 512], [0, 1, 1023, 3, 60000]], "<u2")
    one = read(tmp_path, build(pairs, data.tobytes()))
    x = data.astype(float)
    expected = [10 ** (4 * x[:, 0] / 1024), 10 ** (4 * x[:, 1] / 1024), 0.1 * 10 ** (3 * x[:, 2] / 1024)]
    expected += [x[:, 3] / 8, x[:, 4] * 0.5]
    assert np.allclose(one.scaled(), expected, rtol=1e-6)
    assert one.raw_sums().tolist() == x.sum(axis=0).tolist()
    assert {"amplification_zero", "gain_ignored"} <= codes(one)


def test_values_after_scaling_equal_flowkit(tmp_path: Path) -> None:
    import flowkit

    path = tmp_path / "a.fcs"
    rng = np.random.default_rng(3)
    specs = [ChannelSpec("FSC-A", range=1024, gain=2.0), ChannelSpec("FL1-A", range=1024, log=(4, 1))]
    specs.append(ChannelSpec("Time", range=65536))
    write_fcs(path, [rng.integers(0, 1024, 300) for _ in specs], specs, {"$TIMESTEP": "0.01"}, datatype="I", bits=16)
    theirs = flowkit.Sample(path).get_events("raw").T
    assert np.allclose(read_fcs(path)[0].scaled(), theirs, rtol=1e-6)


def test_nan_and_infinity_are_kept(tmp_path: Path) -> None:
    values = np.array([[1, np.nan], [np.inf, -np.inf]], "<f4")
    one = read(tmp_path, build(keywords(2, [32, 32], datatype="F", ranges=[9, 9]), values.tobytes()))
    assert np.array_equal(one.scaled(), values.T, equal_nan=True)


def two_sets(names: dict[str, str], *, second_events: int = 4, absolute: bool = False) -> bytes:
    """A two-part LMD: 10-bit FCS 2.0 with marker names, then 20-bit FCS 3.0 without."""
    coarse = keywords(4, [16] * 3, ranges=[1024] * 3, byteord="1,2", extra=names)
    length = len(build(coarse | {"$NEXTDATA": "9999"}, LITTLE, version="FCS2.0"))
    first = build(coarse | {"$NEXTDATA": f"{length:4d}"}, LITTLE, version="FCS2.0")
    data = np.array(ROWS * 2, "<u4")[:second_events] * 1000
    fine = keywords(second_events, [32] * 3, ranges=[1 << 20] * 3)
    return first + build(fine, data.tobytes(), version="FCS3.0", base=length if absolute else 0)


@pytest.mark.parametrize("absolute", [False, True])
def test_the_finer_of_two_twin_data_sets_is_chosen_and_named_by_the_other(tmp_path: Path, absolute: bool) -> None:
    names = {"$P1S": "CD45 KrO", "$P2S": "CD19 PC7", "$P3S": "FL3 LOG", "$P2N": "FL2 INT LOG"}
    sets = read_fcs(save(tmp_path, two_sets(names, absolute=absolute)))
    assert [one.n_events for one in sets] == [4, 4]
    chosen = choose(sets)
    assert chosen.index == 1
    assert table(chosen) == (np.array(ROWS) * 1000).tolist()
    assert marker_names(chosen, sets) == ([("FL1-A", "CD45 KrO"), ("FL2-A", "CD19 PC7"), ("FL3-A", None)], True)


def test_data_sets_of_different_tubes_need_a_choice(tmp_path: Path) -> None:
    sets = read_fcs(save(tmp_path, two_sets({}, second_events=6)))
    with pytest.raises(FcsError, match="several tubes"):
        choose(sets)
    assert choose(sets, 0).n_events == 4
    with pytest.raises(FcsError, match="no list-mode data set 7"):
        choose(sets, 7)


def test_marker_names_in_supplemental_text_are_read_and_never_replace_primary_ones(tmp_path: Path) -> None:
    pairs = keywords(4, [16] * 3, extra={"$P1S": "CD19", "$BEGINSTEXT": "0000", "$ENDSTEXT": "0000"})
    supplement = b"/$P1S/wrong/$P2S/CD22/"
    start = len(build(pairs, LITTLE))
    pairs |= {"$BEGINSTEXT": f"{start:04d}", "$ENDSTEXT": f"{start + len(supplement) - 1:04d}"}
    one = read(tmp_path, build(pairs, LITTLE, tail=supplement))
    assert [channel.pns for channel in one.channels] == ["CD19", "CD22", None]


def test_a_path_with_unescaped_delimiters_does_not_hide_the_description(tmp_path: Path) -> None:
    pairs = keywords(4, [16] * 3)
    plain = build(pairs, LITTLE, delimiter="\\")
    body = plain[64 : plain.index(LITTLE)]
    broken = b"\\$FIL\\C:\\lab\\b\\x.fcs" + body
    shift = len(broken) - len(body)
    content = build(pairs, LITTLE, text=broken.replace(b"$BEGINDATA", b"$XEGINDATA").replace(b"$ENDDATA", b"$XNDDATA"))
    one = read(tmp_path, content)
    assert shift > 0
    assert table(one) == ROWS
    assert "unescaped_delimiter" in codes(one)


def test_two_hundred_parameters_are_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(0, 1, (50, 200)).astype("<f4")
    one = read(tmp_path, build(keywords(50, [32] * 200, datatype="F", ranges=[9] * 200), values.tobytes()))
    assert np.array_equal(one.scaled(), values.T)


def test_offsets_beyond_the_header_are_read_from_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowmrd.fcs.writer.HEADER_LIMIT", 500)
    path = tmp_path / "big.fcs"
    values = [np.arange(500, dtype=np.float32)]
    write_fcs(path, values, [ChannelSpec("FSC-A")])
    assert path.read_bytes()[26:42].split() == [b"0", b"0"]
    assert np.array_equal(read_fcs(path)[0].scaled(), values)


def test_a_text_end_written_too_early_is_read_up_to_data(tmp_path: Path) -> None:
    content = bytearray(build(keywords(4, [16] * 3), LITTLE))
    end = int(content[18:26])
    content[18:26] = b"%8d" % (end - 6)
    one = read(tmp_path, bytes(content))
    assert table(one) == ROWS
    assert one.channels[2].range == 65536
    assert "text_end_short" in codes(one)


def test_integers_above_the_range_are_counted_before_they_are_folded(tmp_path: Path) -> None:
    path = tmp_path / "a.fcs"
    values = b"".join(value.to_bytes(2, "little") for value in (5, 1023, 1024, 1000, 2000, 999))
    path.write_bytes(build(keywords(6, [16], ranges=[1000]), values))
    one = read_fcs(path)[0]
    assert one.raw()[0].tolist() == [5, 1023, 0, 1000, 976, 999]
    assert one.above_range() == {0: 4}


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "an empty file"),
        (b"%PDF-1.7\n" + b"x" * 500, "a PDF document"),
        (b"\x89PNG\r\n\x1a\n" + b"x" * 500, "a picture"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"x" * 500, "an older Office document"),
        (b"PK\x03\x04" + b"x" * 500, "a ZIP archive"),
        (b"sample,mrd\nA,0\n" * 20, "a file that is not FCS"),
    ],
)
def test_another_kind_of_file_under_an_fcs_name_is_called_what_it_is(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "tube.fcs"
    path.write_bytes(content)
    with pytest.raises(FcsError) as refused:
        read_fcs(path)
    assert refused.value.found == what
