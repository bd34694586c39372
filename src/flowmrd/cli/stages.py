"""One command per stage of the workflow.

Each runs one stage of one tube (or of all controls) in a run directory, reading the files of the stage before and
writing its own where docs/architecture.md says. A failing step of a run can be copied out of the log and repeated.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from flowmrd.cli.layout import Run

SampleOption = Annotated[str, typer.Option(help="Name of the tube in the sample sheet.")]
PanelOption = Annotated[str, typer.Option(help="Name of the panel.")]
TubesOption = Annotated[list[str], typer.Option("--tube", help="Name of a tube; once for each.")]
RunOption = Annotated[Path, typer.Option("--run", help="Run directory.")]
HERE = Path()


def register(app: typer.Typer) -> None:
    """Add the stage commands to the application."""
    for name, command in (
        ("ingest", ingest),
        ("transform-reference", transform_reference),
        ("gate-reference", gate_reference),
        ("gate", gate),
    ):
        app.command(name)(command)


def _open(run: Path) -> Run:
    from flowmrd.cli.layout import Run

    return Run(run)


def guard(stage: str, *paths: Path) -> None:
    """Refuse to start with less memory than the inputs need."""
    from flowmrd.cli.memory import require_for_files
    from flowmrd.cli.stage_table import STAGES

    require_for_files(paths, factor=STAGES[stage].need_factor, where=f"{stage} of {paths[0]}")


def ingest(sample: SampleOption, run: RunOption = HERE) -> None:
    """Read a tube's FCS file into columns.

    Example: flowmrd ingest --sample P01_day21
    """
    from flowmrd.stages.ingest import ingest as stage

    at = _open(run)
    row = at.sample(sample)
    guard("ingest", row.fcs)
    stage(
        row.fcs,
        panel=at.panel_of(sample),
        events=at.work(sample, "events.arrow"),
        record=at.work(sample, "ingest.json"),
    )


def transform_reference(panel: PanelOption, tube: TubesOption, run: RunOption = HERE) -> None:
    """Learn the scaling of a panel from its controls and freeze it.

    Example: flowmrd transform-reference --panel ino10 --tube C01 --tube C02
    """
    from flowmrd.stages.transform_reference import transform_reference as stage

    at = _open(run)
    stage(
        {name: (at.work(name, "events.arrow"), at.work(name, "ingest.json")) for name in tube},
        panel=at.panel_named(panel),
        config=at.config,
        out=at.reference(panel, "transform.json"),
    )


def gate_reference(panel: PanelOption, tube: TubesOption, run: RunOption = HERE) -> None:
    """Learn the gates of a panel from its controls and freeze them.

    Example: flowmrd gate-reference --panel ino10 --tube C01 --tube C02
    """
    from flowmrd.stages.gate_reference import gate_reference as stage

    at = _open(run)
    stage(
        {name: at.work(name, "preprocessed.arrow") for name in tube},
        panel=at.panel_named(panel),
        config=at.config,
        out=at.reference(panel, "gates.json"),
    )


def gate(
    sample: SampleOption,
    thresholds: Annotated[
        Path | None, typer.Option(help="gates.json of the controls; without it every gate is placed on this tube.")
    ] = None,
    override: Annotated[Path | None, typer.Option(help="A reviewer's gates that replace the automatic ones.")] = None,
    run: RunOption = HERE,
) -> None:
    """Apply the panel's gate tree to a tube.

    Example: flowmrd gate --sample P01_day21 --thresholds results/reference/ino10/gates.json
    """
    from flowmrd.config.sheet import Role
    from flowmrd.stages.gate import gate as stage

    at = _open(run)
    preprocessed = at.work(sample, "preprocessed.arrow")
    guard("gate", preprocessed)
    stage(
        preprocessed,
        panel=at.panel_of(sample),
        config=at.config,
        reference=thresholds,
        out=at.work(sample, "gated.arrow"),
        populations=at.result(sample, "populations.tsv"),
        gatingml=at.result(sample, "gates.xml"),
        record=at.work(sample, "gates.json"),
        exclude=sample if at.sample(sample).role is Role.CONTROL else None,
        override=override,
        qc=at.result(sample, "qc.json"),
    )
