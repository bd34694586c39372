"""What Snakemake does, as one JSON object a line: read by :mod:`flowmrd.engine.progress`.

Snakemake finds logger plugins by the name of their package. This one writes to the file descriptor that ``flowmrd run``
names in the environment, so that nothing has to be read out of Snakemake's prose.

Objects have ``event`` and, by event:

- ``planned``: ``total`` jobs of the run (0 where nothing is to be done);
- ``job``: ``id``, ``rule``, ``message``, ``wildcards``, ``group`` (null where a job is submitted alone);
- ``finished``: ``id``;
- ``failed``: ``rule``, ``id``;
- ``progress``: ``done``, ``total``;
- ``trouble``: ``message`` of an error that is not a job's.
"""

from __future__ import annotations

import json
import logging
import os
from contextlib import suppress
from typing import Any, TextIO

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

DESCRIPTOR = "FLOWMRD_EVENTS_FD"
"""Environment variable with the number of the file descriptor to write to."""


def as_events(record: logging.LogRecord, groups: dict[int, str]) -> list[dict[str, Any]]:
    """Events of a log record, mostly one or none.

    Parameters
    ----------
    groups
        Number of a job to the group it is submitted with; filled from group records.
    """
    event = getattr(record, "event", None)
    facts = record.__dict__
    if event == LogEvent.RUN_INFO:
        return [{"event": "planned", "total": int(facts["stats"].get("total", 0))}]
    if event == LogEvent.GROUP_INFO:
        groups.update({int(job.jobid): str(facts["group_id"]) for job in facts["jobs"]})
        return []
    if event == LogEvent.JOB_INFO:
        number = int(facts["jobid"])
        return [
            {
                "event": "job",
                "id": number,
                "rule": str(facts["rule_name"]),
                "message": str(facts["rule_msg"] or ""),
                "wildcards": {str(name): str(value) for name, value in dict(facts["wildcards"] or {}).items()},
                "group": groups.get(number),
            }
        ]
    if event == LogEvent.JOB_FINISHED:
        return [{"event": "finished", "id": int(facts["job_id"])}]
    if event == LogEvent.JOB_ERROR:
        return [{"event": "failed", "rule": str(facts["rule_name"]), "id": int(facts["jobid"])}]
    if event == LogEvent.PROGRESS:
        return [{"event": "progress", "done": int(facts["done"]), "total": int(facts["total"])}]
    if record.levelno >= logging.ERROR and event in (None, LogEvent.ERROR):
        return [{"event": "trouble", "message": record.getMessage()}]
    return []


class LogHandler(LogHandlerBase):
    """Writes events to the descriptor that the launcher names; writes nothing where there is none."""

    def __post_init__(self) -> None:
        self._stream: TextIO | None = None
        with suppress(KeyError, ValueError, OSError):  # started by something else than the launcher
            self._stream = os.fdopen(os.dup(int(os.environ[DESCRIPTOR])), "w", encoding="utf-8")
        self._groups: dict[int, str] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Write the events of a record."""
        if self._stream is None:
            return
        with suppress(BrokenPipeError):  # the launcher was killed; the run goes on
            for event in as_events(record, self._groups):
                self._stream.write(json.dumps(event) + "\n")
            self._stream.flush()

    @property
    def writes_to_stream(self) -> bool:
        """Snakemake's own messages stay on stdout and stderr."""
        return False

    @property
    def writes_to_file(self) -> bool:
        """No file of Snakemake's."""
        return False

    @property
    def has_filter(self) -> bool:
        """No filter: what is not an event is passed over here."""
        return True

    @property
    def has_formatter(self) -> bool:
        """Events are written as JSON."""
        return True

    @property
    def needs_rulegraph(self) -> bool:
        """The graph of the rules is not needed."""
        return False
