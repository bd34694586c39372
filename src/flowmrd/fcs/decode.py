"""DATA to columns: vectorised, block by block, every data type of FCS 2.0 to 3.2.

A block of some thousand events is read into one reused buffer, decoded while it is in the processor's cache, and
written into the columns. Nothing else of the file is kept in memory. The file is not mapped into memory, because mapped
pages count as memory of the job, and a file that shrinks while it is mapped kills the process instead of raising an
error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from flowmrd.fcs.findings import refuse
from flowmrd.fcs.layout import Layout, Parameter, ascii_words, dtype_of
from flowmrd.fcs.segments import DataSegment

__all__ = ["Block", "blocks", "ends", "part_of", "scale_into", "stretches"]

Array = npt.NDArray[Any]

_BLOCK_BYTES = 512 * 1024
_TABLE_BITS = 18  # logarithmic integers up to this width are scaled by table lookup


@dataclass(frozen=True)
class Block:
    """Stored values of consecutive events, integers after masking; each column has shape (last - first,)."""

    first: int
    last: int
    columns: list[Array]


def blocks(path: Path, segment: DataSegment) -> Iterator[Block]:
    """Yield the events in file order, in blocks. Arrays are valid until the next block.

    Raises
    ------
    FcsError
        If the file ends before its last event (it changed since it was opened) or ASCII data are not numbers.
    """
    if segment.n_events == 0:
        return
    if segment.layout.packing == "delimited":
        yield _delimited(path, segment)
        return
    rows = max(8, min(segment.n_events, _BLOCK_BYTES * 8 // segment.layout.event_bits) // 8 * 8)
    decode = _decoder(path, segment)
    buffer = bytearray(segment.layout.n_bytes(rows))
    view = memoryview(buffer)
    with path.open("rb", buffering=0) as stream:
        stream.seek(segment.begin)
        for first in range(0, segment.n_events, rows):
            last = min(first + rows, segment.n_events)
            size = segment.layout.n_bytes(last - first)
            got = 0
            while got < size:
                n = stream.readinto(view[got:size])
                if not n:
                    raise refuse(
                        path,
                        "a file that became shorter while it was read",
                        "a file that nobody writes to",
                        "wait until the transfer from the instrument has ended, then run again",
                    )
                got += n
            yield Block(first, last, decode(np.frombuffer(buffer, dtype=np.uint8, count=size), last - first))


_STRETCHES = 20


def stretches(segment: DataSegment, n_events: int) -> list[DataSegment]:
    """Evenly spaced parts of DATA with at least ``n_events`` events together; all of DATA if it holds fewer."""
    size = -(-n_events // (8 * _STRETCHES)) * 8  # whole bytes in a stream of bits as well
    if segment.layout.packing == "delimited" or segment.n_events <= size * _STRETCHES:
        return [segment] if segment.n_events else []
    parts = []
    for k in range(_STRETCHES):
        first = k * (segment.n_events - size) // (_STRETCHES - 1) // 8 * 8
        begin = segment.begin + first * segment.layout.event_bits // 8
        parts.append(replace(segment, begin=begin, n_events=size, length=segment.layout.n_bytes(size)))
    return parts


def ends(segment: DataSegment, n_events: int) -> list[DataSegment]:
    """The first and the last ``n_events`` events of DATA; all of DATA if it cannot be divided or holds fewer."""
    if segment.layout.packing == "delimited" or segment.n_events <= n_events:
        return [segment] if segment.n_events else []
    return [one for first in (0, segment.n_events - n_events) if (one := part_of(segment, first, n_events)) is not None]


def part_of(segment: DataSegment, first: int, n_events: int) -> DataSegment | None:
    """The events from ``first`` on; None where DATA cannot be read from there."""
    bits = first * segment.layout.event_bits
    if segment.layout.packing == "delimited" or bits % 8:  # reading a stream of bits can only start at a whole byte
        return None
    length = segment.layout.n_bytes(n_events)
    return replace(segment, begin=segment.begin + bits // 8, n_events=n_events, length=length)


def _decoder(path: Path, segment: DataSegment) -> Any:
    """Choose the decoder of a layout: a function of the bytes and the number of events."""
    layout, described = segment.layout, segment.parameters
    if layout.packing == "ascii":
        return lambda raw, n: _ascii(path, raw.reshape(n, -1), layout)
    if layout.packing == "bits":
        big = layout.order == "big"
        if not big and layout.order != "little":
            raise refuse(path, "bit-packed integers in a mixed byte order", "big or little endian")
        return lambda raw, n: _bits(raw, n, layout, described, big)
    order = {"little": "<", "big": ">"}.get(str(layout.order), "")
    types = [dtype_of(parameter, order or "<") for parameter in described]
    if order and types[0] is not None and all(kind == types[0] for kind in types):
        return _uniform(types[0], described)
    return lambda raw, n: _bytes(raw.reshape(n, -1), layout, described)


def _uniform(dtype: np.dtype[Any], described: tuple[Parameter, ...]) -> Any:
    masks = None
    if any(parameter.mask is not None for parameter in described):
        full = (1 << described[0].bits) - 1
        masks = np.array([full if p.mask is None else p.mask for p in described], dtype=dtype.newbyteorder("="))
    native = dtype.newbyteorder("=")

    def decode(raw: Array, n: int) -> list[Array]:
        table = raw.view(dtype).reshape(n, len(described))
        if masks is not None:
            table = np.bitwise_and(table, masks)
        elif dtype != native:
            table = table.astype(native)
        return [table[:, index] for index in range(len(described))]

    return decode


def _bytes(table: Array, layout: Layout, described: tuple[Parameter, ...]) -> list[Array]:
    """Mixed widths and types on whole bytes; ``table`` of shape (n_events, bytes per event)."""
    columns = []
    start = 0
    for parameter in described:
        stop = start + parameter.bits // 8
        cell = table[:, start:stop]
        if isinstance(layout.order, tuple):  # middle-endian: put the stored bytes into little-endian order
            little = np.empty_like(cell)
            little[:, list(layout.order)] = cell
        elif layout.order == "big":
            little = cell[:, ::-1]
        else:
            little = cell
        columns.append(_masked(_word(little, parameter), parameter))
        start = stop
    return columns


def _word(little: Array, parameter: Parameter) -> Array:
    """Values of one parameter from its bytes, least significant first."""
    dtype = dtype_of(parameter, "<")
    if dtype is not None:
        values: Array = np.ascontiguousarray(little).view(dtype)[:, 0]
        return values.astype(dtype.newbyteorder("="), copy=False)
    wide = np.zeros((len(little), 8), dtype=np.uint8)
    wide[:, : little.shape[1]] = little
    words: Array = wide.view("<u8")[:, 0].astype(np.uint64, copy=False)
    return words


def _masked(values: Array, parameter: Parameter) -> Array:
    if parameter.kind != "I" or parameter.mask is None:
        return values
    masked: Array = values & values.dtype.type(parameter.mask)
    return masked


def _bits(raw: Array, n: int, layout: Layout, described: tuple[Parameter, ...], big: bool) -> list[Array]:
    """Continuous stream of bits: most significant first for big-endian files, least significant first otherwise."""
    stream = np.unpackbits(raw, bitorder="big" if big else "little")
    table = stream[: n * layout.event_bits].reshape(n, layout.event_bits)
    columns = []
    start = 0
    for parameter in described:
        cell = table[:, start : start + parameter.bits]
        weights = np.uint64(1) << np.arange(parameter.bits, dtype=np.uint64)
        values = cell.astype(np.uint64) @ (weights[::-1] if big else weights)
        columns.append(_masked(values, parameter))
        start += parameter.bits
    return columns


def _ascii(path: Path, table: Array, layout: Layout) -> list[Array]:
    """Fixed-width decimal numbers."""
    columns = []
    start = 0
    for width in layout.widths:
        cell = np.ascontiguousarray(table[:, start : start + width // 8])
        columns.append(_numbers(path, cell.view(f"S{width // 8}")[:, 0]))
        start += width // 8
    return columns


def _numbers(path: Path, texts: Array) -> Array:
    if re.fullmatch(rb"[0-9. +\-\x00]*", texts.tobytes()) is None:
        raise refuse(path, "characters that are not numbers in ASCII data", "decimal numbers")
    try:
        values: Array = texts.astype(np.float64)
    except ValueError as error:
        raise refuse(path, "ASCII data that are not numbers", "decimal numbers") from error
    return values


def _delimited(path: Path, segment: DataSegment) -> Block:
    with path.open("rb") as stream:
        stream.seek(segment.begin)
        words = ascii_words(stream.read(segment.length))
    n = len(segment.parameters)
    if len(words) != segment.n_events * n:
        found = f"{len(words)} numbers in ASCII data"
        raise refuse(path, found, f"{segment.n_events} events of {n} parameters")
    values = _numbers(path, np.array(words, dtype=np.bytes_)).reshape(segment.n_events, n)
    return Block(0, segment.n_events, [values[:, index] for index in range(n)])


def scale_into(
    block: Block, segment: DataSegment, timestep: float | None, out: npt.NDArray[np.float32], rows: Sequence[int]
) -> None:
    """Write parameters ``rows`` of a block, on the scale ``raw`` of :mod:`flowmrd.units`, into ``out``.

    ``out`` has shape (len(rows), n_events).

    Linear integers and floats are divided by ``$PnG``; logarithmic integers x become
    ``offset * 10 ** (decades * x / $PnR)`` (FCS 3.1, ``$PnE``); the clock is multiplied by ``$TIMESTEP``.
    """
    part = out[:, block.first : block.last]
    with np.errstate(over="ignore", invalid="ignore"):  # a double beyond float32 becomes infinite and is counted
        for row, index in enumerate(rows):
            parameter = segment.parameters[index]
            factor = _factor(parameter, timestep)
            if parameter.log is not None and parameter.range is not None:
                part[row] = _exponential(block.columns[index], parameter, parameter.log, parameter.range)
            elif factor != 1.0:
                part[row] = block.columns[index].astype(np.float64) * factor
            else:
                part[row] = block.columns[index]


def _factor(parameter: Parameter, timestep: float | None) -> float:
    if parameter.time and timestep is not None:
        return timestep
    return 1.0 if parameter.gain is None else 1.0 / parameter.gain


def _exponential(values: Array, parameter: Parameter, log: tuple[float, float], range_: int) -> Array:
    decades, offset = log
    top = (1 << parameter.bits) - 1 if parameter.mask is None else parameter.mask
    if top < 1 << _TABLE_BITS and top < 4 * len(values):
        table: Array = offset * 10.0 ** (decades * np.arange(top + 1) / range_)
        scaled: Array = table[values]
        return scaled
    direct: Array = offset * 10.0 ** (decades * values.astype(np.float64) / range_)
    return direct
