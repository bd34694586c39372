"""Odd and broken FCS files built by hand, each with what its bytes hold by the standard.

What two independent readers give was compared while these were chosen (FlowIO 1.4.0 with offset checks off, fcsparser
0.2.4); where readers differ the standard decides, and where it does not, an error is right.
"""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from fcs_builder import Offsets, build, header, keywords

Table = npt.NDArray[np.float64]


@dataclass(frozen=True)
class OddFile:
    """Bytes of a file and the values of its data sets; ``None`` where it must be refused."""

    name: str
    content: bytes
    values: tuple[Table, ...] | None
    finding: str = ""


_RNG = np.random.default_rng(20)
FLOATS = np.column_stack([_RNG.normal(1000, 300, (50, 3)), np.sort(_RNG.random(50) * 900)]).astype("<f4")
_NAMED = {"$P1N": "FSC-A", "$P2N": "SSC-A", "$P3N": "PE-A", "$P3S": "CD22", "$P4N": "Time", "$TIMESTEP": "0.01"}


def _pairs(n: int | None = 50, changes: Mapping[str, str] | None = None) -> dict[str, str]:
    changed = {f"${key}": value for key, value in (changes or {}).items()}
    return keywords(n, [32] * 4, datatype="F", ranges=[262144] * 4, extra=_NAMED | changed)


def _floats(
    changes: Mapping[str, str] | None = None,
    *,
    tail: bytes = b"",
    n: int | None = 50,
    data: bytes | None = None,
    in_header: Offsets | None = None,
    in_text: Offsets | None = None,
    version: str = "FCS3.1",
    delimiter: str = "/",
) -> bytes:
    content = FLOATS.tobytes() if data is None else data
    return build(
        _pairs(n, changes),
        content,
        tail=tail,
        in_header=in_header,
        in_text=in_text,
        version=version,
        delimiter=delimiter,
    )


def _patched(content: bytes, **fields: int | bytes) -> bytes:
    """Overwrite fields of HEADER: ``t`` TEXT, ``d`` DATA, ``a`` ANALYSIS; 0 begin, 1 end."""
    changed = bytearray(content)
    for name, value in fields.items():
        place = 10 + 8 * (("t0", "t1", "d0", "d1", "a0", "a1").index(name))
        changed[place : place + 8] = b"%8d" % value if isinstance(value, int) else value
    return bytes(changed)


def _field(content: bytes, name: str) -> int:
    place = 10 + 8 * (("t0", "t1", "d0", "d1", "a0", "a1").index(name))
    return int(content[place : place + 8])


def _shaped(
    *,
    front: str = "",
    back: str = "",
    end: str | None = None,
    delimiter: str = "/",
    without: tuple[str, ...] = (),
    undoubled: Mapping[str, str] | None = None,
    raw: Mapping[str, bytes] | None = None,
) -> bytes:
    """A float file whose TEXT is put together by hand; ``front`` and ``back`` are written as they stand."""
    pairs = {"$BEGINDATA": "{b:08d}", "$ENDDATA": "{e:08d}"} | _pairs()
    text = delimiter + front
    for key, value in pairs.items():
        if key not in without:
            text += key + delimiter + value.replace(delimiter, 2 * delimiter) + delimiter
    for key, value in (undoubled or {}).items():
        text += key + delimiter + value + delimiter
    text += back
    segment = (text if end is None else text[: -len(delimiter)] + end).encode()
    for key, stored in (raw or {}).items():
        segment += key.encode() + delimiter.encode() + stored + delimiter.encode()
    begin = 64 + len(segment.replace(b"{b:08d}", bytes(8)).replace(b"{e:08d}", bytes(8)))
    last = begin + FLOATS.nbytes - 1
    segment = segment.replace(b"{b:08d}", b"%08d" % begin).replace(b"{e:08d}", b"%08d" % last)
    return header("FCS3.1", 64, begin - 1, begin, last).ljust(64) + segment + FLOATS.tobytes()


def _spaced(padding: bytes, in_text: int = 0, tail: bytes = b"") -> bytes:
    """``padding`` between TEXT and DATA, of which HEADER counts ``in_text`` bytes to TEXT."""
    plain = _floats(in_text=lambda a, b: (a + len(padding), b + len(padding)))
    begin = _field(plain, "d0")
    moved = _patched(
        plain,
        t1=begin - 1 + in_text,
        d0=begin + len(padding),
        d1=begin + len(padding) + FLOATS.nbytes - 1,
    )
    return moved[:begin] + padding + moved[begin:] + tail


