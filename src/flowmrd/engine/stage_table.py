"""The stages in order: their predecessors, the configuration they read, their commands, their memory and time.

Adding a stage means an entry here, ``stages/<stage>.py`` with its function ``in_run``, and
``workflow/rules/<stage>.smk``. The command line, the plan, the digests, the memory and the rules that the Snakefile
includes follow from the entry.

Memory and time are requested by the size of the tubes' raw columns (4 bytes per event and channel). This size is known
from the headers before anything runs, so the plan of a cluster run shows real numbers and a group of stages requests
enough. The factors are those measured by ``make scale``, with a margin; docs/performance.md has the measurements.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from flowmrd.engine.code_digest import digest

if TYPE_CHECKING:
    from flowmrd.config import RunConfig


class Unit(StrEnum):
    """The object of one job of a stage, which is also the wildcard of its rule, if it has one."""

    SAMPLE = "sample"
    PATIENT = "patient"
    PANEL = "panel"
    RUN = "run"


@dataclass(frozen=True)
class StageOption:
    """One option of a stage's command, ``--<name>``, and parameter of the stage's ``in_run``."""

    name: str
    help: str
    kind: type[Path] | type[str] | type[bool] = Path
    required: bool = False
    many: bool = False


@dataclass(frozen=True)
class StageCommand:
    """A command that is a stage and nothing else: ``flowmrd <stage>``.

    Parameters
    ----------
    help
        What it does, for the command line.
    options
        Options besides ``--run`` and those of the unit (``--sample``, or ``--panel`` or ``--patient`` with ``--tube``).
    """

    help: str
    example: str
    options: tuple[StageOption, ...] = ()


@dataclass(frozen=True)
class Stage:
    """One stage of the workflow, or one step of ``judge`` that has a command of its own.

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
    command
        Its command, where that does nothing else; others are written by hand in ``flowmrd.cli``.
    opens
        Event files that it opens of each tube: names in ``results/work/<sample>``, or ``fcs`` for the FCS file.
    base_mb, mb_per_mb
        Memory to request in MB: base plus factor times the size of the raw columns. For a stage that reads several
        tubes the largest counts, because it reads them one after the other. The base covers the interpreter and, on a
        cluster, Snakemake's own two processes in the job.
    need
        Smallest memory of the stage beyond the interpreter, in MB per MB of the files that it opens (of the largest
        tube). The stage refuses to start with less.
    seconds_per_mb
        Generous run time per MB of the raw columns of all its tubes.
    without
        Where it reads the whole configuration: sections and keys (``section.key``) that change no file that it writes,
        or that a later stage brings into its pages.
    """

    does: str
    unit: Unit
    after: tuple[str, ...] = ()
    sections: tuple[str, ...] = ()
    command: StageCommand | None = None
    opens: tuple[str, ...] = ()
    base_mb: int = 800
    mb_per_mb: float = 4.0
    need: float = 2.0
    seconds_per_mb: float = 1.0
    without: tuple[str, ...] = ()

    def ask_mb(self, largest_mb: float, attempt: int) -> int:
        """Memory to request in MB, doubled with every attempt."""
        return int((self.base_mb + self.mb_per_mb * largest_mb) * 2 ** (attempt - 1))

    def ask_minutes(self, all_mb: float, attempt: int) -> int:
        """Run time to request in minutes, doubled with every attempt."""
        return int((10 + self.seconds_per_mb * all_mb / 60) * 2 ** (attempt - 1))


FCS = "fcs"
"""In :attr:`Stage.opens`, the FCS file itself."""
PREPROCESSED, GATED, CLASSIFIED = "preprocessed.arrow", "gated.arrow", "classified.arrow"

TRANSFORMS = StageOption("transforms", "transform.json of the controls.")
THRESHOLDS = StageOption("thresholds", "gates.json of the controls.")
SPILLOVER = StageOption("spillover", "Spillover CSV to use instead of the file's matrix.")
OVERRIDE = StageOption("override", "A reviewer's gates that replace the automatic ones.")
REFERENCE = StageOption("reference", "reference.json of the panel.", required=True)
REFERENCE_IF_ANY = StageOption("reference", "reference.json of the panel.")
LAIP = StageOption("laip", "laip.json of the patient.")
LIBRARY = StageOption("library", "laip.json of another patient; once for each.", many=True)
CONTROL = StageOption("control", "Name of a control tube; once for each.", str, many=True)

STAGES = {
    "ingest": Stage(
        "reading the FCS file",
        Unit.SAMPLE,
        command=StageCommand("Read a tube's FCS file into columns.", "--sample P01_day21"),
        opens=(FCS,),
        mb_per_mb=2.5,
        need=1.3,
    ),
    "spillover_reference": Stage(
        "spillover from the single-stain tubes",
        Unit.PANEL,
        ("ingest",),
        ("compensation",),
        StageCommand(
            "Compute the spillover matrix of a panel from its single-stain tubes.",
            "--panel ino10 --tube COMP_CD19 --tube COMP_CD10 --tube COMP_unstained",
        ),
        opens=("events.arrow",),
        need=2.8,
    ),
    "transform_reference": Stage(
        "scaling learned from the controls",
        Unit.PANEL,
        ("spillover_reference",),
        ("compensation", "transform"),
        StageCommand(
            "Learn the scaling of a panel from its controls and freeze it.",
            "--panel ino10 --tube C01 --tube C02",
            (StageOption("spillover", "Spillover CSV to use instead of the files' own."),),
        ),
        opens=("events.arrow",),
        need=2.8,
    ),
    "preprocess": Stage(  # its command also takes a single FCS file
        "compensation, scaling, quality",
        Unit.SAMPLE,
        ("transform_reference",),
        ("compensation", "transform", "quality"),
        opens=("events.arrow",),
        need=2.1,
    ),
    "gate_reference": Stage(
        "gates learned from the controls",
        Unit.PANEL,
        ("preprocess",),
        ("gating", "quality"),
        StageCommand(
            "Learn the gates of a panel from its controls and freeze them.", "--panel ino10 --tube C01 --tube C02"
        ),
        opens=(PREPROCESSED,),
        need=1.8,
    ),
    "gate": Stage(
        "gating",
        Unit.SAMPLE,
        ("gate_reference",),
        ("gating", "quality"),
        StageCommand(
            "Apply the panel's gate tree to a tube.",
            "--sample P01_day21 --thresholds results/reference/ino10/gates.json",
            (
                StageOption("thresholds", "gates.json of the controls; without it every gate is placed on this tube."),
                OVERRIDE,
            ),
        ),
        opens=(PREPROCESSED,),
    ),
    "prepare": Stage(
        "reading, scaling, gating",
        Unit.SAMPLE,
        ("gate_reference",),
        ("compensation", "transform", "quality", "gating"),
        StageCommand(
            "Read, preprocess and gate a diagnosis tube in one step, as a run does.",
            "--sample P01_dx --transforms results/reference/ino10/transform.json "
            "--thresholds results/reference/ino10/gates.json",
            (TRANSFORMS, SPILLOVER, THRESHOLDS, OVERRIDE),
        ),
        opens=(FCS,),
        mb_per_mb=6.0,
        need=4.0,
        seconds_per_mb=3.0,
    ),
    "reference": Stage(  # its command is one of the group 'flowmrd reference'
        "normal reference from the controls",
        Unit.PANEL,
        ("gate",),
        ("reference", "laip", "controls"),
        opens=(PREPROCESSED, GATED),
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
        StageCommand(
            "Find the phenotype (LAIP) of a patient's leukaemia in the diagnosis tubes.",
            "--patient P01 --tube P01_dx --reference results/reference/ino10/reference.json",
            (REFERENCE,),
        ),
        opens=(PREPROCESSED, GATED),
        base_mb=1000,
        mb_per_mb=5.0,
        seconds_per_mb=4.0,
    ),
    "judge": Stage(
        "looking for leukaemic cells, report",
        Unit.SAMPLE,
        ("laip",),
        ("*",),
        StageCommand(
            "Take a tube from its FCS file to its report in one step, as a run does.",
            "--sample P01_day21 --reference results/reference/ino10/reference.json "
            "--transforms results/reference/ino10/transform.json --thresholds results/reference/ino10/gates.json",
            (
                REFERENCE,
                StageOption("gated", "Start at the columns that the stages up to gate have made.", bool),
                TRANSFORMS,
                SPILLOVER,
                THRESHOLDS,
                OVERRIDE,
                LAIP,
                LIBRARY,
                CONTROL,
            ),
        ),
        opens=(FCS,),
        base_mb=1000,
        mb_per_mb=8.0,
        need=5.0,
        seconds_per_mb=9.0,
        # The cohort stage puts the required number of signatures into the pages (flowmrd.stages.cohort.refresh_page).
        without=("report.signatures", "trial", "patients", "adverse_events"),
    ),
    "cohort": Stage("index and table", Unit.RUN, ("judge",), ("*",)),  # its command plans the run
    "provenance": Stage(
        "versions, inputs, digests",
        Unit.RUN,
        ("judge",),
        ("*",),
        StageCommand("Record what a finished run was made with and what it gave; write the RO-Crate.", "--run my-run"),
    ),
    "trial": Stage(
        "endpoints",
        Unit.RUN,
        ("judge",),
        ("*",),
        StageCommand("Analyse the trial: clinical tables and every result together.", "--run my-run"),
    ),
}
"""Stages in the order of the data."""

SINGLE_STEPS = {
    "judge_gated": Stage("judging from gated columns", Unit.SAMPLE, opens=(PREPROCESSED, GATED), need=3.0),
    "classify": Stage(
        "looking for leukaemic cells",
        Unit.SAMPLE,
        command=StageCommand(
            "Find leukaemic cells in a tube.",
            "--sample P01_day21 --reference results/reference/ino10/reference.json --laip results/laip/P01/laip.json",
            (REFERENCE, LAIP, LIBRARY),
        ),
        opens=(PREPROCESSED, GATED),
        need=2.0,
    ),
    "quantify": Stage(
        "counts, limits, verdict",
        Unit.SAMPLE,
        command=StageCommand(
            "Compute counts, intervals, limits and verdict: mrd.json.",
            "--sample P01_day21 --reference results/reference/ino10/reference.json",
            (REFERENCE_IF_ANY, LAIP),
        ),
        opens=(PREPROCESSED, GATED, CLASSIFIED),
        need=0.5,
    ),
    "export": Stage("one row per event", Unit.SAMPLE, opens=(FCS, PREPROCESSED, GATED, CLASSIFIED), need=1.0),
    "report": Stage("the page", Unit.SAMPLE, opens=(PREPROCESSED, GATED, CLASSIFIED), need=2.0),
}
"""Steps of ``judge`` that have a command of their own, and judging from gated columns. They are no job of a run."""

STEPS = MappingProxyType(STAGES | SINGLE_STEPS)
"""Everything that can be done alone."""


CONTRACT = (
    "mrd.json",
    "report.html",
    "populations.tsv",
    "qc.json",
    "gates.xml",
    "events.parquet",
    "annotated.fcs",
)
"""Results of every tube that was analysed, in its folder below ``results/samples``."""

SAMPLE_STAGES = tuple(name for name, stage in STAGES.items() if stage.unit is Unit.SAMPLE)
"""Stages that work on one tube."""


def _all_but(values: Mapping[str, object], without: Sequence[str]) -> dict[str, object]:
    """The configuration without these sections and keys."""
    left = {name: value for name, value in values.items() if name not in without}
    for section, facts in left.items():
        if isinstance(facts, dict):
            left[section] = {key: value for key, value in facts.items() if f"{section}.{key}" not in without}
    return left


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
            facts[section] = _all_but(values, STAGES[name].without) if section == "*" else values[section]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
