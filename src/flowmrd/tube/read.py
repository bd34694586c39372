"""Reading one FCS file into a tube: raw columns named by marker, and what is known about the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from flowmrd.errors import ChannelError, FcsError, counted
from flowmrd.fcs.cross_check import second_reading
from flowmrd.fcs.exported import ExportState, export_state
from flowmrd.fcs.findings import Finding
from flowmrd.fcs.reader import DataSet, analyte, choose, dye_and_detector, marker_names, read_fcs
from flowmrd.fcs.repeated_events import refuse_repeated
from flowmrd.fcs.scrub import acquisition, instrument, kept_keywords, unreadable_dates
from flowmrd.fcs.spillover import FileSpillover, read_spillovers
from flowmrd.panel.load import load_panel
from flowmrd.panel.match import ChannelMatch, MatchResult, known_names, match_channels, names_marker
from flowmrd.panel.model import ChannelKind, PanelModel
from flowmrd.panel.names import printable_name, qualifier
from flowmrd.preprocess.compensation.source import DYES
from flowmrd.records.base import FlagEntry
from flowmrd.records.ingest import (
    AcquisitionEntry,
    ChannelEntry,
    ExportEntry,
    Facts,
    HeaderFacts,
    IngestFile,
    SecondReaderEntry,
    SpilloverEntry,
    matrices_of,
)
from flowmrd.store import digest_file
from flowmrd.tube.tube import Tube

__all__ = ["INGEST_SCHEMA", "described", "read_tube"]

INGEST_SCHEMA = "flowmrd-ingest/1"
"""Version of the facts."""


def read_tube(
    fcs: Path | str,
    panel: PanelModel | Path | str,
    *,
    name: str | None = None,
    dataset: int | None = None,
    check: bool = True,
    others: bool = True,
) -> Tube:
    """Read an FCS or LMD file and match its channels to a panel.

    Parameters
    ----------
    fcs
        Path of the file.
    panel
        Panel that the channels are matched to, by ``$PnS`` first and ``$PnN`` second; or the name of a shipped one, or
        the path of a panel file.
    name
        Sample name; the file's name without its ending where absent.
    dataset
        0-based data set of a file with several; chosen by the rule of :func:`flowmrd.fcs.reader.choose` where absent.
    check
        Whether to compare the sums of the channels with a second reader and to check that the file did not change
        meanwhile. Without these checks ``facts`` come from the header alone: no SHA-256, no findings.
    others
        Whether to return channels that neither the panel nor the file's spillover matrix names.

    Returns
    -------
    Tube
        With ``facts`` and ``raw``: float32, shape (n_events,), one row per event in file order.

    Raises
    ------
    FcsError
        If the file can only be read by guessing, holds events more than once, a second reader disagrees, or the file
        changed while it was read.
    ChannelError
        If a required channel is missing or ambiguous.
    PanelError
        If the panel is given by a name or path and cannot be read.
    """
    if not isinstance(fcs, (str, Path)):
        raise TypeError(f"read_tube takes the path of one file, not {type(fcs).__name__}: call it for each file")
    if not isinstance(panel, PanelModel):
        panel = load_panel(panel)
    path = Path(fcs)
    data_sets = read_fcs(path)
    chosen = choose(data_sets, dataset)
    matched, facts = described(data_sets, chosen, panel)
    called = path.stem if name is None else name
    if not check:
        wanted = [one for one in matched.channels if others or one.marker is not None or one.column in _named(facts)]
        values = chosen.scaled([channel.index for channel in wanted])
        raw = {channel.column: row for channel, row in zip(wanted, values, strict=True)}
        return Tube(called, panel, where=str(path), facts=facts, raw=raw)
    before = digest_file(path)
    findings = _findings(chosen, data_sets, matched, facts.spillover)
    second = second_reading(chosen, n_sets=len(data_sets))
    values = chosen.scaled()
    if digest_file(path) != before:
        raise FcsError(
            str(path),
            found="a file that changed while it was read",
            expected="a file that nobody writes to",
            todo="wait until the transfer from the instrument has ended, then rerun",
        )
    named = [one for one in matched.channels if one.marker is not None and one.kind != ChannelKind.TIME]
    refuse_repeated(path, [values[one.index] for one in named])
    raw = {channel.column: values[channel.index] for channel in matched.channels}
    whole = IngestFile(
        schema_=INGEST_SCHEMA,
        sample=called,
        sha256=before,
        bytes=path.stat().st_size,
        data_set=chosen.index,
        n_data_sets=len(data_sets),
        fcs_version=chosen.version,
        n_events=chosen.n_events,
        findings=tuple(FlagEntry(code=finding.code, message=finding.message) for finding in findings),
        second_reader=SecondReaderEntry(status=second.status, reason=second.reason),
        channels=facts.channels,
        spillover=facts.spillover,
        export=facts.export,
        nonfinite=_nonfinite(raw),
        missing=tuple(matched.missing),
        timestep=chosen.timestep,
        instrument=facts.instrument,
        acquisition=facts.acquisition,
        keywords=kept_keywords(chosen.keywords),
    )
    return Tube(called, panel, where=str(path), facts=whole, raw=raw)


def _named(facts: Facts) -> set[str]:
    """Columns that a spillover matrix of the file names."""
    return {name for one in matrices_of(facts) for name in one.detectors}


def _findings(
    chosen: DataSet, data_sets: list[DataSet], matched: MatchResult, stored: SpilloverEntry | None
) -> list[Finding]:
    """What the reader noted, and what of the file as a whole its user must know."""
    findings = [*chosen.findings]
    if len(data_sets) > 1:
        findings.append(Finding("data_set_chosen", f"data set {chosen.index} of {len(data_sets)} was taken"))
    if marker_names(chosen, data_sets)[1]:
        findings.append(Finding("names_from_twin", "marker names were taken from another data set of the file"))
    findings += [Finding("scatter_substitute", note) for note in matched.notes]
    if stored is not None and not stored.malformed:
        findings += [
            Finding("spillover_malformed_beside", f"a second spillover matrix in {one.source} cannot be used")
            for one in stored.others or ()
            if one.malformed
        ]
    findings += [
        Finding("date_unreadable", f"no single day can be read from {key}") for key in unreadable_dates(chosen.keywords)
    ]
    if above := chosen.above_range():
        most = max(above, key=lambda index: above[index])
        findings.append(
            Finding(
                "integers_above_range",
                f"stored integers at or above $PnR in {counted(len(above), 'channel')}, most in parameter {most + 1} "
                f"({above[most]} of {chosen.n_events} events); bits above the range are dropped, so values are too low",
            )
        )
    return findings


def described(data_sets: list[DataSet], chosen: DataSet, panel: PanelModel) -> tuple[MatchResult, HeaderFacts]:
    """The matched channels of a data set, and the facts that its header alone gives.

    Raises
    ------
    ChannelError
        If a required channel is missing or ambiguous.
    """
    names, _ = marker_names(chosen, data_sets)
    matched = match_channels(panel, names, str(chosen.path))
    _refuse_other_analyte(chosen, matched, panel)
    state = export_state(chosen.keywords, chosen.channels)
    return matched, HeaderFacts(
        channels=_channels(chosen, matched, names, panel, state),
        spillover=_spillover(chosen, data_sets, matched),
        export=ExportEntry(by=state.by, transform=state.transform),
        instrument=instrument(chosen.keywords),
        acquisition=AcquisitionEntry.model_validate(acquisition(chosen.keywords)),
    )


def _refuse_other_analyte(chosen: DataSet, matched: MatchResult, panel: PanelModel) -> None:
    """Refuse a channel of which ``$PnS`` and the analyte or the tag of FCS 3.2 say different things."""
    known = known_names(panel)
    problems = []
    for match in matched.channels:
        if match.marker is None or match.kind not in DYES:
            continue
        channel = panel.channel(match.marker)
        said = analyte(chosen.keywords, match.index + 1)
        own = (channel.marker, *channel.aliases)
        if said and not any(names_marker(said, name) for name in own):
            why = qualifier(said)
            shown = printable_name(said, known)
            problems.append(
                f"{channel.marker} by its name, but {shown!r}{why and f' ({why})'} by $P{match.index + 1}ANALYTE"
            )
    if problems:
        raise ChannelError(
            str(chosen.path),
            found="; ".join(problems),
            expected="one reagent for a channel in every keyword",
            todo="correct the labels in the file; flowmrd cannot know which one is right",
        )


def _channels(
    chosen: DataSet,
    matched: MatchResult,
    names: list[tuple[str | None, str | None]],
    panel: PanelModel,
    state: ExportState,
) -> tuple[ChannelEntry, ...]:
    known = known_names(panel)

    def describe(match: ChannelMatch) -> ChannelEntry:
        parameter = chosen.channels[match.index]
        pnn, pns = names[match.index]
        tag, detector = dye_and_detector(chosen.keywords, match.index + 1)
        said = {"tag": printable_name(tag, known)} if tag else {}
        said |= {"detector": printable_name(detector, known)} if detector else {}
        return ChannelEntry(
            column=match.column,
            marker=match.marker,
            kind=match.kind,
            matched_by=match.by,
            pnn=printable_name(pnn, known),
            pns=printable_name(pns, known),
            range=parameter.range,
            voltage=parameter.voltage,
            gain=parameter.gain,
            log=parameter.log,
            time=parameter.time,
            compensated=match.index in state.compensated,
            **said,
        )

    return tuple(describe(match) for match in matched.channels)


def _spillover(chosen: DataSet, data_sets: list[DataSet], matched: MatchResult) -> SpilloverEntry | None:
    """Matrices of the data set; of a twin with the same channels where only that has any.

    The first well-formed one, the others under ``others``.
    """
    found = read_spillovers(chosen.keywords, chosen.channels)
    for twin in data_sets:
        if not found and twin is not chosen and twin.n_events == chosen.n_events:
            found = read_spillovers(twin.keywords, chosen.channels)
    if not found:
        return None
    columns = [match.column for match in matched.channels]
    first, *others = sorted(found, key=lambda one: bool(one.malformed))
    beside = tuple(_spillover_entry(one, columns) for one in others)
    return _spillover_entry(first, columns).model_copy(update={"others": beside})


def _spillover_entry(found: FileSpillover, columns: list[str]) -> SpilloverEntry:
    return SpilloverEntry(
        source=found.source,
        detectors=tuple(columns[index] for index in found.channels),
        matrix=None if found.matrix is None else found.matrix.tolist(),
        percent_scaled=found.percent_scaled,
        malformed=found.malformed,
    )


def _nonfinite(columns: dict[str, npt.NDArray[np.float32]]) -> dict[str, int]:
    counts = {name: int(np.count_nonzero(~np.isfinite(values))) for name, values in columns.items()}
    return {name: count for name, count in counts.items() if count}
