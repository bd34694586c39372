"""Position of DATA in each data set, checked against the size of the file.

FCS 3.x gives the offsets twice, in HEADER and in TEXT, and they disagree in many real files (see the issue trackers of
FlowIO, flowCore and FlowKit). A span is accepted if it lies inside the file, does not overlap HEADER or TEXT, and has
the size of ``$TOT`` events in this layout. An exact fit is preferred to a span that is one byte too long (its end is
given as one past the last byte), and such a span to a padded one. If two different spans fit equally well, the file is
refused. No memory is allocated before the span is known, so a wrong ``$TOT`` cannot use it up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from flowmrd.fcs.byte_integrity import CHECKSUM, CRC_BYTES, anchored, check_unmoved, follows
from flowmrd.fcs.findings import Finding, refuse
from flowmrd.fcs.header import HEADER_BYTES, Header, file_size, is_header, read_at
from flowmrd.fcs.layout import Layout, Parameter, ascii_words, candidate_layouts, parameters, whole
from flowmrd.fcs.text_segment import TextSegment

__all__ = ["DataSegment", "NotListMode", "find_data"]

HEADER_SENTINEL = 99_999_999
"""Some FlowJo versions write this instead of 0 where an offset does not fit (RGLab/flowCore pull request 25)."""

_MOST_BLANK = 1 << 30
_EXACT, _ONE_OFF, _PADDED, _PREALLOCATED = range(4)


class NotListMode(Exception):  # noqa: N818 - a state of a data set, turned into FcsError unless another set serves
    """The data set holds histograms, not events."""


@dataclass(frozen=True)
class DataSegment:
    """DATA of one data set: absolute position, number of events and layout."""

    begin: int
    n_events: int
    layout: Layout
    parameters: tuple[Parameter, ...]
    length: int


@dataclass(frozen=True)
class _Span:
    begin: int
    end: int | None
    source: str
    absolute: bool = False  # counted from the start of the file although the data set starts later


def find_data(
    path: Path,
    stream: BinaryIO,
    header: Header,
    text: TextSegment,
    findings: list[Finding],
) -> DataSegment:
    """Find the position of DATA, its layout and the number of its events.

    Raises
    ------
    NotListMode
        If ``$MODE`` says that the set holds histograms.
    FcsError
        If DATA is truncated, contradicts ``$TOT``, or its position or layout is ambiguous.
    """
    keywords = text.keywords
    mode = keywords.get("$MODE", "").strip().upper()
    if mode not in {"", "L"}:
        raise NotListMode
    if not mode:
        findings.append(Finding("mode_missing", "no $MODE; taken as list mode, as FCS 3.2 says"))
    described = parameters(path, keywords, findings)
    layouts = candidate_layouts(path, keywords, described)
    if not layouts:
        raise refuse(path, "widths that contradict $DATATYPE and $PnB", "32 bits for F, 64 for D")
    n_events = whole(keywords.get("$TOT"))
    if n_events is None or n_events < 0:
        findings.append(Finding("tot_missing", "no usable $TOT; the events were counted from the size of DATA"))
        n_events = None
    spans = _spans(header, keywords)
    if n_events == 0 and all(span.end is None or span.end <= span.begin for span in spans):
        findings.append(Finding("no_events", "$TOT is 0 and there is no DATA"))
        return DataSegment(header.base, 0, layouts[0][0], layouts[0][1], 0)
    found = _Resolver(path, stream, header, text, spans, n_events).settle(layouts, findings)
    check_unmoved(path, stream, header, text, found)
    stop = found.begin + found.length
    behind = [place for place in (stop, stop + CRC_BYTES) if is_header(read_at(stream, place, CRC_BYTES))]
    if behind and not whole(keywords.get("$NEXTDATA")):
        findings.append(
            Finding("further_data_set", "a data set follows that $NEXTDATA does not announce; it is not read")
        )
    blank = _blank_events(stream, found)
    if blank > 1:
        findings.append(Finding("blank_events_at_end", f"the last {blank} events are zero in every channel"))
    return found


def _blank_events(stream: BinaryIO, found: DataSegment) -> int:
    """Number of events at the end of DATA whose bytes are all zero, as a copy that broke off leaves them."""
    if found.layout.packing not in {"bytes", "bits"}:
        return 0
    end = found.begin + found.length
    first = end
    while first > found.begin:
        block = read_at(stream, max(found.begin, first - (1 << 16)), min(1 << 16, first - found.begin))
        kept = len(block.rstrip(b"\x00"))
        first -= len(block) - kept
        if kept:
            break
    return min((end - first) * 8 // found.layout.event_bits, found.n_events)


def _spans(header: Header, keywords: Mapping[str, str]) -> list[_Span]:
    """Absolute spans that HEADER and TEXT announce for DATA."""
    announced: list[tuple[str, int | None, int | None]] = [("HEADER", *header.data)]
    begin, end = whole(keywords.get("$BEGINDATA")), whole(keywords.get("$ENDDATA"))
    wrap = 1 << 32  # an offset beyond 2 GB written through a signed 32-bit number
    begin, end = (value + wrap if value is not None and value < 0 else value for value in (begin, end))
    announced.append(("TEXT", begin, end))
    spans: list[_Span] = []
    for source, first, last in announced:
        if not first:
            continue
        spans.append(_Span(header.base + first, header.base + last if last else None, source))
        if header.base:
            spans.append(_Span(first, last or None, source, absolute=True))
    return spans


@dataclass(frozen=True)
class _Fit:
    rank: int
    span: _Span
    n_events: int
    layout: Layout
    parameters: tuple[Parameter, ...]
    length: int


class _Resolver:
    """Weighs the announced spans against the size of DATA."""

    def __init__(
        self, path: Path, stream: BinaryIO, header: Header, text: TextSegment, spans: list[_Span], n_events: int | None
    ) -> None:
        self.path, self.stream, self.header, self.text = path, stream, header, text
        self.spans, self.n_events = spans, n_events
        self.size = file_size(stream)
        self.truncated = False
        self.short: int | None = None
        self.surplus = False

    def settle(self, layouts: list[tuple[Layout, tuple[Parameter, ...]]], findings: list[Finding]) -> DataSegment:
        fits = [
            fit
            for layout, described in layouts
            for span in self.spans + self._neighbours()
            if (fit := self._fit(span, layout, described)) is not None and (span in self.spans or self._held(fit))
        ]
        if not fits:
            raise self._refusal(layouts[0][0])
        fits = [fit for fit in fits if fit.span.absolute == self.header.absolute] or fits
        if self.n_events is None and len({fit.layout for fit in fits}) > 1:
            raise refuse(self.path, "no usable $TOT, and integers that may be packed or not", "the number of events")
        if self.header.version == "2.0":  # has no offsets in TEXT; where somebody wrote them, HEADER still counts
            fits = [fit for fit in fits if fit.span.source == "HEADER"] or fits
        chosen = min(fits, key=self._worth)
        if any(fit.span.begin != chosen.span.begin and self._worth(fit) == self._worth(chosen) for fit in fits):
            raise refuse(self.path, "HEADER and TEXT give two possible positions of DATA", "one position")
        self._record(chosen, findings)
        return DataSegment(chosen.span.begin, chosen.n_events, chosen.layout, chosen.parameters, chosen.length)

    def _worth(self, fit: _Fit) -> tuple[int, int]:
        """Order of preference, the best first: whether known things surround a place, then how well its size fits.

        If TEXT was edited (files that a repository made anonymous: RGLab/flowCore issue 51), or the beginning was
        computed before TEXT had its final length (issue 129), two places of the same size are announced. The wrong one
        leaves bytes at both ends that belong to no segment.
        """
        held, behind = self._held(fit), follows(self.stream, self.header, self.text, fit.span.begin)
        return (2 - held - behind, fit.rank)

    def _held(self, fit: _Fit) -> bool:
        return anchored(self.stream, self.header, self.text, fit.span.begin + fit.length)

    def _neighbours(self) -> list[_Span]:
        """The place directly after TEXT, if the announced beginning is one byte off it."""
        first = self.text.last + 1
        known = {span.begin for span in self.spans}
        return [
            replace(span, begin=first, end=None if span.end is None else span.end + first - span.begin)
            for span in self.spans
            if abs(span.begin - first) == 1 and first not in known
        ]

    def _fit(self, span: _Span, layout: Layout, described: tuple[Parameter, ...]) -> _Fit | None:
        if span.begin < self.header.base + HEADER_BYTES and span.begin >= self.header.base:
            return None
        available = self.size - span.begin
        announced = None if span.end is None else span.end - span.begin + 1
        if announced is not None and announced <= 0:
            return None
        if layout.packing == "delimited":
            if announced is None or announced > available + 1:
                return None
            n = self.n_events
            if n is None:
                words = ascii_words(read_at(self.stream, span.begin, min(announced, available)))
                n, rest = divmod(len(words), len(described))
                if rest:
                    return None
            return _Fit(_PADDED, span, n, layout, described, min(announced, available)) if n else None
        n = self.n_events
        if n is None:
            if announced is None or announced > available + 1:
                self.truncated = self.truncated or announced is not None
                return None
            n = announced * 8 // layout.event_bits
        need = layout.n_bytes(n)
        rank = self._rank(span, announced, available, need, layout)
        if rank is None or self._hits_text(span.begin, need):
            return None
        return _Fit(rank, span, n, layout, described, need)

    def _rank(self, span: _Span, announced: int | None, available: int, need: int, layout: Layout) -> int | None:
        if need > available:
            self.truncated = True
            return None
        sentinel = span.source == "HEADER" and span.end is not None and span.end - self.header.base >= HEADER_SENTINEL
        if announced is None or (sentinel and announced != need):
            return _PREALLOCATED
        over = announced - need
        if over == 0:
            return _EXACT
        if over in (1, -1):
            return _ONE_OFF
        if over < 0:
            self.short = max(self.short or 0, announced * 8 // layout.event_bits)
            return None
        if self.n_events is None:
            return None
        if over * 8 < layout.event_bits or (
            over == CRC_BYTES and CHECKSUM.fullmatch(read_at(self.stream, span.begin + need, CRC_BYTES))
        ):
            return _PADDED  # a partial event, or the checksum counted as DATA
        if announced > available + 1:
            if available - need in (0, CRC_BYTES) or follows(self.stream, self.header, self.text, span.begin):
                return _PREALLOCATED  # only the announced end is wrong: all events of $TOT are there
            self.truncated = True
            return None
        if self._blank(span.begin + need, min(announced, available) - need):
            return _PREALLOCATED
        self.surplus = True
        return None

    def _hits_text(self, begin: int, length: int) -> bool:
        return begin < self.text.last and begin + length > self.text.first

    def _blank(self, begin: int, length: int) -> bool:
        """Whether bytes are all zero: space that the instrument reserved and never filled."""
        if length > _MOST_BLANK:
            return False
        while length > 0:
            block = read_at(self.stream, begin, min(length, 1 << 20))
            if not block or block.count(0) != len(block):
                return False
            begin, length = begin + len(block), length - len(block)
        return True

    def _record(self, chosen: _Fit, findings: list[Finding]) -> None:
        places = {(span.begin, span.end) for span in self.spans if span.absolute == chosen.span.absolute}
        if chosen.span.absolute:
            findings.append(
                Finding("offsets_from_file_start", "offsets of a later data set count from the file's start")
            )
        if len(places) > 1:
            findings.append(Finding("offsets_disagree", f"HEADER and TEXT disagree on DATA; {chosen.span.source} fits"))
        elif self.spans and self.header.data[0] in (None, 0):
            findings.append(Finding("offsets_in_text_only", "only $BEGINDATA gives the position of DATA, not HEADER"))
        if chosen.span not in self.spans:
            findings.append(Finding("begin_off_by_one", "the announced beginning of DATA is one byte off"))
        if chosen.rank == _ONE_OFF:
            findings.append(Finding("end_off_by_one", "the announced end of DATA is one byte off"))
        elif chosen.rank == _PADDED and chosen.layout.packing != "delimited":
            findings.append(
                Finding("data_padded", "the announced length of DATA exceeds its events by less than one event")
            )
        elif chosen.rank == _PREALLOCATED:
            findings.append(Finding("end_by_count", "the end of DATA follows from $TOT, not from the announced end"))
        if chosen.layout.note == "padded_words":
            findings.append(Finding("padded_words", "integers of odd width are stored in whole machine words"))
        elif chosen.layout.note == "float_width":
            findings.append(
                Finding("float_width", "$PnB and the type of a float disagree; the one that fits DATA was used")
            )
        if chosen.layout.packing == "bits":
            findings.append(Finding("bit_packed", "integers are packed without filling whole bytes"))

    def _refusal(self, layout: Layout) -> Exception:
        said = "an unknown number of" if self.n_events is None else str(self.n_events)
        if self.truncated:
            found = f"{said} events announced, but the file of {self.size} bytes ends before them"
            return refuse(self.path, found, "a whole DATA segment", "copy the file again: it is truncated")
        if self.short is not None:
            found = f"$TOT {said} but a DATA segment of {self.short} whole events"
            return refuse(self.path, found, "as many events as $TOT says", "export the file again: events are missing")
        if self.surplus:
            found = f"$TOT {said} but a DATA segment that holds more"
            return refuse(self.path, found, "as many events as $TOT says")
        return refuse(
            self.path,
            f"no place of DATA that fits {said} events of {layout.event_bits} bits",
            "offsets in HEADER or $BEGINDATA/$ENDDATA that agree with $TOT, $PAR and $PnB",
        )
