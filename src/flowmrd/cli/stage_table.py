"""The stages in order: what each comes after, which configuration it reads, and what it needs of a machine.

Memory and time are a base plus a multiple of the size of the inputs, read off the benchmarks of ``make bench``.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache

from flowmrd.cli.code import digest
from flowmrd.config import RunConfig


@dataclass(frozen=True)
class Stage:
    """One stage of the workflow.

    Parameters
    ----------
    after
        Stages whose files it reads.
    sections
        Sections of ``config.yaml`` that it reads; ``*`` for all of it.
    base_mb, memory_factor
        Memory in MB: base plus factor times the size of the inputs in MB.
    need_factor
        What the stage cannot do without, in MB per MB of input, above the interpreter itself; less is refused.
    seconds_per_mb
        Generous run time per MB of input.
    """

    after: tuple[str, ...] = ()
    sections: tuple[str, ...] = ()
    need_factor: float = 3.0
    base_mb: int = 500
    memory_factor: float = 4.0
    seconds_per_mb: float = 2.0


STAGES = {
    "ingest": Stage(memory_factor=6.0),
    "spillover_reference": Stage(("ingest",), ("compensation",), memory_factor=2.0),
    "transform_reference": Stage(("spillover_reference",), ("compensation", "transform"), memory_factor=2.0),
    "preprocess": Stage(("transform_reference",), ("compensation", "transform", "quality"), memory_factor=5.0),
    "gate_reference": Stage(("preprocess",), ("gating", "quality"), memory_factor=2.0),
    "gate": Stage(("gate_reference",), ("gating", "quality"), memory_factor=4.0),
    "reference": Stage(("gate",), ("reference", "laip"), base_mb=1000, memory_factor=2.0, seconds_per_mb=4.0),
    "laip": Stage(("reference",), ("reference", "laip"), base_mb=1000, memory_factor=3.0, seconds_per_mb=4.0),
    "classify": Stage(("laip",), ("reference", "laip"), base_mb=800, memory_factor=4.0, seconds_per_mb=4.0),
    "quantify": Stage(("classify",), ("*",), base_mb=800, memory_factor=4.0, seconds_per_mb=4.0),
    "export": Stage(("classify",), (), memory_factor=6.0),
    "report": Stage(("quantify",), ("*",), base_mb=800, memory_factor=4.0),
    "cohort": Stage(("report",), ("*",), memory_factor=2.0),
    "provenance": Stage(("report",), ("*",)),
    "trial": Stage(("quantify",), ("*",), base_mb=800, memory_factor=2.0),
}
"""Stages in the order of the data."""


@cache
def stages_up_to(stage: str) -> tuple[str, ...]:
    """A stage and all stages before it, in order."""
    names = {stage}
    for before in STAGES[stage].after:
        names.update(stages_up_to(before))
    return tuple(name for name in STAGES if name in names)


def code_and_config(stage: str, config: RunConfig) -> str:
    """Digest of all code and configuration that a stage's result depends on, the stages before it included.

    A control's files can be made again without redoing what all controls together gave, so age alone cannot tell
    what is out of date; this can.
    """
    facts: dict[str, object] = {}
    values = config.model_dump(mode="json")
    for name in stages_up_to(stage):
        facts[name] = digest(f"flowmrd.stages.{name}")
        for section in STAGES[name].sections:
            facts[section] = values if section == "*" else values[section]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
