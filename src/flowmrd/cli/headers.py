"""What can be known of an FCS file without reading its events: that it is one, and that the panel fits it."""

from __future__ import annotations

from pathlib import Path

from flowmrd.fcs.reader import choose, marker_names, read_fcs
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
    data_sets = read_fcs(path)
    chosen = choose(data_sets)
    if panel is not None:
        match_channels(panel, marker_names(chosen, data_sets)[0], str(path))
    return chosen.n_events
