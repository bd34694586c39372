"""What a panel designer has to know before a run: faults of the file, and what the panel cannot say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flowmrd.config import RunConfig, Sample
from flowmrd.config.sheet import Role
from flowmrd.engine.headers import Asked, check_header
from flowmrd.errors import FlowmrdError, InputError
from flowmrd.fcs.reader import choose, read_fcs
from flowmrd.gating.flags import KNOWN_ROUTES, REQUIRED
from flowmrd.gating.frame import PANEL_WIDTH
from flowmrd.home import PANELS
from flowmrd.panel import PanelModel, find_panel, load_panel
from flowmrd.panel.gates import BooleanGate, CutGate, Gate
from flowmrd.panel.match import match_channels
from flowmrd.panel.model import ChannelKind
from flowmrd.preprocess.transform import ChannelScale
from flowmrd.simulate.cytometer import SCATTER_SIGNALS
from flowmrd.simulate.populations import SIGNALS
from flowmrd.units import LOGICLE_M, LOGICLE_T

__all__ = ["advice", "check_panel", "lost_with"]

ANCHORED = ("granulocytes", "t_nk")
"""Populations that therapy spares, whose levels let gates follow a tube."""
FEW_FEATURES = 4
"""With fewer markers leukaemia is not told from normal precursors."""


def check_panel(name: str, tubes: Sequence[Path]) -> tuple[int, list[str]]:
    """Number of errors, and lines for the terminal."""
    try:
        path = Path(name) if Path(name).is_file() else find_panel(name, run_directory=Path(), shipped=PANELS)
        panel = load_panel(path)
    except InputError as error:
        return 1, [f"error: {error.where}: {error.found}", f"   expected: {error.expected}", f"   do: {error.todo}"]
    errors, notes = advice(panel)
    for tube in tubes:
        found, told = _tube(tube, panel)
        errors += found
        notes += told
    lines = [f"error: {text}" for text in errors] + [f"note: {text}" for text in notes]
    lines.append(
        f"{panel.name} version {panel.version}: {len(panel.channels)} channels, {len(panel.gates)} gates, "
        f"{len(errors)} error(s), {len(notes)} note(s)"
    )
    return len(errors), lines


def advice(panel: PanelModel) -> tuple[list[str], list[str]]:
    """Errors (a run would fail or answer nothing) and notes (what it costs) of a panel by itself."""
    names = {gate.name for gate in panel.gates}
    errors = [
        f"no gate {gate}: every tree defines {', '.join(REQUIRED)}; copy it from a shipped panel"
        for gate in REQUIRED
        if gate not in names
    ]
    if not any(gate.route for gate in panel.gates):
        errors.append("no gate has 'route: true': no cell can enter the B lineage")
    features = [channel for channel in panel.channels if channel.feature]
    if len(features) < FEW_FEATURES:
        errors.append(f"{len(features)} channels have 'feature: true': leukaemia is not told from normal precursors")
    return errors, [*_gate_notes(panel, names), *_channel_notes(panel)]


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
    for channel in panel.channels:
        lost = [] if channel.required or channel.kind is ChannelKind.TIME else lost_with(panel, channel.marker)
        if lost:
            notes.append(f"without the optional {channel.marker} these gates are not available: {', '.join(lost)}")
            errors = [gate for gate in lost if gate in REQUIRED]
            if errors:
                notes.append(f"... {', '.join(errors)} among them: such a tube is NOT_EVALUABLE")
    return notes


def lost_with(panel: PanelModel, marker: str) -> list[str]:
    """Gates that a tube without this channel cannot have, in the order of the panel."""
    lost: set[str] = set()
    for gate in panel.gates:
        if (
            (gate.method != "singlet" and marker in gate.dimensions())
            or marker in gate.needs
            or gate.parent in lost
            or _cannot_do_without(gate, lost)
        ):
            lost.add(gate.name)
    return [gate.name for gate in panel.gates if gate.name in lost]


def _cannot_do_without(gate: Gate, lost: set[str]) -> bool:
    if isinstance(gate, CutGate):
        return bool(lost & set(gate.references()))
    if isinstance(gate, BooleanGate):
        left = [name for name in dict.fromkeys(gate.any_of) if name not in lost]
        return bool(lost & {*gate.all_of, *gate.none_of}) or bool(gate.any_of and len(left) < gate.at_least)
    return False


def _channel_notes(panel: PanelModel) -> list[str]:
    notes = []
    unknown = [
        channel.marker
        for channel in panel.channels
        if channel.kind is not ChannelKind.TIME
        and channel.marker not in (SCATTER_SIGNALS if channel.kind is ChannelKind.SCATTER else SIGNALS)
    ]
    if unknown:
        notes.append(
            f"the simulator does not know {', '.join(unknown)}: without enough controls they are not used, and "
            "'flowmrd simulate' refuses this panel"
        )
    if not any(channel.kind is ChannelKind.NUCLEIC_ACID for channel in panel.channels):
        notes.append("no nucleic acid dye: what is left after debris counts as nucleated")
    if not any(channel.marker in {"FSC-H", "FSC-W"} for channel in panel.channels):
        notes.append("neither FSC-H nor FSC-W: doublets are not excluded")
    return notes


def _tube(path: Path, panel: PanelModel) -> tuple[list[str], list[str]]:
    """Whether a file fits the panel, and the bounds of its cuts in the file's raw units."""
    row = Sample("tube", "tube", Role.CONTROL, path)
    config = RunConfig(panel=panel.name, samples="")
    try:
        check_header(path, panel, row, Asked(config, path.parent))
    except FlowmrdError as error:
        where = getattr(error, "where", path)
        return [f"{where}: {getattr(error, 'found', error)}; {getattr(error, 'todo', '')}"], []
    chosen = choose(read_fcs(path))
    matched = match_channels(panel, [(c.pnn, c.pns) for c in chosen.channels], str(path))
    notes = [f"{path}: {note}" for note in matched.notes]
    notes += [f"{path}: no {marker} (optional)" for marker in matched.missing]
    tops = {entry.marker: float(chosen.channels[entry.index].range or LOGICLE_T) for entry in matched.channels}
    for gate in panel.gates:
        if not isinstance(gate, CutGate) or gate.tilt or gate.channel not in tops:
            continue
        channel = panel.channel(gate.channel)
        if channel.transform.kind != "logicle":
            continue
        width = PANEL_WIDTH if channel.transform.W is None else channel.transform.W
        scale = ChannelScale(
            "logicle", channel.transform.T or tops[gate.channel], LOGICLE_M, width, channel.transform.A
        )
        low, high, fallback = (float(scale.inverse(value)) for value in (*gate.bounds, gate.fallback))
        notes.append(
            f"{path}: {gate.name} on {gate.channel}: {low:.0f} to {high:.0f} raw units, fallback {fallback:.0f}"
        )
    return [], notes
