"""A FlowJo 10 workspace of a run, through FlowKit.

FlowKit 1.3 cannot export Boolean gates, and the trees here are mostly Boolean. So the workspace gates the annotated FCS
files on the parameters that flowmrd added: one range on ``population`` for each population and one on ``mrd``. The
events are the same; the thresholds themselves are in ``gates.xml``.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from flowmrd.gating.populations import UNASSIGNED, code_table
from flowmrd.panel.model import PanelModel
from flowmrd.store import write_text

__all__ = ["write_workspace"]

GROUP: Final = "flowmrd"
FIXED_DATE: Final = "Thu Jan 01 00:00:00 UTC 1970"
"""Instead of the time of writing, which would make every run differ."""


def write_workspace(annotated: Mapping[str, Path], panel: PanelModel, out: Path) -> None:
    """Write a workspace of annotated FCS files.

    Parameters
    ----------
    annotated
        Sample name to its ``annotated.fcs``. Every file is read whole, one after the other is kept: memory grows with
        the number of events of the run.
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
    samples = [fk.Sample(str(path), sample_id=f"{name}_{path.name}") for name, path in sorted(annotated.items())]
    session = fk.Session(gating_strategy=strategy, fcs_samples=samples)
    buffer = io.BytesIO()
    session.export_wsp(buffer, GROUP)
    text = buffer.getvalue().decode("utf-8")
    write_text(out, re.sub(r'modDate="[^"]*"', f'modDate="{FIXED_DATE}"', text))
