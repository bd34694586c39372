"""What can be known of an FCS file without reading its events: that it is one, and that the panel fits it.

Opening a thousand files at every start would be slow, so the outcome is kept in ``.snakemake/flowmrd/`` under size and
time of each file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from flowmrd.engine.code import digest
from flowmrd.engine.layout import STATE, keep_state
from flowmrd.errors import InputError
from flowmrd.fcs.reader import choose, marker_names, read_fcs
from flowmrd.panel import PanelModel
from flowmrd.panel.match import match_channels


def check_header(path: Path, panel: PanelModel | None) -> float:
    """Open a file, choose its data set and match its channels to the panel; read no events.

    Returns
    -------
    float
        Size of its raw columns in MB, as the header promises them: 4 bytes an event and channel.

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
    return chosen.n_events * len(chosen.channels) * 4 / 2**20


def file_key(path: Path) -> str:
    """Size and time of a file, by which it is known again; ``absent`` where it is not there."""
    try:
        stat = path.stat()
    except OSError:
        return "absent"
    return f"{stat.st_size}-{stat.st_mtime_ns}"


class HeaderCache:
    """Outcome of checking FCS headers, kept by size and time of the files."""

    def __init__(self, run_directory: Path) -> None:
        self._path = run_directory / STATE / "headers.json"
        self._code = digest("flowmrd.engine.headers")
        self._old: dict[str, Any] = {}
        self._new: dict[str, Any] = {}
        try:
            stored = json.loads(self._path.read_text(encoding="utf-8"))
            if stored["code"] == self._code and isinstance(stored["files"], dict):
                self._old = stored["files"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            self._old = {}  # a cache that cannot be read is only a slower start

    def check(self, path: Path, panel: PanelModel | None, *, panel_key: str) -> float:
        """Raise what is wrong with a file's header, from memory where the file has not changed.

        Parameters
        ----------
        panel
            Panel to match the channels to, if any.
        panel_key
            Digest of the panel file.

        Returns
        -------
        float
            As of :func:`check_header`.
        """
        key = f"{path}|{panel_key if panel is not None else ''}"
        now = file_key(path)
        known = _remembered(self._old.get(key), now)
        if known is None:
            known = {"file": now, "error": None, "mb": 0.0}
            try:
                known["mb"] = check_header(path, panel)
            except InputError as error:
                if isinstance(error.__cause__, OSError):
                    raise  # a drive that could not be read says nothing about the file: look again next time
                known["error"] = [error.where, error.found, error.expected, error.todo]
        self._new[key] = known
        if known["error"] is not None:
            where, found, expected, todo = known["error"]
            raise InputError(where, found=found, expected=expected, todo=todo)
        return float(known["mb"])

    def save(self) -> None:
        """Keep what was learned for the next start."""
        if self._new != self._old:
            keep_state(self._path, {"code": self._code, "files": self._new})


def _remembered(entry: Any, now: str) -> dict[str, Any] | None:
    """An entry of the cache if it is about the file as it is now and has the form that is written here."""
    if not isinstance(entry, dict) or entry.get("file") != now:
        return None
    error = entry.get("error", "")
    told = error is None or (isinstance(error, list) and len(error) == 4 and all(isinstance(one, str) for one in error))
    return entry if told and isinstance(entry.get("mb"), float) else None
