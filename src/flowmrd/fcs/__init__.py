"""Reading FCS files exactly, scrubbing identifiers, writing FCS."""

from flowmrd.fcs.findings import Finding
from flowmrd.fcs.reader import DataSet, choose, marker_names, read_fcs
from flowmrd.fcs.spillover import FileSpillover, read_spillover, read_spillovers
from flowmrd.fcs.writer import ChannelSpec, write_fcs

__all__ = [
    "ChannelSpec",
    "DataSet",
    "FileSpillover",
    "Finding",
    "choose",
    "marker_names",
    "read_fcs",
    "read_spillover",
    "read_spillovers",
    "write_fcs",
]
