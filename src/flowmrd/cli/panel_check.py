"""Checking a panel before a run: errors of the file, and what the panel cannot measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from flowmrd.classifier.separable_kinds import separable_kinds
from flowmrd.classifier.storage import load_reference
from flowmrd.cli.single import single_config
from flowmrd.config import RunConfig, Sample
from flowmrd.config.sheet import Role
from flowmrd.engine.headers import RunRequest, check_header
from flowmrd.errors import FcsError, InputError, PanelError, counted
from flowmrd.fcs.reader import choose, read_fcs
from flowmrd.gating.brightness import MOST_AT_BOUNDS, cuts_at_bounds
from flowmrd.gating.flags import KNOWN_ROUTES, REQUIRED, required_gates
from flowmrd.gating.gated_columns import gate_columns
from flowmrd.gating.panel_scale import PANEL_WIDTH
from flowmrd.gating.tree import GateResult
from flowmrd.panel import PanelModel, find_panel, load_panel
from flowmrd.panel.contradictions import ROUTE_MARKERS, contradictions
from flowmrd.panel.gates import CutGate, Gate
from flowmrd.panel.lost_gates import lost_gates
from flowmrd.panel.match import MatchResult, detects, match_channels
from flowmrd.panel.model import ChannelKind
from flowmrd.preprocess.stored_values import ValueFault, value_faults
from flowmrd.preprocess.transform import ChannelScale
from flowmrd.simulate.cytometer import is_simulated
from flowmrd.tube.preprocess import preprocess
from flowmrd.tube.read import read_tube
from flowmrd.tube.tube import Tube
from flowmrd.units import LOGICLE_M, LOGICLE_T

__all__ = ["advice", "check_panel"]

ANCHORED = ("granulocytes", "t_nk")
"""Populations that therapy spares, whose levels let gates follow a tube."""
TRIAL_EVENTS = 60_000
"""Evenly spaced events of a tube that are gated to try the panel."""
MOST_BEYOND = 0.02
"""Share of the events beyond a fixed scale from which it is called too short; a full detector has less."""
LEAST_CELLS = 100
"""Fewer cells than this show no level."""
FEW_FEATURES = 4
"""With fewer markers leukaemia is not told from normal precursors."""


def check_panel(
    name: str,
    tubes: Sequence[Path],
    *,
    reference: Path | None = None,
    spillover: Path | None = None,
    compensated: bool = False,
) -> tuple[int, list[str]]:
    """Number of errors, and lines for the terminal.

    Parameters
    ----------
    reference
        Folder of a stored reference of this or a similar panel: phenotypes are counted that its markers tell apart.
    spillover
        CSV with the matrix of the tubes, instead of their own.
    compensated
        The tubes need no compensation.

    Raises
    ------
    ArtefactError
        If the reference cannot be read.
    """
    try:
        path = Path(name) if Path(name).is_file() else find_panel(name, run_directory=Path())
        panel = load_panel(path)
    except InputError as error:
        return 1, _told(error)
    errors, notes = advice(panel, where=str(path))
    config = single_config(panel.name, spillover=spillover, compensated=compensated)
    of_tubes = {tube: _tube(tube, panel, config) for tube in tubes}
    errors += [error for found, _ in of_tubes.values() for error in found]
    notes += _together({tube: told for tube, (_, told) in of_tubes.items()})
    if reference is not None:
        notes += _separable(reference, panel)
    lines = _shared(errors) + [f"note: {text}" for text in notes]
    lines.append(
        f"{panel.name} version {panel.version}: {len(panel.channels)} channels, {len(panel.gates)} gates, "
        f"{counted(len(errors), 'error')}, {counted(len(notes), 'note')}"
    )
    return len(errors), lines


def _told(error: InputError, *others: str) -> list[str]:
    return [
        f"error: {_places([error.where, *others])}: {error.found}",
        f"   expected: {error.expected}",
        f"   do: {error.todo}",
    ]


def _shared(errors: Sequence[InputError]) -> list[str]:
    """Lines of the errors; what is wrong with several files in the same way is told once."""
    same: dict[tuple[str, str, str], list[InputError]] = {}
    for error in errors:
        same.setdefault((error.found, error.expected, error.todo), []).append(error)
    return [line for group in same.values() for line in _told(group[0], *(one.where for one in group[1:]))]


def _places(places: Sequence[str | Path]) -> str:
    return f"{places[0]}{f' and {len(places) - 1} more' if len(places) > 1 else ''}"


def advice(panel: PanelModel, *, where: str) -> tuple[list[InputError], list[str]]:
    """Errors (a run would fail or answer nothing) and notes (what it costs) of a panel by itself."""
    names = {gate.name for gate in panel.gates}
    errors: list[InputError] = []

    def wrong(found: str, expected: str, todo: str) -> None:
        errors.append(PanelError(where, found=found, expected=expected, todo=todo))

    lacking = [gate for gate in REQUIRED if gate not in names]
    if lacking:
        wrong(
            f"no gate {', '.join(lacking)}",
            f"the gates {', '.join(REQUIRED)}, which denominators and classifier stand on",
            "define them, as in the shipped panels",
        )
    if not any(gate.route for gate in panel.gates):
        wrong("no gate with 'route: true'", "at least one way into the B lineage", "mark the gates that lead to it")
    features = [channel for channel in panel.channels if channel.feature]
    if len(features) < FEW_FEATURES:
        wrong(
            f"{len(features)} channels with 'feature: true'",
            f"at least {FEW_FEATURES}: with fewer, leukaemia is not told from normal precursors",
            "mark the markers that leukaemia changes",
        )
    linear = [
        one.marker for one in panel.channels if one.kind is ChannelKind.ANTIBODY and one.transform.kind == "linear"
    ]
    if linear:
        wrong(
            f"a linear scale for {', '.join(linear)}",
            "logicle (or asinh): on a linear scale dim cells and cells without the antigen lie in one place",
            "remove 'transform: kind: linear' of these colours",
        )
    return errors, [*contradictions(panel), *_gate_notes(panel, names), *_channel_notes(panel)]


def _gate_notes(panel: PanelModel, names: set[str]) -> list[str]:
    notes = [
        f"no way into the B lineage by {marker} (gate {route}): leukaemia that has lost the others is not seen"
        for route, marker in KNOWN_ROUTES.items()
        if route not in names
    ]
    notes += [
        f"no population {name} with 'anchors': gates cannot follow a tube that is stained otherwise than the controls"
        for name in ANCHORED
        if not any(gate.name == name and gate.anchors for gate in panel.gates)
    ]
    if not panel.landmark:
        notes.append("no landmark: scatter gates hold for one voltage alone")
    return [*notes, *_costs(panel)]


def _costs(panel: PanelModel) -> list[str]:
    """What a tube without each of the markers could not have."""
    routes = {gate.name for gate in panel.gates if gate.route}
    populations = {gate.name for gate in panel.gates if gate.population}
    notes = []
    for channel in panel.channels:
        lost = () if channel.kind is ChannelKind.TIME else lost_gates(panel, [channel.marker])
        if not lost:
            continue
        if channel.required:
            named = [name for name in lost if name in routes | populations | set(REQUIRED)]
            if channel.kind is not ChannelKind.SCATTER:
                missing = ", ".join(named) or "no route or population"
                notes.append(
                    f"a tube without {channel.marker} is refused; with 'required: false' it would only lose: {missing}"
                )
            continue
        notes.append(f"without the optional {channel.marker} these gates are not available: {', '.join(lost)}")
        if errors := [gate for gate in lost if gate in required_gates([one.name for one in panel.gates])]:
            notes.append(f"... {', '.join(errors)} among them: such a tube is NOT_EVALUABLE")
    return notes


def _separable(folder: Path, panel: PanelModel) -> list[str]:
    """Phenotypes that the markers tell from the normal cells of a stored reference, with all and without each."""
    model = load_reference(folder / "reference.json").model
    shared = tuple(name for name in model.features if name in panel.features)
    absent = [name for name in model.features if name not in panel.features]
    found = separable_kinds(model.select(shared))
    lines = [
        f"of {found.tried} kinds of leukaemia {found.with_all} are told from the normal B lineage of {folder} with all "
        "of its markers that the panel has"
    ]
    if absent:
        lines.append(f"the reference has {', '.join(absent)} besides, which the panel lacks or does not use")
    lines += [f"without {marker}: {told}" for marker, told in sorted(found.without.items(), key=lambda one: one[1])]
    return lines


def _channel_notes(panel: PanelModel) -> list[str]:
    notes = []
    unknown = [channel.marker for channel in panel.channels if not is_simulated(channel)]
    if unknown:
        notes.append(
            f"the simulator does not know {', '.join(unknown)}: without enough controls they are not used, and "
            "'flowmrd simulate' refuses this panel"
        )
    claimed: dict[str, list[str]] = {}
    for channel in panel.channels:
        for pattern in channel.detectors:
            claimed.setdefault(pattern, []).append(channel.marker)
    notes += [
        f"{' and '.join(markers)} have the same detector {pattern}: a tube is told apart by its marker names alone"
        for pattern, markers in claimed.items()
        if len(markers) > 1
    ]
    if not any(channel.kind is ChannelKind.NUCLEIC_ACID for channel in panel.channels):
        notes.append("no nucleic acid dye: what is left after debris counts as nucleated")
    if not any(channel.marker in {"FSC-H", "FSC-W"} for channel in panel.channels):
        notes.append("neither FSC-H nor FSC-W: doublets are not excluded")
    return notes


def _together(told: Mapping[Path, Sequence[str]]) -> list[str]:
    """What was said of every tube, each sentence once with the tubes it holds for."""
    tubes: dict[str, list[Path]] = {}
    for path, sentences in told.items():
        for sentence in sentences:
            tubes.setdefault(sentence, []).append(path)

    return [f"{_places(paths)}: {sentence}" for sentence, paths in tubes.items()]


def _tube(path: Path, panel: PanelModel, config: RunConfig) -> tuple[list[InputError], list[str]]:
    """Whether a file fits the panel, and the bounds of its cuts in the file's raw units."""
    row = Sample("tube", "tube", Role.CONTROL, path)
    try:
        check_header(path, panel, row, RunRequest(config, path.parent))
    except InputError as error:
        return [error], []
    chosen = choose(read_fcs(path))
    matched = match_channels(panel, [(c.pnn, c.pns) for c in chosen.channels], str(path))
    notes = list(matched.notes)
    notes += [f"no {marker} (optional)" for marker in matched.missing]
    notes += _detector_notes(matched, [c.pnn or "" for c in chosen.channels], panel)
    tops = {entry.marker: float(chosen.channels[entry.index].range or LOGICLE_T) for entry in matched.channels}
    notes += [words for gate in panel.gates if (words := _raw_bounds(gate, panel, tops))]
    try:
        tube = read_tube(path, panel, name="tube")
        faults = value_faults(tube.raw, tube.facts, panel, config.quality, events=tube.n_events)
        faults += _beyond_scale(tube, panel)
        grave = [
            FcsError(str(path), found=one.found, expected=one.expected, todo=one.todo) for one in faults if one.grave
        ]
        if grave:
            return [*grave], notes
        notes += [f"{one.found}; expected {one.expected}; {one.todo}" for one in faults]
        return [], notes + _trial(tube, panel, config)
    except InputError as error:
        return [error], notes


