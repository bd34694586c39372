"""Reading an expert's gates of a tube from the file of any supported software."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Final, Literal

from flowmrd.errors import GateError
from flowmrd.gating.experts.diva import ROOT_TAG as DIVA
from flowmrd.gating.experts.diva import read_diva
from flowmrd.gating.experts.expert_gates import ExpertGates
from flowmrd.gating.experts.flowkit_gates import read_flowjo, read_gatingml_events
from flowmrd.gating.experts.kaluza import read_kaluza
from flowmrd.gating.experts.tube_events import TubeEvents, read_tube_events
from flowmrd.gating.gatingml import GATING
from flowmrd.gating.safe_xml import MAX_BYTES, parse_xml

__all__ = ["SUFFIXES", "read_expert_gates"]

SUFFIXES: Final = frozenset({".wsp", ".wspt", ".analysis", ".xml", ".gml", ".gatingml"})
"""Endings of files that may hold an expert's gates."""
EXPECTED: Final = (
    "a FlowJo 10 workspace (.wsp), Kaluza analysis (.analysis), FACSDiva experiment or GatingML 2.0 (.xml)"
)


def read_expert_gates(
    gates: Path,
    fcs: Path,
    *,
    data_set: int | None = None,
    compensation: Literal["file", "none"] | None = None,
    by_name: bool = False,
) -> ExpertGates:
    """Read the gates of a tube: the events of each gate, or the reason why it cannot be evaluated.

    Parameters
    ----------
    gates
        File of the gates.
    fcs
        FCS file of the tube. FlowJo, Kaluza and FACSDiva files name their tubes; the tube is found by its file name.
    data_set
        Which data set of the FCS file, as in ``ingest.json``.
    compensation
        For Kaluza files, which do not say it: whether the gates were drawn on values compensated with the FCS file's
        matrix or on uncompensated ones.
    by_name
        Whether the tube must be found by its file name. Otherwise the only tube of a file is used if it has the same
        number of events.

    Raises
    ------
    UnknownTubeError
        If the file does not hold this tube.
    GateError
        If the file is none of these, or is damaged.
    FcsError
        If the tube cannot be read.
    """
    where = str(gates)
    if not gates.is_file():
        raise GateError(where, found="no such file", expected=EXPECTED, todo="correct the path")
    with gates.open("rb") as stream:
        raw = stream.read(MAX_BYTES + 1)
    if raw.startswith(b"PK\x03\x04"):
        return read_kaluza(gates, read_tube_events(fcs, data_set), compensation, by_name=by_name)
    root = parse_xml(raw, where, expected=EXPECTED)
    return _by_root(root, raw, where, read_tube_events(fcs, data_set), by_name=by_name)


def _by_root(root: ET.Element, raw: bytes, where: str, tube: TubeEvents, *, by_name: bool) -> ExpertGates:
    if root.tag == DIVA:
        return read_diva(root, where, tube, by_name=by_name)
    if root.tag == f"{{{GATING}}}Gating-ML":
        return read_gatingml_events(raw, where, tube)
    if "flowJoVersion" in root.attrib or root.tag == "Workspace":
        return read_flowjo(root, where, tube, by_name=by_name)
    raise GateError(
        where,
        found=f"an XML file with the root {str(root.tag)[-60:]!r}",
        expected=EXPECTED,
        todo="export the gates again",
    )
