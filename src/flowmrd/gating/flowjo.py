"""Writing a FlowJo 10 workspace of a run with FlowKit.

FlowKit 1.3 cannot export Boolean gates, and the trees here are mostly Boolean. So the workspace gates the annotated FCS
files on the parameters that flowmrd added: one range on ``population`` for each population and one on ``mrd``. The
events are the same; the thresholds themselves are in ``gates.xml``.
"""

from __future__ import annotations

import io
import os
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote

import numpy as np

from flowmrd.fcs.reader import DataSet, choose, read_fcs
from flowmrd.fcs.writer import ChannelSpec, write_fcs
from flowmrd.gating.gatingml import GATING, TRANSFORMS, TYPES
from flowmrd.gating.populations import UNASSIGNED, code_table
from flowmrd.panel.model import PanelModel
from flowmrd.store import write_text

__all__ = ["write_workspace"]

GROUP: Final = "flowmrd"
FIXED_DATE: Final = "Thu Jan 01 00:00:00 UTC 1970"
"""Instead of the time of writing, which would make every run differ."""


def write_workspace(annotated: Mapping[str, Path], panel: PanelModel, out: Path) -> None:
    """Write a workspace of annotated FCS files, which it finds by their path relative to its own folder.

    Parameters
    ----------
    annotated
        Sample name to its ``annotated.fcs``. Only HEADER and TEXT are read: memory does not grow with the events.
    panel
        Panel whose populations are gated; samples of other panels need a workspace of their own.
    """
    import flowkit as fk

    strategy = fk.GatingStrategy()
    for name, code in code_table(panel.gates).items():
        if name != UNASSIGNED:
            dimension = fk.Dimension("population", range_min=code - 0.5, range_max=code + 0.5)
            strategy.add_gate(fk.gates.RectangleGate(name, [dimension]), ("root",))
    strategy.add_gate(fk.gates.RectangleGate("mrd", [fk.Dimension("mrd", range_min=0.5)]), ("root",))
    originals = {f"{name}_{path.name}": choose(read_fcs(path)) for name, path in sorted(annotated.items())}
    with tempfile.TemporaryDirectory() as folder:
        stubs = [
            fk.Sample(str(_without_events(original, Path(folder) / f"{i}.fcs")), sample_id=title)
            for i, (title, original) in enumerate(originals.items())
        ]
        session = fk.Session(gating_strategy=strategy, fcs_samples=stubs)
        buffer = io.BytesIO()
        session.export_wsp(buffer, GROUP)
    write_text(out, _pointing_at(buffer.getvalue().decode("utf-8"), originals, out.parent))


def _pointing_at(text: str, originals: Mapping[str, DataSet], folder: Path) -> str:
    """The workspace with the files it was made for: their place relative to ``folder`` and their own keywords."""
    for prefix, uri in (("gating", GATING), ("transforms", TRANSFORMS), ("data-type", TYPES)):
        ET.register_namespace(prefix, uri)
    root = ET.fromstring(text)  # noqa: S314 - FlowKit wrote it a moment ago
    root.set("modDate", FIXED_DATE)
    root.set("xmlns:transforms", TRANSFORMS)  # readers expect it, and nothing here uses it
    for element in root.iterfind("SampleList/Sample"):
        place = element.find("DataSet")
        assert place is not None  # noqa: S101 - FlowKit writes one for each sample
        original = originals[place.get("uri", "")]
        place.set("uri", quote(Path(os.path.relpath(original.path, folder)).as_posix()))
        for keyword in element.iterfind("Keywords/Keyword"):
            keyword.set("value", original.keywords.get(keyword.get("name", ""), keyword.get("value", "")))
    ET.indent(root)
    return f"<?xml version='1.0' encoding='UTF-8'?>\n{ET.tostring(root, encoding='unicode')}\n"


def _without_events(original: DataSet, stub: Path) -> Path:
    """A file with the keywords of another and one event, because FlowKit reads all events to list keywords."""
    kept = {key: value for key, value in original.keywords.items() if not key.startswith("$") or key == "$SPILLOVER"}
    channels = [
        ChannelSpec(p.pnn or f"P{i + 1}", p.pns or "", range=int(p.range or 1)) for i, p in enumerate(original.channels)
    ]
    write_fcs(stub, [np.zeros(1, dtype=np.float32)] * len(channels), channels, kept)
    return stub