def _words(columns: npt.NDArray[Any], bits: int, *, big: bool = False) -> bytes:
    wide = np.ascontiguousarray(columns.T.astype("<u8")).view("u1").reshape(columns.shape[1], len(columns), 8)
    cells = wide[:, :, : bits // 8]
    return (cells[:, :, ::-1] if big else cells).tobytes()


def _integers(bits: int, limit: str, order: str = "1,2,3,4", stored: int | None = None) -> OddFile:
    stored = stored or bits
    high = 1 << min(stored, 63)
    columns = np.random.default_rng(bits).integers(0, high, (3, 40), dtype=np.uint64)
    if stored == 64:
        columns[0] = (1 << 64) - 1
    ceiling = int(np.ceil(float(limit)))
    exact = int(limit) if limit.isdigit() else ceiling
    kept = min((1 << (exact - 1).bit_length()) - 1, (1 << bits) - 1)
    pairs = keywords(40, [bits] * 3, byteord=order, extra={f"$P{i}R": limit for i in (1, 2, 3)})
    big = order.replace(" ", "").startswith(("4", "2,1", "3,2"))
    content = build(pairs, _words(columns, stored, big=big))
    name = f"integers of {bits} bits in {stored}, range {limit}, order {order}"
    return OddFile(name, content, ((columns & np.uint64(kept)).T.astype(float),))


def _sets(
    *, absolute: bool, further: int = 1, events: int = 40, mode: str = "L", cut: int = 0, tail: bytes = b""
) -> OddFile:
    """An LMD: 10 bits in FCS 2.0, then one or two sets of 20 bits in FCS 3.0; ``tail`` behind each."""
    coarse = _RNG.integers(0, 1024, (3, 40))
    fine = _RNG.integers(0, 1 << 20, (3, events))
    names = {"$P1N": "FS INT LIN", "$P2N": "SS INT LIN", "$P3N": "FL1 INT LOG", "$P3S": "CD45-KrO"}
    first = keywords(40, [16] * 3, ranges=[1024] * 3, byteord="1,2", extra=names)
    later = keywords(events, [32] * 3, ranges=[1 << 20] * 3, extra={"$MODE": mode})
    content = build(first | {"$NEXTDATA": "00000000"}, _words(coarse, 16), version="FCS2.0", tail=tail)
    content = build(first | {"$NEXTDATA": f"{len(content):08d}"}, _words(coarse, 16), version="FCS2.0", tail=tail)
    values = [coarse.T.astype(float)]
    for number in range(further):
        base = len(content) if absolute else 0
        following = ""
        if number + 1 < further:
            announced = later | {"$NEXTDATA": "00000000"}
            size = len(build(announced, _words(fine, 32), version="FCS3.0", base=base, tail=tail))
            following = f"{size + base:08d}"
        pairs = later | ({"$NEXTDATA": following} if following else {})
        content += build(pairs, _words(fine, 32), version="FCS3.0", base=base, tail=tail)
        if mode == "L":
            values.append(fine.T.astype(float))
    name = (
        f"{further + 1} data sets, mode {mode}, {events} events, absolute {absolute}, {cut} short, {len(tail)} behind"
    )
    return OddFile(name, content[: len(content) - cut], None if cut else tuple(values))


def ends_of_text() -> Iterator[OddFile]:
    """Where TEXT ends, and what stands there."""
    for byte in (0x00, 0x0A, 0x20, 0x24, 0x2F, 0x41, 0x7F, 0x9C, 0xFF):
        data = bytes([byte]) + FLOATS.tobytes()[1:]
        plain = _floats(data=data)
        content = _patched(plain, t1=_field(plain, "t1") + 1)
        yield OddFile(f"TEXT ends with the first byte of DATA, {byte:#x}", content, (_table(data),))
    one_late = _floats(tail=b"0" * 8, in_header=lambda a, b: (a, b + 1), in_text=lambda a, b: (a, b + 1))
    yield _right("TEXT and DATA end one byte late", _patched(one_late, t1=_field(one_late, "t1") + 1), "end_off_by_one")
    plain = _floats()
    yield _right("TEXT ends before its delimiter", _patched(plain, t1=_field(plain, "t1") - 1))
    yield _right("TEXT begins one byte late", _patched(plain, t0=65))
    yield _right("TEXT begins one byte early", _patched(plain, t0=63))
    yield _right("no final delimiter", _shaped(end=""), "no_final_delimiter")
    yield _right("line feed for the final delimiter", _shaped(end="\n"), "no_final_delimiter")
    yield _right("keyword without a value", _shaped(back="$COM/"), "value_missing")
    for padding in (b" ", b"\x00", b"/"):
        yield _right(f"300 times {padding!r} counted to TEXT", _spaced(padding * 300, 300))
    yield _right("eight delimiters at the end", _spaced(b"/" * 8, 8))
    yield _right("padding not counted to TEXT", _spaced(b" " * 300))
    yield _right("TEXT ends inside its padding", _spaced(b" " * 300, 1))
    yield _right("another segment between TEXT and DATA", _spaced(b"/ANA/1/LYS/2/"))
    yield _right("junk between TEXT and DATA, checksum behind", _spaced(b"@other@" * 9, tail=b"    1A2B"))


def delimiters() -> Iterator[OddFile]:
    """Delimiters, and delimiters inside values."""
    for character in '\x0c\x1e|\\*!,;\t\n\x01~#\x0b\x07"^$@&%=+:\x7f_':
        yield _right(f"delimiter {character!r}", _floats(delimiter=character))
    yield _right("odd TEXT, XML behind DATA", _shaped(back="$COM/") + b"<?xml version='1.0'?><a/>")
    yield _right("empty first keyword", _shaped(front="/"))
    yield _right("empty values", _shaped(front="$SRC//$OP//$COM//$SMNO//"), "empty_values")
    yield _right("empty last value", _shaped(back="$COM//"))
    yield _right("value of a delimiter", _floats({"COM": "/"}))
    yield _right("delimiters at both ends of a value", _floats({"COM": "/a/"}))
    for value in ("a/b.fcs", "/a/b.fcs", "/a/b/c.fcs"):
        yield _right(f"undoubled delimiters in {value}", _shaped(undoubled={"$FIL": value}))
    yield _right("backslashes in a path", _shaped(delimiter="\\", undoubled={"$FIL": "C:\\a\\b.fcs"}))
    yield _right("undoubled in front of all", _shaped(front="$FIL/a/b.fcs/"), "unescaped_delimiter")
    yield _right("blanks around keyword and value", _shaped(front=" $COM / x /"))
    yield _right("Latin-1", _shaped(raw={"$OP": b"J\xf6rg"}))
    yield _right("Shift-JIS with a backslash in it", _shaped(delimiter="\\", raw={"$COM": "ソ表".encode("shift-jis")}))


def places_of_data() -> Iterator[OddFile]:
    """HEADER, $BEGINDATA, $ENDDATA, $TOT and what lies behind DATA."""
    plain = _floats()
    yield _right("HEADER filled with NUL", plain[:10] + plain[10:58].replace(b" ", b"\x00") + plain[58:])
    yield _right("HEADER with the end of DATA left out", _patched(plain, d1=0))
    yield _right("HEADER with DATA 0 to -1", _patched(plain, d0=0, d1=-1))
    yield _right("HEADER with words for offsets", _patched(plain, d0=b"xxxxxxxx", d1=b"xxxxxxxx"))
    yield _right("HEADER with 99999999 twice", _patched(plain, d0=99999999, d1=99999999))
    yield _right(
        "99999999 and no $ENDDATA", _patched(_floats(in_text=lambda a, b: (0, 0)), d1=99999999), "end_by_count"
    )
    yield _right("ANALYSIS 0 to -1", _patched(plain, a1=-1))
    bends: list[tuple[str, Offsets | None, Offsets | None, bytes]] = [
        ("begin one early in HEADER", lambda a, b: (a - 1, b - 1), None, b""),
        ("begin one late in HEADER", lambda a, b: (a + 1, b), None, b""),
        ("checksum counted to DATA", lambda a, b: (a, b + 8), lambda a, b: (a, b + 8), b"    1A2B"),
        ("begin one late in both", lambda a, b: (a + 1, b + 1), lambda a, b: (a + 1, b + 1), b"0" * 8),
        ("begin one early in both", lambda a, b: (a - 1, b - 1), lambda a, b: (a - 1, b - 1), b""),
        ("end one late in HEADER, begin in TEXT", lambda a, b: (a, b + 1), lambda a, b: (a + 1, b + 1), b"junk" * 9),
        ("another place of the same size in TEXT", None, lambda a, b: (a + 64, b + 64), bytes(100)),
        ("begin one late in TEXT", None, lambda a, b: (a + 1, b + 1), b"xx"),
        ("offsets in TEXT beyond the file", None, lambda a, b: (a * 7, b * 9), b""),
        ("offsets in TEXT inside HEADER", None, lambda a, b: (12, 34), b""),
        ("length for the end in HEADER", lambda a, b: (a, b - a + 1), None, b""),
        ("both ends one short", lambda a, b: (a, b - 1), lambda a, b: (a, b - 1), b""),
        ("both ends beyond the file", lambda a, b: (a, b + 100), lambda a, b: (a, b + 100), b""),
        ("a part of an event behind the last", lambda a, b: (a, b + 3), lambda a, b: (a, b + 3), b"\x01\x02\x03"),
    ]
    for name, in_header, in_text, tail in bends:
        yield _right(name, _floats(tail=tail, in_header=in_header, in_text=in_text))
    for tail in (b"junk" * 1000, b"0" * 8, b"0000", bytes(999)):
        yield _right(f"{len(tail)} bytes {tail[:4]!r} behind DATA", _floats(tail=tail))
    for count in ("     50   ", "0000000050", "50.0", "5e1"):
        yield _right(f"$TOT {count!r}", _floats({"TOT": count}))
    yield _right("no $TOT", _floats(n=None), "tot_missing")
    for following in ("*", " ", "100", "99999999999999999999", "-1"):
        yield _right(f"$NEXTDATA {following!r}", _floats({"NEXTDATA": following}))
    for place in ("64 500", "700 900", "-1 -1", "99999999999 99999999999999999999"):
        first, last = place.split()
        yield _right(f"$BEGINSTEXT {place}", _floats({"BEGINSTEXT": first, "ENDSTEXT": last}))
    nothing = np.zeros((0, 4))
    for name, bend in (
        ("0 and 0", lambda a, b: (0, 0)),
        ("begin and begin", lambda a, b: (a, a)),
        ("begin and begin - 1", None),
    ):
        content = _floats(n=0, data=b"", in_header=bend, in_text=bend)
        yield OddFile(f"no events, DATA from {name}", content, (nothing,), "no_events")
    zeros = FLOATS.copy()
    zeros[40:] = 0
    name = "zeros for the last events"
    yield OddFile(name, _floats(data=zeros.tobytes()), (zeros.astype(float),), "blank_events_at_end")
    for name, changes in (("TOT", "60"), ("TOT", "1000000000"), ("TOT", "40"), ("PAR", "5"), ("PAR", "0")):
        yield OddFile(f"${name} {changes}", _floats({name: changes}), None)
    for absolute in (False, True):
        yield _sets(absolute=absolute)
        yield _sets(absolute=absolute, further=2)
        yield _sets(absolute=absolute, events=70)
        yield _sets(absolute=absolute, mode="U")
        yield _sets(absolute=absolute, further=2, tail=b"0" * 8)
        yield _sets(absolute=absolute, further=2, tail=bytes(300) + b"0" * 8)
    yield _sets(absolute=False, cut=20)
    yield _sets(absolute=False, cut=500)


def descriptions() -> Iterator[OddFile]:
    """Types, widths, ranges and byte orders."""
    for change in ({"MODE": "l"}, {"DATATYPE": "f"}, {"P1B": "32.0"}, {"P2N": "FSC-A"}, {"BYTEORD": "1234"}):
        yield _right(f"{change}", _floats(change))
    for limit in ("262144.000000", "2.62144e+05", "-111", "unlimited", "inf", "0"):
        yield _right(f"range {limit} of a float", _floats({"P2R": limit}))
    for key in ("$MODE", "$P2N", "$P2R", "$P2E"):
        yield _right(f"no {key}", _shaped(without=(key,)))
    for order in ("4,3,2,1", "2,1", " 4, 3, 2, 1 "):
        swapped = _floats({"BYTEORD": order}, data=FLOATS.astype(">f4").tobytes())
        yield _right(f"floats in order {order!r}", swapped)
    middle = np.frombuffer(FLOATS.tobytes(), "u1").reshape(-1, 4)[:, [2, 3, 0, 1]].tobytes()
    yield _right("floats in order 3,4,1,2", _floats({"BYTEORD": "3,4,1,2"}, data=middle))
    for order in ("1,2,3,4", "4,3,2,1"):
        for bits in (8, 16, 24, 32, 40, 48, 56, 64):
            for top in (1 << bits, (1 << bits) - 1, 1000 if bits > 8 else 100, 1 << (bits + 3), 1):
                yield _integers(bits, str(top), order)
    for limit in ("1024.0", "1.024e3", "1023.5", "01024"):
        yield _integers(16, limit)
    for bits, stored in ((10, 16), (12, 16), (14, 16), (18, 32), (20, 32), (20, 24)):
        yield _integers(bits, str(1 << bits), stored=stored)
    yield _integers(16, "65536", "2,1")
    yield _integers(24, "16777216", "3,2,1")
    row = np.zeros(30, dtype=[("a", ">u2"), ("b", ">f8"), ("c", ">f4"), ("d", "u1"), ("e", ">u4")])
    for field in "abcde":
        row[field] = _RNG.integers(0, 200, 30) + (0.25 if field in "bc" else 0)
    row["a"] |= 0xF000
    types = {"$P1DATATYPE": "I", "$P2DATATYPE": "d", "$P4DATATYPE": "i", "$P5DATATYPE": "I"}
    pairs = keywords(30, [16, 64, 32, 8, 32], datatype="F", ranges=[1024, 9, 9, 256, 1 << 20], byteord="4,3,2,1")
    mixed = np.column_stack([row["a"] & 1023, *(row[field] for field in "bcde")]).astype(float)
    yield OddFile("four types", build(pairs | types, row.tobytes(), version="FCS3.2"), (mixed,))
    stars = {f"$P{i}B": "*" for i in (1, 2, 3)}
    numbers = np.array([[1, 20, 300], [4, 55, 666]], dtype=float)
    for text in (b"1 20 300 4 55 666", b"1,20,300\r\n4,55,666\r\n"):
        for n in (2, None):
            pairs = keywords(n, [8] * 3, datatype="A") | stars
            yield OddFile(f"{text!r}, $TOT {n}", build(pairs, text, version="FCS2.0"), (numbers,))
    for wrong in ("MODE C", "MODE U", "MODE H", "P1B 0", "P1B -32", "P1B 12x", "BYTEORD little", "DATATYPE S"):
        key, value = wrong.split()
        yield OddFile(f"${wrong}", _floats({key: value}), None)
    without = {key: value for key, value in keywords(4, [16] * 3).items() if key != "$P2R"}
    yield OddFile("integers without a range", build(without, bytes(24)), None)
    packed = keywords(None, [10] * 3, ranges=[1024] * 3)
    yield OddFile("ten bits, packed or not, without $TOT", build(packed, bytes(240), version="FCS2.0"), None)


def not_fcs() -> Iterator[OddFile]:
    """Containers, other formats, damage on the way."""
    plain = _floats()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writer:
        writer.writestr("a.fcs", plain)
    contents = {
        "gzip": gzip.compress(plain),
        "ZIP": archive.getvalue(),
        "web page": b"<!DOCTYPE html><html><body>404</body></html>" * 9,
        "pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
        "byte order mark": b"\xef\xbb\xbf" + plain,
        "line feed in front": b"\n" + plain,
        "UTF-16": plain.decode("latin-1").encode("utf-16"),
        "UTF-8 from Latin-1": plain.decode("latin-1").encode("utf-8"),
        "UTF-8 with replacements": plain.decode("utf-8", "replace").encode("utf-8"),
        "nothing": b"",
        "one byte": b"F",
        "version alone": b"FCS3.1",
        "HEADER alone": plain[:58],
        "zeros": bytes(5000),
        "table": b"FSC-A,SSC-A\n1,2\n" * 9,
        "FCS 4.0": b"FCS4.0" + plain[6:],
        "delimiters alone": header("FCS3.1", 64, 5063, 5064, 5263).ljust(64) + b"/" * 5200,
    }
    feeds = _RNG.integers(0, 1 << 16, (3, 4000)).astype("<u2")
    words = keywords(4000, [16] * 3)
    contents["CR LF for LF"] = build(words, feeds.T.tobytes()).replace(b"\n", b"\r\n")
    for name, content in contents.items():
        yield OddFile(name, content, None)


def _table(data: bytes) -> Table:
    with np.errstate(invalid="ignore"):
        return np.frombuffer(data, "<f4").reshape(-1, 4).astype(float)


def _right(name: str, content: bytes, finding: str = "") -> OddFile:
    return OddFile(name, content, (FLOATS.astype(float),), finding)


ALL = [*ends_of_text(), *delimiters(), *places_of_data(), *descriptions(), *not_fcs()]
