"""Builds FCS bytes by hand, apart from the package's own writer, so that files can be wrong on purpose."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

Offsets = Callable[[int, int], tuple[int | str, int | str]]


def header(version: str, *offsets: int | str) -> bytes:
    """The 58 bytes of HEADER: offsets of TEXT, DATA and ANALYSIS."""
    padded = [*offsets, *[0] * (6 - len(offsets))]
    return version.encode().ljust(10) + b"".join(str(offset).rjust(8).encode() for offset in padded)


def build(
    pairs: Mapping[str, str],
    data: bytes,
    *,
    version: str = "FCS3.1",
    delimiter: str = "/",
    in_header: Offsets | None = None,
    in_text: Offsets | None = None,
    text: bytes | None = None,
    tail: bytes = b"",
    base: int = 0,
) -> bytes:
    """Assemble HEADER, TEXT and DATA; ``in_header`` and ``in_text`` bend the offsets of DATA."""
    begin = end = 0
    segment = b""
    for _ in range(5):
        shown = (in_text or (lambda a, b: (a, b)))(begin, end)
        whole = {"$BEGINDATA": str(shown[0]), "$ENDDATA": str(shown[1])} | dict(pairs)
        if version == "FCS2.0":
            whole = dict(pairs)
        escaped = [part.replace(delimiter, 2 * delimiter) for pair in whole.items() for part in pair]
        segment = text if text is not None else (delimiter + delimiter.join(escaped) + delimiter).encode()
        begin = base + 64 + len(segment)
        end = begin + len(data) - 1
    shown = (in_header or (lambda a, b: (a, b)))(begin, end)
    head = header(version, base + 64, base + 63 + len(segment), *shown)
    return head.ljust(64) + segment + data + tail


def keywords(
    n_events: int | None,
    bits: Sequence[int],
    *,
    datatype: str = "I",
    ranges: Sequence[int] | None = None,
    byteord: str = "1,2,3,4",
    extra: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Keywords of a plain data set with one parameter for each width."""
    ranges = ranges or [1 << width for width in bits]
    pairs = {"$MODE": "L", "$DATATYPE": datatype, "$BYTEORD": byteord, "$PAR": str(len(bits)), "$NEXTDATA": "0"}
    if n_events is not None:
        pairs["$TOT"] = str(n_events)
    for number, (width, limit) in enumerate(zip(bits, ranges, strict=True), start=1):
        pairs |= {
            f"$P{number}N": f"FL{number}-A",
            f"$P{number}B": str(width),
            f"$P{number}R": str(limit),
            f"$P{number}E": "0,0",
        }
    return pairs | dict(extra or {})


def pack_bits(rows: Sequence[Sequence[int]], bits: Sequence[int], *, big: bool) -> bytes:
    """A continuous stream of bits, bit by bit."""
    stream: list[int] = []
    for row in rows:
        for value, width in zip(row, bits, strict=True):
            order = range(width - 1, -1, -1) if big else range(width)
            stream += [value >> place & 1 for place in order]
    stream += [0] * (-len(stream) % 8)
    packed = bytearray()
    for start in range(0, len(stream), 8):
        byte = stream[start : start + 8]
        packed.append(sum(bit << (7 - place if big else place) for place, bit in enumerate(byte)))
    return bytes(packed)
