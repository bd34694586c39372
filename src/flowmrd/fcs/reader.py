"""Opening an FCS or LMD file: data sets, their channels and events, and which set to analyse.

::

    with_events = choose(read_fcs(path))
    values = with_events.scaled()      # float32, (n_channels, n_events)
"""

from __future__ import annotations

import errno
import math
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt

from flowmrd.errors import FcsError
from flowmrd.fcs.decode import Block, blocks, ends, part_of, scale_into, stretches
from flowmrd.fcs.findings import Finding, refuse
from flowmrd.fcs.header import Header, file_size, is_header, read_at, read_header
from flowmrd.fcs.layout import Parameter, number, whole
from flowmrd.fcs.segments import DataSegment, NotListMode, find_data
from flowmrd.fcs.text_segment import TextSegment, read_text
from flowmrd.panel.names import FEATURES, compact, tokens

__all__ = ["DataSet", "analyte", "choose", "marker_names", "read_fcs"]

_MAX_DATA_SETS = 1000


@dataclass(frozen=True)
class DataSet:
    """One list-mode data set of a file. Opening it reads HEADER and TEXT only.

    Parameters
    ----------
    index
        0-based position among all data sets of the file.
    version
        FCS version from HEADER.
    keywords
        Every keyword of TEXT. May identify a person: nothing outside :mod:`flowmrd.fcs` may keep them; what may be
        kept comes from :func:`flowmrd.fcs.scrub.kept_keywords`.
    findings
        Irregularities of the file and how they were resolved.
    """

    path: Path
    index: int
    version: str
    segment: DataSegment
    keywords: Mapping[str, str] = field(repr=False)
    findings: tuple[Finding, ...]

    @property
    def n_events(self) -> int:
        """Number of whole events."""
        return self.segment.n_events

    @property
    def channels(self) -> tuple[Parameter, ...]:
        """Parameters in file order."""
        return self.segment.parameters

    @property
    def timestep(self) -> float | None:
        """Seconds per unit of the clock, or ``None`` where the file does not say."""
        value = number(self.keywords.get("$TIMESTEP"))
        return value if value is not None and value > 0 else None

    def blocks(self) -> Iterator[Block]:
        """Stored values block by block; see :func:`flowmrd.fcs.decode.blocks`."""
        return blocks(self.path, self.segment)

    def scaled(self, wanted: Sequence[int] | None = None) -> npt.NDArray[np.float32]:
        """All events after gain, log amplification and ``$TIMESTEP``: float32 of shape (n_channels, n_events).

        Each channel is contiguous in memory. NaN and infinity are kept. ``wanted``: 0-based positions in increasing
        order, where not every channel is needed.
        """
        rows = list(range(len(self.channels)) if wanted is None else wanted)
        out = np.empty((len(rows), self.n_events), dtype=np.float32)
        for block in self.blocks():
            scale_into(block, self.segment, self.timestep, out, rows)
        return out

    def sampled(self, n_events: int, wanted: Sequence[int]) -> npt.NDArray[np.float32]:
        """At least ``n_events`` events, or all, in evenly spaced stretches of the file; values as in :meth:`scaled`.

        Returns
        -------
        numpy.ndarray
            float32, shape (n_wanted, n_sampled), in file order.
        """
        pieces = []
        for stretch in stretches(self.segment, n_events):
            out = np.empty((len(wanted), stretch.n_events), dtype=np.float32)
            for block in blocks(self.path, stretch):
                scale_into(block, stretch, self.timestep, out, wanted)
            pieces.append(out)
        return np.concatenate(pieces, axis=1) if pieces else np.empty((len(wanted), 0), dtype=np.float32)

    def ends(self, n_events: int, wanted: Sequence[int]) -> Iterator[npt.NDArray[np.float32]]:
        """Yield the first, then the last ``n_events`` events, scaled, shape (n_wanted, n_events); or all at once."""
        for part in ends(self.segment, n_events):
            out = np.empty((len(wanted), part.n_events), dtype=np.float32)
            for block in blocks(self.path, part):
                scale_into(block, part, self.timestep, out, wanted)
            yield out[:, :n_events] if part.n_events > n_events else out

    def starts(self, parts: int, n_events: int, wanted: Sequence[int]) -> npt.NDArray[np.float32]:
        """The first ``n_events`` events of every part, for the file cut into 1, 2, ... ``parts`` equal parts.

        Shape (n_wanted, n_found); empty where the file is too short. A tube that was joined with itself repeats here.
        """
        if self.n_events < 2 * parts * n_events:
            return np.empty((len(wanted), 0), dtype=np.float32)
        places = sorted({self.n_events * k // n for n in range(1, parts + 1) for k in range(n)})
        found = []
        for place in places:
            part = part_of(self.segment, place, n_events)
            if part is not None:
                out = np.empty((len(wanted), n_events), dtype=np.float32)
                for block in blocks(self.path, part):
                    scale_into(block, part, self.timestep, out, wanted)
                found.append(out)
        return np.concatenate(found, axis=1) if found else np.empty((len(wanted), 0), dtype=np.float32)

    def raw(self) -> list[npt.NDArray[Any]]:
        """Stored values of every channel in their own type, integers after masking: arrays of shape (n_events,)."""
        parts: list[list[npt.NDArray[Any]]] = [[] for _ in self.channels]
        for block in self.blocks():
            for index, column in enumerate(block.columns):
                parts[index].append(column.copy())
        return [np.concatenate(part) if part else np.empty(0) for part in parts]

    def above_range(self) -> dict[int, int]:
        """Number of stored integers at or above ``$PnR``, by 0-based channel; channels without any are left out.

        Bits above the range are dropped when events are read (FCS 3.1, 3.2.20). Such a value is then read as a smaller
        one, or stays above the range where ``$PnR`` is not a power of two.
        """
        limited = {i: p.range for i, p in enumerate(self.channels) if p.kind == "I" and p.range and not p.time}
        if not limited:
            return {}
        unmasked = replace(self.segment, parameters=tuple(replace(p, mask=None) for p in self.channels))
        counts = dict.fromkeys(limited, 0)
        for block in blocks(self.path, unmasked):
            for index, limit in limited.items():
                counts[index] += int(np.count_nonzero(block.columns[index] >= limit))
        return {index: count for index, count in counts.items() if count}

    def raw_sums(self) -> npt.NDArray[np.float64]:
        """Sum of the stored values of every channel, before gain, log and time scaling; shape (n_channels,)."""
        sums = np.zeros(len(self.channels))
        with np.errstate(over="ignore", invalid="ignore"):
            for block in self.blocks():
                sums += [np.sum(column, dtype=np.float64) for column in block.columns]
        return sums


def read_fcs(path: Path) -> list[DataSet]:
    """Open every list-mode data set of a file.

    Returns
    -------
    Data sets in file order. Sets that hold histograms are left out with a finding, as long as another holds events.

    Raises
    ------
    FcsError
        If the file is not FCS, is truncated, contradicts itself, or holds no list-mode data.
    """
    found: list[DataSet] = []
    shared: list[Finding] = []
    skipped = 0
    try:
        _check_kind(path)
        with path.open("rb") as stream:
            for index, (header, text, own) in enumerate(_walk(path, stream, shared)):
                try:
                    segment = find_data(path, stream, header, text, own)
                except NotListMode:
                    skipped += 1
                    continue
                _time_findings(segment.parameters, text.keywords, own)
                found.append(DataSet(path, index, header.version, segment, text.keywords, tuple(own)))
    except OSError as error:
        raise _unreadable(path, error) from error
    if not found:
        raise refuse(path, "histograms ($MODE is not L)", "list-mode events", "export list-mode data")
    if skipped:
        shared.append(Finding("histograms_skipped", f"{skipped} data sets hold histograms and were left out"))
    return [
        DataSet(one.path, one.index, one.version, one.segment, one.keywords, tuple(sorted({*one.findings, *shared})))
        for one in found
    ]


def _check_kind(path: Path) -> None:
    """Refuse a path that is no plain file before it is opened, because reading a pipe may wait for ever."""
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise refuse(path, "a folder", "an FCS or LMD file", "give one of the files in it")
    if not stat.S_ISREG(mode):
        raise refuse(path, "a pipe or device", "an FCS or LMD file", "save the data to a file first")


def _unreadable(path: Path, error: OSError) -> FcsError:
    expected = "a readable FCS or LMD file"
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return refuse(path, "no such file", expected, "correct the path")
    if error.errno in (errno.EACCES, errno.EPERM):
        return refuse(path, "no permission to read it", expected, "ask its owner for permission to read it")
    if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
        return refuse(path, f"no such file ({error.strerror})", expected, "correct the path")
    return refuse(path, f"a file that cannot be read ({error.strerror})", expected, "check disk or network drive")


def _walk(path: Path, stream: BinaryIO, findings: list[Finding]) -> Iterator[tuple[Header, TextSegment, list[Finding]]]:
    """Walk the data sets of a file along ``$NEXTDATA``.

    ``$NEXTDATA`` counts from the start of its own data set; an offset from the start of the file, which some
    instruments write, is taken where only that leads to a HEADER. Positions must increase, so the walk always ends.
    """
    base = 0
    for _ in range(_MAX_DATA_SETS):
        own: list[Finding] = []
        header = read_header(path, stream, base)
        text = read_text(path, stream, header, own)
        yield header, text, own
        step = whole(text.keywords.get("$NEXTDATA"))
        if step is None or step <= 0:
            return
        places = [place for place in (base + step, step) if base < place < file_size(stream)]
        following = [place for place in places if is_header(read_at(stream, place, 6))]
        if not following:
            findings.append(Finding("next_data_set_missing", "$NEXTDATA does not lead to a further data set"))
            return
        base = following[0]


def _time_findings(described: tuple[Parameter, ...], keywords: Mapping[str, str], findings: list[Finding]) -> None:
    clocks = [parameter for parameter in described if parameter.time]
    if not clocks:
        findings.append(Finding("no_clock", "no parameter is named Time"))
    if len(clocks) > 1:
        findings.append(Finding("several_clocks", f"{len(clocks)} parameters are named Time"))
    step = number(keywords.get("$TIMESTEP"))
    if clocks and "$TIMESTEP" not in keywords:
        findings.append(Finding("timestep_missing", "no $TIMESTEP; the unit of the clock is unknown"))
    elif clocks and (step is None or step <= 0):
        findings.append(Finding("timestep_unreadable", "$TIMESTEP is not a positive number; the clock is not scaled"))


def choose(data_sets: list[DataSet], index: int | None = None) -> DataSet:
    """Choose the data set to analyse.

    A single data set is taken. Several data sets with the same number of events are the same tube written twice (a
    Beckman Coulter LMD file holds 10-bit FCS 2.0 and then 20-bit FCS 3.0 data): the one with the finest resolution is
    taken, or the later one where resolutions are equal. Data sets with different numbers of events, or with different
    events, are different tubes, and only the user can say which one is meant.

    Raises
    ------
    FcsError
        If several tubes are in the file and ``index`` is not given, or if data set ``index`` does not exist.
    """
    path = data_sets[0].path
    if index is not None:
        for one in data_sets:
            if one.index == index:
                return one
        known = ", ".join(str(one.index) for one in data_sets)
        raise refuse(path, f"no list-mode data set {index}", f"one of {known}", "correct the number of the data set")
    with_events = [one for one in data_sets if one.n_events] or data_sets
    counts = sorted({one.n_events for one in with_events})
    found = ""
    if len(counts) > 1:
        found = f"{len(with_events)} data sets with {counts[0]} to {counts[-1]} events: several tubes in one file"
    elif any(not _same_tube(with_events[0], other) for other in with_events[1:]):
        # every tube of a rack that stops at a fixed number of events has as many
        found = (
            f"{len(with_events)} data sets of {counts[0]} events, and not the same events: several tubes in one file"
        )
    if found:
        raise FcsError(str(path), found=found, expected="one tube in a file", todo="export the tubes one by one")
    return max(with_events, key=lambda one: (_resolution(one), one.index))


_COMPARED: Final = 2000
_LEAST_LIKE: Final = 0.5
"""Rank correlation of a channel between two data sets of one tube: close to 1, whatever scale or resolution each has;
between two tubes it is within 0.1 of 0.
"""


def _same_tube(one: DataSet, other: DataSet) -> bool:
    """Whether two data sets with as many events hold the same ones; True where no channel can tell."""
    theirs = {compact(channel.pnn): place for place, channel in enumerate(other.channels) if channel.pnn}
    shared = [
        (place, theirs[compact(channel.pnn)])
        for place, channel in enumerate(one.channels)
        if channel.pnn and not channel.time and compact(channel.pnn) in theirs
    ]
    if not shared or one.n_events < 50:
        return True
    mine = next(iter(one.ends(_COMPARED, [place for place, _ in shared])))
    yours = next(iter(other.ends(_COMPARED, [place for _, place in shared])))
    alike = [_rank_correlation(a, b) for a, b in zip(mine, yours, strict=True)]
    known = [value for value in alike if value is not None]
    return not known or max(known) > _LEAST_LIKE


def _rank_correlation(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> float | None:
    """Correlation of the ranks of two channels; None where one of them hardly varies."""
    if min(len(np.unique(a)), len(np.unique(b))) < 20:
        return None
    first, second = (np.argsort(np.argsort(values, kind="stable"), kind="stable") for values in (a, b))
    return float(np.corrcoef(first, second)[0, 1])


def _resolution(one: DataSet) -> float:
    """Bits of the finest channel; floats count by their range."""
    ranges = [parameter.range for parameter in one.channels if parameter.range and not parameter.time]
    return math.log2(max(ranges)) if ranges else 0.0


def marker_names(chosen: DataSet, data_sets: list[DataSet]) -> tuple[list[tuple[str | None, str | None]], bool]:
    """``($PnN, $PnS)`` of every channel; marker names from a second data set of the same tube where only that has them.

    Where ``$PnS`` is missing, ``$PnANALYTE`` of FCS 3.2 is used.

    The second data set must have the same number of events. Its channels are matched by ``$PnN``, else by the detector
    without pulse feature and scale (``FL1 INT LOG`` is FL1) where that gives exactly one name.

    Returns
    -------
    names
        In file order.
    borrowed
        Whether a name came from the second data set.
    """
    names = [_own_names(chosen, channel) for channel in chosen.channels]
    twins = [one for one in data_sets if one is not chosen and one.n_events == chosen.n_events]
    borrowed = False
    for position, (pnn, pns) in enumerate(names):
        if pns or not pnn:
            continue
        for twin in twins:
            offered = [channel for channel in twin.channels if channel.pns and channel.pnn]
            same = [channel for channel in offered if compact(channel.pnn or "") == compact(pnn)]
            same = same or [channel for channel in offered if _detector(channel.pnn) == _detector(pnn)]
            markers = {channel.pns for channel in same if _detector(channel.pns) != _detector(pnn)}
            if len(markers) == 1:
                names[position] = (pnn, markers.pop())
                borrowed = True
                break
    return names, borrowed


def _own_names(data_set: DataSet, channel: Parameter) -> tuple[str | None, str | None]:
    return channel.pnn, channel.pns or analyte(data_set.keywords, channel.number)


def analyte(keywords: Mapping[str, str], number: int) -> str | None:
    """Analyte of a parameter by ``$PnANALYTE`` of FCS 3.2 (Spidlen et al. 2021, 3.3.29), or None."""
    return keywords.get(f"$P{number}ANALYTE", "").strip() or None


def dye_and_detector(keywords: Mapping[str, str], number: int) -> tuple[str | None, str | None]:
    """Dye and detector of a parameter by ``$PnTAG`` and ``$PnDET`` of FCS 3.2, each None where absent."""
    return keywords.get(f"$P{number}TAG", "").strip() or None, keywords.get(f"$P{number}DET", "").strip() or None


def _detector(name: str | None) -> str:
    words = [word for word in tokens(name or "") if word not in FEATURES and word not in {"LIN", "LOG"}]
    return "".join(words)
