"""Digests of everything on which a tube's result rests; they decide whether a result is out of date.

Files from outside the workflow (FCS files, panels, overrides, spillover and clinical tables, a stored reference) are
not inputs of rules, because their age means nothing: clocks go wrong and copies keep old times. Instead, their content,
or for an FCS file its size and time, is part of the identity of the tubes that they concern. The rules have this
identity as a parameter.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from flowmrd.engine.code_digest import state_of
from flowmrd.engine.headers import file_key
from flowmrd.engine.panel_file import digest_of, short_digest
from flowmrd.engine.tubes_of_run import TubesOfRun
from flowmrd.records.references import read_reference_file
from flowmrd.run_files import CONFIG
from flowmrd.stages.laboratory_files import (
    control_limits_file,
    decisions_file,
    refuse_unreadable,
    stored_library,
)

__all__ = ["RunPlan"]

REFERENCE_FILES = ("reference.json", "gates.json", "transform.json")


@dataclass(frozen=True)
class RunPlan(TubesOfRun):
    """A checked run directory: its tubes, and the digests that the rules have as parameters."""

    def signatures_digest(self, sample: str | None = None) -> str:
        """Digest of the laboratory's key and of the review log's lines about a tube, or of all lines.

        A new signature rebuilds the tube's page, and so does a new key, by which signatures are judged from then on.
        """
        log = self.run_directory / "results/review/log.jsonl"
        if not log.is_file():
            return ""
        from flowmrd.review.status import PUBLIC_KEY  # it imports half a second of libraries

        key = self.run_directory / PUBLIC_KEY
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        mine = [line for line in lines if sample is None or json.dumps(sample) in line]
        if not mine:
            return ""  # as before the first review of all: other tubes' pages stay as they are
        return short_digest(
            "\n".join([*mine, key.read_text(encoding="utf-8", errors="replace") if key.is_file() else ""])
        )

    @cached_property
    def refused_digest(self) -> str:
        """Digest of the list of tubes without a result, so that the cohort page is rebuilt when it changes."""
        return short_digest(json.dumps([asdict(refusal) for refusal in self.refusals], sort_keys=True))

    def identity(self, sample: str) -> str:
        """Short digest that changes with a tube's row, its file (size and time) and the files on which its result
        rests.
        """
        row = self.samples[sample]
        panel, override = self.panel_of[sample], self.override_of(sample)
        facts = {
            **{key: str(value) for key, value in asdict(row).items() if key != "line"},
            "file": file_key(row.fcs),
            "panel": self.panels[panel].meaning,
            "override": digest_of(self.run_directory / override) if override is not None else "",
            "spillover": self._spillover_tables,
            "reference": self._stored_reference_digests[panel],
            "library": self._stored_library_digest,
            "expert labels": file_key(row.labels) if row.labels is not None else "",
            **self._laboratory_files,
        }
        return short_digest(json.dumps(facts, sort_keys=True))

    @cached_property
    def _laboratory_files(self) -> dict[str, str]:
        """Digests of the decisions and control limits that the configuration names, read once to see what they are."""
        refuse_unreadable(self.run_directory, self.config)
        files = {
            "decisions": decisions_file(self.run_directory, self.config),
            "control limits": control_limits_file(self.run_directory, self.config),
        }
        return {name: digest_of(path) for name, path in files.items() if path is not None}

    @cached_property
    def _spillover_tables(self) -> str:
        section = self.config.compensation
        tables = {} if isinstance(section, str) else section.tables()
        if not tables:
            return ""
        folder = (self.run_directory / self.config.samples).parent
        return short_digest("".join(f"{place}{digest_of(folder / given)}" for place, given in sorted(tables.items())))

    @cached_property
    def _stored_reference_digests(self) -> dict[str, str]:
        """Digest of each panel's stored reference, empty where there is none; one that cannot be used ends the run."""
        return {panel: self._of_reference(self.stored_reference(panel)) for panel in self.panels}

    @staticmethod
    def _of_reference(folder: Path | None) -> str:
        if folder is None:
            return ""
        read_reference_file(folder / "reference.json")
        # reference.json names the digest of the arrays beside it
        return short_digest("".join(digest_of(folder / name) for name in REFERENCE_FILES))

    @cached_property
    def _stored_library_digest(self) -> str:
        # each laip.json names the digest of the arrays beside it
        return short_digest("".join(digest_of(path) for path in stored_library(self.run_directory, self.config)))

    @cached_property
    def clinical_digest(self) -> str:
        """Digest of the clinical tables."""
        return short_digest("".join(digest_of(self.run_directory / name) for name in self.clinical_tables))

    @property
    def clinical_tables(self) -> tuple[str, str]:
        """Patients and adverse events, relative to the run directory; they need not exist."""
        return self.config.patients, self.config.adverse_events

    @cached_property
    def planned(self) -> str:
        """Digest of the configuration and of all code, which must not change during a run."""
        return state_of(self.run_directory / CONFIG)

    def fingerprint(self, sample: str) -> str:
        """Digest of everything on which a stage's refusal of a tube may rest."""
        return short_digest(self.identity(sample) + self.planned)

    def identities(self, samples: Iterable[str]) -> str:
        """One digest for several tubes, for results that are made from all of them."""
        return short_digest("".join(self.identity(sample) for sample in samples))