def _detector_notes(matched: MatchResult, detectors: Sequence[str], panel: PanelModel) -> list[str]:
    """Where the label of a channel and the panel's 'detectors' do not agree."""
    notes = []
    for entry in matched.channels:
        detector = detectors[entry.index]
        if entry.marker is None:
            continue
        others = _markers_of(detector, panel)
        if others and entry.marker not in others:
            notes.append(
                f"{detector} is named {entry.marker}, and the panel has it as the detector of {' and '.join(others)}: "
                "correct 'detectors' of the panel, or the names in the file"
            )
        elif not others and entry.by == "$PnS" and panel.channel(entry.marker).detectors:
            notes.append(f"{entry.marker} is found by its label alone: no pattern in its 'detectors' fits {detector}")
    return notes


def _beyond_scale(tube: Tube, panel: PanelModel) -> list[ValueFault]:
    """Colours whose scale, as the panel fixes it, ends below the values of the file."""
    tops = {one.marker: one.transform.T for one in panel.channels if one.transform.T and one.marker in tube.raw}
    short = [
        f"{marker} ({np.mean(tube.raw[marker] > top):.0%} above {top:g})"
        for marker, top in tops.items()
        if np.mean(tube.raw[marker] > top) > MOST_BEYOND
    ]
    if not short:
        return []
    return [
        ValueFault(
            f"values beyond the scale that the panel fixes: {', '.join(short)} of the events",
            "a top ('transform: T') as large as the range of the instrument",
            "remove T, so that the range of the file is taken, or correct it",
            grave=True,
        )
    ]


