"""Checks of a tube before the run: its file can be read, and panel and spillover matrix fit it.

HEADER, TEXT and some ten thousand events are read. The events show whether values were compensated or transformed
before the export, and whether the matrix is that of another file. Opening a thousand files at every start would be
slow, so the outcome is kept in ``.snakemake/flowmrd/`` under the size and time of each file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from pydantic import TypeAdapter

from flowmrd.config import RunConfig, Sample
from flowmrd.config.sheet import Role
from flowmrd.engine.code_digest import digest
from flowmrd.engine.state import STATE, keep_state
from flowmrd.errors import CompensationError, InputError
from flowmrd.fcs.exported import export_state
from flowmrd.fcs.reader import DataSet, choose, read_fcs
from flowmrd.fcs.repeated_events import refuse_repeated
from flowmrd.panel import PanelModel
from flowmrd.panel.match import MatchResult
from flowmrd.panel.model import ChannelKind
from flowmrd.panel.names import detector_name
from flowmrd.preprocess.compensation.evidence import SAMPLE, judge_values
from flowmrd.preprocess.compensation.matrix import Spillover
from flowmrd.preprocess.compensation.source import DYES, find_spillover, refuse_compensated
from flowmrd.preprocess.stain_tubes import UNSTAINED, stained_column
from flowmrd.preprocess.staining_pattern import StainingPattern
from flowmrd.preprocess.stored_values import ValueFault, refuse_dead_detectors, value_faults
from flowmrd.records.ingest import HeaderFacts
from flowmrd.records.references import PatternEntry
from flowmrd.tube.labels import DetectorsAndDyes, detectors_and_dyes, pattern_of_tube
from flowmrd.tube.read import described


@dataclass(frozen=True)
class RunRequest:
    """The run's settings that the check of a tube needs, besides its panel.

    Attributes
    ----------
    base
        Folder of the sample sheet; paths of spillover tables are relative to it.
    """

    config: RunConfig
    base: Path

    def key(self, row: Sample) -> str:
        """Digest of all settings, besides file and panel, on which the outcome of a tube depends."""
        section = self.config.for_tube(row.sample).compensation
        facts: list[str] = [str(section), str(row.role), str(row.batch), str(row.stain)]
        if not isinstance(section, str) and section.source == "csv":
            path = section.csv.get(row.batch or "default", section.csv.get("default"))
            facts.append(file_key(self.base / path) if path else "")
        return hashlib.sha256("|".join(facts).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class HeaderPreview:
    """Facts from a tube's header and from a sample of its events, before the run.

    Attributes
    ----------
    mb
        Size of its raw columns in MB, computed from the header: 4 bytes per event and channel.
    detectors
        Marker to its detector, without pulse feature and without additions of the exporting program; dyes only.
    marks
        Digests of the first and the last stored values of channels. They reveal the same events under another name,
        with other labels or in another order of channels.
    left
        Pairs of dyes with residual spillover after compensation, in words; empty where there are none.
    tags
        Marker to its dye by ``$PnTAG`` of FCS 3.2; dyes only, and only where the file has this keyword.
    pattern
        Pattern by which the markers can be distinguished
        (:class:`flowmrd.preprocess.staining_pattern.StainingPattern`); None where too few events were seen.
    dyes
        Markers of the panel's dyes that the file has.
    stain
        For a single-stain tube: the stained marker, or ``unstained``; empty where no matrix is made from the tube.
    faults
        Faults of its stored values, as far as the sample of events shows them.
    spill
        Pair of detectors (``PE into APC``) to its coefficient in the matrix; empty without a matrix before the run.
    """

    mb: float
    events: int
    detectors: Mapping[str, str]
    marks: tuple[str, ...]
    left: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    pattern: PatternEntry | None = None
    dyes: tuple[str, ...] = ()
    stain: str = ""
    faults: tuple[ValueFault, ...] = ()
    spill: Mapping[str, float] = field(default_factory=dict)


def check_header(
    path: Path, panel: PanelModel | None, row: Sample | None = None, request: RunRequest | None = None
) -> HeaderPreview:
    """Open a file, choose its data set, match its channels to the panel, and look at a sample of its events.

    Parameters
    ----------
    panel
        Panel with which the channels are matched; None to check the file alone.
    row, request
        The tube's row and the run's configuration; without them neither matrix nor events are checked.

    Raises
    ------
    FcsError
        If the file is missing, unreadable or not list-mode FCS, or a required channel has one value for all events.
    ChannelError
        If a required channel of the panel is missing or claimed twice.
    CompensationError
        If there is no matrix, if the matrix is not this file's, or if the values are already compensated.
    TransformError
        If the values were transformed before the export.
    """
    data_sets = read_fcs(path)
    chosen = choose(data_sets)
    labels_of_file = DetectorsAndDyes()
    dyes: tuple[str, ...] = ()
    left, pattern, stain = "", None, ""
    faults: tuple[ValueFault, ...] = ()
    spill: dict[str, float] = {}
    if panel is not None:
        matched, facts = described(data_sets, chosen, panel)
        labels_of_file = detectors_and_dyes(facts.channels, panel)
        dyes = tuple(one.marker for one in matched.channels if one.marker is not None and one.kind in DYES)
        if row is None or request is None:
            pass
        elif row.role is Role.COMPENSATION:
            stain = _check_stain(chosen, facts, panel, row, request)
        else:
            left, pattern, faults, spill = _check_values(chosen, matched, facts, panel, row, request)
    mb = chosen.n_events * len(chosen.channels) * 4 / 2**20
    marks = () if row is None else _marks(chosen)
    return HeaderPreview(
        mb,
        chosen.n_events,
        labels_of_file.detectors,
        marks,
        left,
        labels_of_file.tags,
        pattern,
        dyes,
        stain,
        faults,
        spill,
    )


MARKED_EVENTS = 512
PARTS: Final = 3
"""A tube that was joined with itself up to so many times is found without reading it all."""
LEAST_DIFFERENT = 100
"""Number of different values from which a channel identifies a tube: two tubes do not share hundreds of measurements in
the same order.
"""


def _marks(chosen: DataSet) -> tuple[str, ...]:
    """Digests of the first and the last values of every channel but the clock."""
    wanted = [index for index, parameter in enumerate(chosen.channels) if not parameter.time]
    found = set()
    for values in chosen.ends(MARKED_EVENTS, wanted):
        for column in values:
            if len(np.unique(column)) >= LEAST_DIFFERENT:
                found.add(hashlib.sha256(column.tobytes()).hexdigest()[:16])
    return tuple(sorted(found))


def _check_stain(chosen: DataSet, facts: HeaderFacts, panel: PanelModel, row: Sample, request: RunRequest) -> str:
    """The marker of a single-stain tube; empty where the run makes no matrix from such tubes."""
    section = request.config.compensation
    if isinstance(section, str) or section.source != "controls":
        return ""
    state = export_state(chosen.keywords, chosen.channels)
    if state.compensated:
        raise CompensationError(
            str(chosen.path),
            found=f"a single-stain tube whose values are compensated (evidence: {state.by})",
            expected="stored values, from which spillover can be measured",
            todo="export the tube without compensation",
        )
    stain = row.stain or "unstained"
    detectors = {entry.column: entry.pnn for entry in facts.channels}
    return "unstained" if stain.lower() in UNSTAINED else stained_column(row.sample, stain, panel, detectors)


def _check_values(
    chosen: DataSet, matched: MatchResult, facts: HeaderFacts, panel: PanelModel, row: Sample, request: RunRequest
) -> tuple[str, PatternEntry | None, tuple[ValueFault, ...], dict[str, float]]:
    """Find the matrix as the stages will, and check it against a sample of the events.

    Returns
    -------
    The residual spillover in words, the pattern of the staining, the faults of the values, and the coefficients of the
    matrix by pair of detectors.
    """
    config, where = request.config.for_tube(row.sample), str(chosen.path)
    section = config.compensation
    later = not isinstance(section, str) and section.source == "controls"
    if later:
        refuse_compensated(facts, where)
        matrix = None  # it is made in the run
    else:
        matrix = find_spillover(facts, config, where=where, batch=row.batch, csv=None, base=request.base)
    needed = {channel.column for channel in matched.channels if channel.marker is not None}
    needed |= set(() if matrix is None else matrix.names)
    wanted = [channel for channel in matched.channels if channel.column in needed]
    values = chosen.sampled(SAMPLE, [channel.index for channel in wanted])
    columns = {channel.column: values[position] for position, channel in enumerate(wanted)}
    refuse_dead_detectors(columns, panel, where=where)
    measured = [one for one in wanted if one.marker is not None and one.kind != ChannelKind.TIME]
    refuse_repeated(chosen.path, [columns[one.column] for one in measured])
    refuse_repeated(chosen.path, list(chosen.starts(PARTS, MARKED_EVENTS, [one.index for one in measured])))
    faults = value_faults(columns, facts, panel, config.quality, events=chosen.n_events)
    left = "" if later else ", ".join(map(str, judge_values(columns, facts, matrix, where=where)[:3]))
    pattern = pattern_of_tube(columns, facts.channels, matrix)
    entry = None if pattern is None else pattern.as_record()
    return left, entry, tuple(faults), _coefficients(matrix, matched, facts)


def _coefficients(matrix: Spillover | None, matched: MatchResult, facts: HeaderFacts) -> dict[str, float]:
    """Pair of detectors of the panel's dyes to its coefficient, whatever their labels; empty without a matrix."""
    if matrix is None:
        return {}
    dyes = {one.marker for one in matched.channels if one.kind in DYES}
    detectors = {entry.column: detector_name(entry.pnn) for entry in facts.channels if entry.column in dyes}
    return {
        f"{detectors[source]} into {detectors[target]}": round(float(matrix.matrix[i, j]), 4)
        for i, source in enumerate(matrix.names)
        for j, target in enumerate(matrix.names)
        if i != j and source in detectors and target in detectors
    }


