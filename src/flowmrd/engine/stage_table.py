"""The stages in order: their predecessors, the configuration that they read, and the memory and time that they need.

Memory and time are requested by the size of the tubes' raw columns (4 bytes per event and channel). This size is known
from the headers before anything runs, so the plan of a cluster run shows real numbers and a group of stages requests
enough. The factors are those measured by ``make scale``, with a margin; docs/performance.md has the measurements.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from flowmrd.config import RunConfig
from flowmrd.engine.code_digest import digest


class Unit(StrEnum):
    """The object of one job of a stage, which is also the wildcard of its rule, if it has one."""

    SAMPLE = "sample"
    PATIENT = "patient"
    PANEL = "panel"
    RUN = "run"


@dataclass(frozen=True)
class Stage:
    """One stage of the workflow.

    Parameters
    ----------
    does
        Description of its work in words for a technician.
    unit
        Object of one of its jobs.
    after
        Stages whose files it reads.
    sections
        Sections of ``config.yaml`` that it reads; ``*`` for all of it.
    base_mb, mb_per_mb
        Memory to request in MB: base plus factor times the size of the raw columns. For a stage that reads several
        tubes the largest counts, because it reads them one after the other. The base covers the interpreter and, on a
        cluster, Snakemake's own two processes in the job.
    need
        Smallest memory of the stage beyond the interpreter, in MB per MB of the files that it opens (of the largest
        tube). The stage refuses to start with less.
    seconds_per_mb
        Generous run time per MB of the raw columns of all its tubes.
    """

    does: str
    unit: Unit
    after: tuple[str, ...] = ()
    sections: tuple[str, ...] = ()
    base_mb: int = 800
    mb_per_mb: float = 4.0
    need: float = 2.0
    seconds_per_mb: float = 1.0

    def ask_mb(self, largest_mb: float, attempt: int) -> int:
        """Memory to request in MB, doubled with every attempt."""
        return int((self.base_mb + self.mb_per_mb * largest_mb) * 2 ** (attempt - 1))

    def ask_minutes(self, all_mb: float, attempt: int) -> int:
        """Run time to request in minutes, doubled with every attempt."""
        return int((10 + self.seconds_per_mb * all_mb / 60) * 2 ** (attempt - 1))


STAGES = {
    "ingest": Stage("reading the FCS file", Unit.SAMPLE, mb_per_mb=2.5, need=1.3),
    "spillover_reference": Stage(
        "spillover from the single-stain tubes", Unit.PANEL, ("ingest",), ("compensation",), need=2.8
    ),
    "transform_reference": Stage(
        "scaling learned from the controls",
        Unit.PANEL,
        ("spillover_reference",),
        ("compensation", "transform"),
        need=2.8,
    ),
    "preprocess": Stage(
        "compensation, scaling, quality",
        Unit.SAMPLE,
        ("transform_reference",),
        ("compensation", "transform", "quality"),
        need=2.1,
    ),
    "gate_reference": Stage(
        "gates learned from the controls", Unit.PANEL, ("preprocess",), ("gating", "quality"), need=1.8
    ),
    "gate": Stage("gating", Unit.SAMPLE, ("gate_reference",), ("gating", "quality")),
    "prepare": Stage(
        "reading, scaling, gating",
        Unit.SAMPLE,
        ("gate_reference",),
        ("compensation", "transform", "quality", "gating"),
        mb_per_mb=6.0,
        need=4.0,
        seconds_per_mb=3.0,
    ),
    "reference": Stage(
        "normal reference from the controls",
        Unit.PANEL,
        ("gate",),
        ("reference", "laip", "controls"),
        base_mb=1000,
        mb_per_mb=8.0,
        need=3.0,
        seconds_per_mb=4.0,
    ),
    "laip": Stage(
        "phenotype of the leukaemia",
        Unit.PATIENT,
        ("prepare", "reference"),
        ("reference", "laip"),
        base_mb=1000,
        mb_per_mb=5.0,
        seconds_per_mb=4.0,
    ),
    "judge": Stage(
        "looking for leukaemic cells, report",
        Unit.SAMPLE,
        ("laip",),
        ("*",),
        base_mb=1000,
        mb_per_mb=8.0,
        need=5.0,
        seconds_per_mb=9.0,
    ),
    "cohort": Stage("index and table", Unit.RUN, ("judge",), ("*",)),
    "provenance": Stage("versions, inputs, digests", Unit.RUN, ("judge",), ("*",)),
    "trial": Stage("endpoints", Unit.RUN, ("judge",), ("*",)),
}
"""Stages in the order of the data."""

SINGLE_STEPS = {"judge_gated": 3.0, "classify": 2.0, "quantify": 0.5, "export": 1.0, "report": 2.0}
"""Smallest memory, as in :attr:`Stage.need`, of judging from gated columns and of the steps of ``judge`` that have a
command of their own.
"""


def need_of(step: str) -> float:
    """Smallest memory of a stage or step, in MB per MB of the files that it opens."""
    return SINGLE_STEPS[step] if step in SINGLE_STEPS else STAGES[step].need


SAMPLE_STAGES = tuple(name for name, stage in STAGES.items() if stage.unit is Unit.SAMPLE)
"""Stages that work on one tube."""


@cache
def stages_up_to(stage: str) -> tuple[str, ...]:
    """A stage and all stages before it, in order."""
    names = {stage}
    for before in STAGES[stage].after:
        names.update(stages_up_to(before))
    return tuple(name for name in STAGES if name in names)


def code_and_config(stage: str, config: RunConfig) -> str:
    """Digest of all code and configuration on which a stage's result depends, including those of the stages before it.

    A control's files can be made again without redoing the results of all controls together. Age alone therefore cannot
    show what is out of date; this digest can.
    """
    facts: dict[str, object] = {}
    values = config.model_dump(mode="json")
    for name in stages_up_to(stage):
        facts[name] = digest(f"flowmrd.stages.{name}")
        for section in STAGES[name].sections:
            facts[section] = values if section == "*" else values[section]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
