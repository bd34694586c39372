"""Spillover matrices as FCS files store them. A malformed matrix is reported; it is not repaired and raises no error
here.

``$SPILLOVER`` (FCS 3.1), ``SPILL`` (FACSDiva) and ``SPILLOVER`` hold ``n,name1..namen,`` followed by n x n numbers row
by row (row: fluorochrome, column: detector); Beckman Coulter gives channel numbers in place of names. ``$COMP`` (FCS
3.0) holds n and the numbers only. ``$DFCiTOj`` (FCS 2.0) gives the percentage of fluorescence i to subtract from
fluorescence j.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flowmrd.fcs.layout import Parameter, number, whole

__all__ = ["KEYWORDS", "FileSpillover", "read_spillover", "read_spillovers"]

_KEYS = ("$SPILLOVER", "SPILL", "SPILLOVER", "$SPILL")
KEYWORDS = (*_KEYS, "$COMP", "$DFCiTOj")
"""Where files keep a matrix, in the order in which they are looked at."""

_MAX_CHANNELS = 1000


@dataclass(frozen=True)
class FileSpillover:
    """A spillover matrix found in a file.

    Parameters
    ----------
    source
        Keyword it came from.
    channels
        0-based channel of each row and column.
    matrix
        Float64 of shape (n, n) as written; ``None`` where malformed.
    percent_scaled
        True where the diagonal is 100.
    malformed
        Why the matrix cannot be used; empty where it can.
    """

    source: str
    channels: tuple[int, ...] = ()
    matrix: npt.NDArray[np.float64] | None = None
    percent_scaled: bool = False
    malformed: str = ""


def read_spillover(keywords: Mapping[str, str], described: Sequence[Parameter]) -> FileSpillover | None:
    """Find the spillover matrix of a data set.

    Returns
    -------
    The first well-formed matrix in the order of :data:`KEYWORDS`; else the first malformed one, with the reason;
    ``None`` where the file has none. Whether matrices differ is for the caller to check (:func:`read_spillovers`).
    """
    found = read_spillovers(keywords, described)
    return next(iter([one for one in found if not one.malformed] or found), None)


def read_spillovers(keywords: Mapping[str, str], described: Sequence[Parameter]) -> tuple[FileSpillover, ...]:
    """Every spillover matrix of a data set, well formed or not, in the order of :data:`KEYWORDS`."""
    found: list[FileSpillover] = []
    for key in _KEYS:
        text = keywords.get(key, "").strip()
        if text and text != "0":
            found.append(_named(key, text, described))
    if keywords.get("$COMP", "").strip() not in {"", "0"}:
        found.append(_unnamed("$COMP", keywords["$COMP"], described))
    subtraction = {key: value for key, value in keywords.items() if re.fullmatch(r"\$DFC\d{1,3}TO\d{1,3}", key)}
    if subtraction:
        found.append(_subtraction(subtraction, described))
    return tuple(found)


def _finish(source: str, channels: Sequence[int], numbers: Sequence[float | None]) -> FileSpillover:
    n = len(channels)
    if len(numbers) != n * n:
        return FileSpillover(source, malformed=f"{n} channels but {len(numbers)} numbers instead of {n * n}")
    values = [value for value in numbers if value is not None]
    if len(values) != len(numbers):
        return FileSpillover(source, malformed="an entry that is not a number")
    if len(set(channels)) != n:
        return FileSpillover(source, malformed="a channel that is named twice")
    matrix = np.array(values, dtype=np.float64).reshape(n, n)
    diagonal = np.diag(matrix)
    if (diagonal == 0).any():
        return FileSpillover(source, malformed="a zero on the diagonal")
    return FileSpillover(source, tuple(channels), matrix, bool(np.allclose(diagonal, 100.0)))


def _key(name: str) -> str:
    return re.sub(r"\s+", "", name).lower()


def _named(source: str, text: str, described: Sequence[Parameter]) -> FileSpillover:
    parts = [part.strip() for part in text.split(",")]
    while parts and parts[-1] == "":
        parts.pop()
    n = whole(parts[0]) if parts else None
    if n is None or not 1 <= n <= _MAX_CHANNELS:
        return FileSpillover(source, malformed="no usable number of channels at its start")
    if len(parts) < 1 + n:
        return FileSpillover(source, malformed=f"{n} channels announced, but fewer entries follow")
    names, numbers = parts[1 : 1 + n], [number(part) for part in parts[1 + n :]]
    if len(numbers) != n * n:
        why = f"{n} channels but {len(numbers)} numbers instead of {n * n}"
        if n * n < len(numbers) <= 2 * n * n and all(re.fullmatch(r"-?\d*", part) for part in parts[1 + n :]):
            why += "; these are whole numbers, as where decimals are written with a comma"
        return FileSpillover(source, malformed=why)
    channels = [_channel(name, described) for name in names]
    unknown = [index for index, channel in enumerate(channels) if channel is None]
    if unknown:
        return _without(source, unknown, channels, numbers)
    return _finish(source, [channel for channel in channels if channel is not None], numbers)


def _without(source: str, unknown: list[int], channels: list[int | None], numbers: list[float | None]) -> FileSpillover:
    """Leave out channels that the file lacks, if they neither spill into others nor receive spillover."""
    n = len(channels)
    table = np.array([np.nan if value is None else value for value in numbers]).reshape(n, n)
    kept = [index for index in range(n) if index not in unknown]
    isolated = all(np.all(np.delete(table[i], i) == 0) and np.all(np.delete(table[:, i], i) == 0) for i in unknown)
    if not kept or not isolated:
        return FileSpillover(source, malformed=f"{len(unknown)} of its {n} channels are not in the file")
    rest = table[np.ix_(kept, kept)]
    known = [channels[index] for index in kept]
    values = [None if np.isnan(value) else float(value) for value in rest.ravel()]
    return _finish(source, [channel for channel in known if channel is not None], values)


def _channel(name: str, described: Sequence[Parameter]) -> int | None:
    """Channel by ``$PnN``, then ``$PnS``, then number."""
    for names in ([p.pnn for p in described], [p.pns for p in described]):
        exact = [index for index, other in enumerate(names) if other is not None and other == name]
        loose = [index for index, other in enumerate(names) if other is not None and _key(other) == _key(name)]
        if len(exact) == 1 or (not exact and len(loose) == 1):
            return (exact or loose)[0]
        if exact or loose:
            return None
    position = re.fullmatch(r"(?:P|\$P)?(\d{1,4})N?", name.strip(), re.I)
    if position and 1 <= int(position.group(1)) <= len(described):
        return int(position.group(1)) - 1
    return None


def _fluorescence(described: Sequence[Parameter]) -> list[int]:
    """Channels that are neither scatter nor clock, by name."""
    light = re.compile(
        r"^(fsc?|ssc?|fs[123]|ss[123]|sals|lals|als|forward|side)\b|^(fs|ss)c?[ -_]?(a|h|w|int|peak|tof|lin|log)?$",
        re.I,
    )
    return [i for i, p in enumerate(described) if not p.time and not light.match((p.pnn or "").strip())]


def _unnamed(source: str, text: str, described: Sequence[Parameter]) -> FileSpillover:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    n = whole(parts[0]) if parts else None
    if n is None or not 1 <= n <= _MAX_CHANNELS:
        return FileSpillover(source, malformed="no usable number of channels at its start")
    colours = _fluorescence(described)
    channels = list(range(len(described))) if n == len(described) else colours
    if len(channels) != n:
        return FileSpillover(source, malformed=f"{n} channels without names, the file has {len(colours)} fluorescences")
    return _finish(source, channels, [number(part) for part in parts[1:]])


def _subtraction(entries: Mapping[str, str], described: Sequence[Parameter]) -> FileSpillover:
    source = "$DFCiTOj"
    pairs: dict[tuple[int, int], float] = {}
    for key, text in entries.items():
        first, second = (int(part) for part in re.findall(r"\d+", key))
        value = number(text)
        if value is None:
            return FileSpillover(source, malformed="an entry that is not a number")
        pairs[first, second] = value
    stored = {index: _stored_as(index, described) for index in sorted({index for pair in pairs for index in pair})}
    for index, channels in stored.items():
        if len(channels) > 1:
            return FileSpillover(source, malformed=f"fluorescence {index} is stored more than once")
    places = {index: channels[0] for index, channels in stored.items() if channels}
    used = {index for pair, value in pairs.items() if value for index in pair}
    if len(places) != len(stored) and (not places or not used <= places.keys()):
        return FileSpillover(source, malformed="fluorescence numbers that no channel name carries")
    return _finish(source, list(places.values()), _percent_of(pairs, list(places)))


def _stored_as(index: int, described: Sequence[Parameter]) -> list[int]:
    """Channels that hold fluorescence ``index``, by the name ``FL<n>``."""
    pattern = re.compile(rf"FL{index}(\D.*)?", re.I)
    return [channel for channel, p in enumerate(described) if pattern.fullmatch((p.pnn or "").strip())]


def _percent_of(pairs: Mapping[tuple[int, int], float], order: Sequence[int]) -> list[float | None]:
    """Numbers of the matrix row by row: percentages as fractions, and 1 on the diagonal."""
    matrix = np.eye(len(order))
    for (first, second), value in pairs.items():
        if first in order and second in order and first != second:
            matrix[order.index(first), order.index(second)] = value / 100.0
    return [float(value) for value in matrix.ravel()]