def _markers_of(detector: str, panel: PanelModel) -> list[str]:
    """Colours that the panel expects in a detector."""
    return [channel.marker for channel in panel.channels if detects(detector, channel)]


def _raw_bounds(gate: Gate, panel: PanelModel, tops: Mapping[str | None, float]) -> str:
    """Bounds of a cut in the raw units of a file, as they stand before gating looks at the instrument's brightness."""
    if not isinstance(gate, CutGate) or gate.tilt or gate.channel not in tops:
        return ""
    channel = panel.channel(gate.channel)
    numbers = (*gate.bounds, gate.fallback)
    if gate.units == "scale":
        if channel.transform.kind != "logicle":
            return ""
        width = PANEL_WIDTH if channel.transform.W is None else channel.transform.W
        top = channel.transform.T or tops[gate.channel]
        scale = ChannelScale("logicle", top, LOGICLE_M, width, channel.transform.A)
        numbers = (float(scale.inverse(numbers[0])), float(scale.inverse(numbers[1])), float(scale.inverse(numbers[2])))
    low, high, fallback = numbers
    return f"{gate.name} on {gate.channel}: {low:.0f} to {high:.0f} raw units, fallback {fallback:.0f}"


def _trial(tube: Tube, panel: PanelModel, config: RunConfig) -> list[str]:
    """What gating of some events of a tube by themselves, without controls, says about the panel's numbers."""
    step = max(1, tube.n_events // TRIAL_EVENTS)
    if step > 1:
        tube = replace(tube, raw={name: np.ascontiguousarray(values[::step]) for name, values in tube.raw.items()})
    tube = preprocess(tube, config)
    made = gate_columns(tube.measured, panel, tube.analysable(config.quality), config.gating, scales=tube.scales)
    held, estimated = cuts_at_bounds(made.gates, made.result.placements)
    flags = () if tube.qc is None else tube.qc.flags
    told = [one.message for one in flags if one.level != "info" or one.code == "HEIGHT_WIDTH_EXCHANGED"]
    which = f": {', '.join(held)}" if held else ""
    said = [*told, f"{len(held)} of {estimated} estimated thresholds end at a bound{which}"]
    if len(held) > MOST_AT_BOUNDS * estimated:
        said.append("... so many that the bounds are those of another instrument or staining: look at 'panel show'")
    if made.brightness != 1.0:
        said.append(
            f"colours are {1 / made.brightness:g} times as bright as those that the bounds were written for; gating "
            "moves the bounds accordingly"
        )
    empty = [
        gate.name
        for gate in panel.gates
        if gate.population and made.result.available(gate.name) and not made.result.inside(gate.name).any()
    ]
    said += [f"no event in {', '.join(empty)}"] if empty else []
    return [*said, *_shares(tube, panel, made.result), *_low_carriers(tube, panel, made.result)]


def _shares(tube: Tube, panel: PanelModel, result: GateResult) -> list[str]:
    """Sizes of the populations that a designer knows from the tube."""
    wanted = [gate.name for gate in panel.gates if (gate.population or gate.name in REQUIRED) and not gate.route]
    shown = [f"{name} {result.inside(name).mean():.1%}" for name in wanted if result.available(name)]
    return [f"shares of all events: {', '.join(shown)}"]


def _low_carriers(tube: Tube, panel: PanelModel, result: GateResult) -> list[str]:
    """Routes whose cells carry less of the marker than other cells: a cut on the wrong side, or exchanged labels."""
    found = []
    for route, markers in ROUTE_MARKERS.items():
        names = [marker for marker in markers if marker in tube.measured]
        if not names or route not in result.names or not result.available(route) or not result.available("nucleated"):
            continue
        inside = result.inside(route)
        others = result.inside("nucleated") & ~inside
        if min(int(inside.sum()), int(others.sum())) < LEAST_CELLS:
            continue
        if all(np.median(tube.measured[name][inside]) < np.median(tube.measured[name][others]) for name in names):
            found.append(
                f"cells of {route} have less {' and '.join(names)} than other cells: a cut on the wrong side, or "
                "exchanged labels"
            )
    return found
