"""Writing FCS 3.1 list-mode files: float32 for annotated tubes, integers and doubles for simulated instruments.

Segment order and keywords follow the FCS 3.1 standard (Spidlen et al., Cytometry A 2010;77:97). A DATA segment that
reaches beyond byte 99,999,999 is announced by ``$BEGINDATA``/``$ENDDATA`` alone, with zeros in HEADER, as the standard
asks. Same arguments, same bytes: no dates, no random padding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from flowmrd.errors import InternalError

__all__ = ["ChannelSpec", "write_fcs"]

HEADER_LIMIT = 99_999_999
"""Largest offset that fits the eight characters of a HEADER field."""

_DELIMITER = "\x0c"
_TEXT_BEGIN = 256
_CHUNK = 65_536
_STRUCTURAL = frozenset(
    [
        "$BEGINANALYSIS",
        "$BEGINDATA",
        "$BEGINSTEXT",
        "$BYTEORD",
        "$DATATYPE",
        "$ENDANALYSIS",
        "$ENDDATA",
        "$ENDSTEXT",
        "$MODE",
        "$NEXTDATA",
        "$PAR",
        "$TOT",
    ]
)


@dataclass(frozen=True)
class ChannelSpec:
    """One parameter to write.

    Parameters
    ----------
    pnn, pns
        Detector and marker name; an empty marker is left out.
    range
        ``$PnR``. Readers keep the bits of an integer below the next power of two at or above it.
    gain, voltage
        ``$PnG`` and ``$PnV``; left out where ``None``.
    log
        ``$PnE``: decades and offset of a logarithmic amplifier; (0, 0) for linear.
    bits
        ``$PnB`` of an integer parameter, a multiple of 8 up to 64; ``None`` for the width of the whole file.
    """

    pnn: str
    pns: str = ""
    range: int = 262_144
    gain: float | None = None
    voltage: float | None = None
    log: tuple[float, float] = (0.0, 0.0)
    bits: int | None = None


def write_fcs(
    path: Path,
    columns: Sequence[npt.NDArray[Any]],
    channels: Sequence[ChannelSpec],
    keywords: Mapping[str, str] | None = None,
    *,
    datatype: Literal["F", "D", "I"] = "F",
    bits: int = 32,
    big_endian: bool = False,
) -> None:
    """Write one list-mode data set.

    Parameters
    ----------
    columns
        One array of shape (n_events,) for each channel. Written in blocks: memory does not grow with the file.
    keywords
        Further keywords (``$CYT``, ``$TIMESTEP``, ``$SPILLOVER``, ...). Empty values are left out, since FCS has no
        way to write them; control characters become blanks.
    datatype
        ``F`` float32, ``D`` float64, ``I`` unsigned integers of ``bits`` bits.
    big_endian
        Most significant byte first.

    Raises
    ------
    InternalError
        If columns differ in number or length from what the channels say, a keyword is one that the writer sets
        itself, or an integer does not fit ``$PnB`` and ``$PnR``.

    Notes
    -----
    The file is written directly to ``path``. Callers that need a complete file or none pass a path from
    :func:`flowmrd.store.atomic_path`.
    """
    if len(columns) != len(channels) or not channels:
        raise InternalError(f"{len(columns)} columns for {len(channels)} channels")
    n_events = len(columns[0])
    if any(column.shape != (n_events,) for column in columns):
        raise InternalError(f"columns of unequal length: {[column.shape for column in columns]}")
    widths = [_width(datatype, bits, channel) for channel in channels]
    pairs = _pairs(channels, widths, keywords or {}, datatype, big_endian, n_events)
    n_bytes = n_events * sum(widths) // 8
    head, text = _header_and_text(pairs, n_bytes)
    with path.open("wb") as stream:
        stream.write(head)
        stream.write(text)
        for first in range(0, n_events, _CHUNK):
            block = [column[first : first + _CHUNK] for column in columns]
            stream.write(_encode(block, channels, widths, datatype, big_endian))
        stream.write(b"00000000")  # the CRC field of FCS 3.1; eight zeros say that none was computed


def _width(datatype: str, bits: int, channel: ChannelSpec) -> int:
    if datatype != "I":
        return 32 if datatype == "F" else 64
    width = channel.bits or bits
    if width % 8 or not 8 <= width <= 64:
        raise InternalError(f"integers of {width} bits cannot be written; use a multiple of 8 up to 64")
    return width


def _clean(text: str) -> str:
    """Blank out control characters: the delimiter is one of them, so that nothing needs escaping."""
    return "".join(character if character.isprintable() else " " for character in text).strip()


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _pairs(
    channels: Sequence[ChannelSpec],
    widths: Sequence[int],
    keywords: Mapping[str, str],
    datatype: str,
    big_endian: bool,
    n_events: int,
) -> dict[str, str]:
    pairs = {
        "$BYTEORD": "4,3,2,1" if big_endian else "1,2,3,4",
        "$DATATYPE": datatype,
        "$MODE": "L",
        "$NEXTDATA": "0",
        "$PAR": str(len(channels)),
        "$TOT": str(n_events),
    }
    for number, (channel, width) in enumerate(zip(channels, widths, strict=True), start=1):
        described = {
            "B": str(width),
            "E": ",".join(_number(value) for value in channel.log),
            "N": _clean(channel.pnn) or f"P{number}",
            "R": str(channel.range),
            "S": _clean(channel.pns),
            "G": "" if channel.gain is None else _number(channel.gain),
            "V": "" if channel.voltage is None else _number(channel.voltage),
        }
        pairs |= {f"$P{number}{letter}": value for letter, value in described.items() if value}
    for key, value in keywords.items():
        name = _clean(key).upper()
        if name in _STRUCTURAL or name in pairs:
            raise InternalError(f"the keyword {name} is set by the writer itself")
        cleaned = _clean(value)
        if name and cleaned:
            pairs[name] = cleaned
    return pairs


def _header_and_text(pairs: Mapping[str, str], n_bytes: int) -> tuple[bytes, bytes]:
    """HEADER with padding, and TEXT with the offsets it announces."""
    begin = end = 0
    for _ in range(10):  # the offsets depend on the length of TEXT, which contains them; it grows at most twice
        offsets = {
            "$BEGINANALYSIS": "0",
            "$ENDANALYSIS": "0",
            "$BEGINSTEXT": "0",
            "$ENDSTEXT": "0",
            "$BEGINDATA": str(begin),
            "$ENDDATA": str(end),
        }
        items = [part for pair in (offsets | dict(pairs)).items() for part in pair]
        text = (_DELIMITER + _DELIMITER.join(items) + _DELIMITER).encode("utf-8")
        first = _TEXT_BEGIN + len(text)
        last = first + n_bytes - 1 if n_bytes else 0
        first = first if n_bytes else 0
        if (first, last) == (begin, end):
            break
        begin, end = first, last
    in_header = (begin, end) if end <= HEADER_LIMIT else (0, 0)
    numbers = (_TEXT_BEGIN, _TEXT_BEGIN + len(text) - 1, *in_header, 0, 0)
    head = b"FCS3.1    " + b"".join(b"%8d" % number for number in numbers)
    return head.ljust(_TEXT_BEGIN), text


def _encode(
    block: Sequence[npt.NDArray[Any]],
    channels: Sequence[ChannelSpec],
    widths: Sequence[int],
    datatype: str,
    big_endian: bool,
) -> bytes:
    order = ">" if big_endian else "<"
    if datatype != "I":
        table = np.empty((len(block[0]), len(block)), dtype=f"{order}f{widths[0] // 8}")
        for index, values in enumerate(block):
            table[:, index] = values
        return table.tobytes()
    table = np.empty((len(block[0]), sum(widths) // 8), dtype=np.uint8)
    start = 0
    for values, channel, width in zip(block, channels, widths, strict=True):
        size = width // 8
        limit = min(1 << width, 1 << max(channel.range - 1, 0).bit_length())
        if len(values) and not (values.min() >= 0 and int(values.max()) < limit):
            raise InternalError(f"{channel.pnn} holds integers outside 0..{limit - 1}, which $PnB and $PnR allow")
        wide = np.ascontiguousarray(values.astype(np.uint64).astype(f"{order}u8")).view(np.uint8).reshape(-1, 8)
        table[:, start : start + size] = wide[:, 8 - size :] if big_endian else wide[:, :size]
        start += size
    return table.tobytes()
