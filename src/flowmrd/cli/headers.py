"""What can be known of an FCS file without reading its events: that it is one, and that the panel fits it."""

from __future__ import annotations

from pathlib import Path

from flowmrd.errors import FcsError
from flowmrd.fcs.reader import choose, read_fcs
from flowmrd.panel import PanelModel
from flowmrd.panel.match import match_channels


def check_header(path: Path, panel: PanelModel | None) -> int:
    """Open a file, choose its data set and match its channels to the panel; read no events.

    Returns
    -------
    int
        Number of events that the header promises.

    Raises
    ------
    FcsError
        If the file is missing, unreadable or not list-mode FCS.
    ChannelError
        If a required channel of the panel is missing or claimed twice.
    """
    if path.is_dir():
        raise FcsError(str(path), found="a folder", expected="an FCS file", todo="correct the path in the sheet")
    data_set = choose(read_fcs(path))
    if panel is not None:
        match_channels(panel, [(channel.pnn, channel.pns) for channel in data_set.channels], str(path))
    return data_set.n_events