def file_key(path: Path) -> str:
    """Size and time of a file, by which it is recognised; ``absent`` where there is no such file."""
    try:
        stat = path.stat()
    except OSError:
        return "absent"
    return f"{stat.st_size}-{stat.st_mtime_ns}"


class HeaderCache:
    """Outcomes of checking FCS headers, kept by size and time of the files."""

    def __init__(self, run_directory: Path) -> None:
        self._path = run_directory / STATE / "headers.json"
        self._code = digest("flowmrd.engine.headers")
        self._old: dict[str, object] = {}
        self._new: dict[str, object] = {}
        try:
            stored = json.loads(self._path.read_text(encoding="utf-8"))
            if stored["code"] == self._code and isinstance(stored["files"], dict):
                self._old = stored["files"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            self._old = {}  # a cache that cannot be read is only a slower start

    def check(self, row: Sample, panel: PanelModel | None, request: RunRequest, *, panel_key: str) -> HeaderPreview:
        """Check a tube; the stored outcome is used if its file has not changed.

        Parameters
        ----------
        panel
            Panel with which the channels are matched; None to check the file alone.
        """
        path = row.fcs
        key = f"{path}|{panel_key if panel is not None else ''}|{request.key(row)}"
        now = file_key(path)
        known = _remembered(self._old.get(key), now)
        if known is not None:
            self._new[key] = self._old[key]
        else:
            known = _looked(now, path, panel, row, request)
            self._new[key] = _OUTCOME.dump_python(known, mode="json")
        if known.error is not None:
            where, found, expected, todo = known.error
            raise InputError(where, found=found, expected=expected, todo=todo)
        return known.preview

    def save(self) -> None:
        """Store the outcomes for the next start."""
        if self._new != self._old:
            keep_state(self._path, {"code": self._code, "files": self._new})


@dataclass(frozen=True)
class HeaderOutcome:
    """Outcome of the check of a file as it is kept: its preview, or the four parts of an error.

    Attributes
    ----------
    file
        Size and time of the file (:func:`file_key`).
    """

    file: str
    preview: HeaderPreview
    error: tuple[str, str, str, str] | None = None


_OUTCOME: Final = TypeAdapter(HeaderOutcome)


def _looked(now: str, path: Path, panel: PanelModel | None, row: Sample, request: RunRequest) -> HeaderOutcome:
    try:
        return HeaderOutcome(now, check_header(path, panel, row, request))
    except InputError as error:
        if isinstance(error.__cause__, OSError):
            raise  # a drive that could not be read says nothing about the file: look again next time
        told = (error.where, error.found, error.expected, error.todo)
        return HeaderOutcome(now, HeaderPreview(0.0, 0, {}, ()), told)


def _remembered(entry: object, now: str) -> HeaderOutcome | None:
    """An entry of the cache, if it is about the present file and has the present form."""
    if not isinstance(entry, dict) or entry.get("file") != now:
        return None
    try:
        known = _OUTCOME.validate_python(entry)
        if known.preview.pattern is not None:
            StainingPattern.from_record(known.preview.pattern)
    except (KeyError, TypeError, ValueError):
        return None
    return known
