"""Commands about normal references: build, show and compare them, their limits, decisions learned from runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flowmrd.cli.stages import run_step


def register(app: typer.Typer) -> None:
    """Add these commands to the application."""
    reference = typer.Typer(
        help="Build, show and compare normal references.", no_args_is_help=True, rich_markup_mode=None
    )
    reference.command("build")(reference_build)
    reference.command("show")(reference_show)
    reference.command("compare")(reference_compare)
    reference.command("limits")(reference_limits)
    reference.command("learn")(reference_learn)
    app.add_typer(reference, name="reference")


def reference_build(
    panel: Annotated[str, typer.Option(help="Name of the panel.")],
    tube: Annotated[list[str] | None, typer.Option("--tube", help="Name of a control tube; once for each.")] = None,
    run: Annotated[Path, typer.Option("--run", help="Run directory.")] = Path(),
) -> None:
    """Build the normal reference of a panel from the control tubes of a run.

    Example: flowmrd reference build --panel ino10 --tube C01 --tube C02 --tube C03
    """
    run_step("reference", run, panel=panel, tube=tube)


def reference_show(
    folder: Annotated[Path, typer.Argument(help="Folder of a stored reference: results/reference/<panel> of a run.")],
) -> None:
    """Show the controls and settings of a stored reference.

    Example: flowmrd reference show my-run/results/reference/ino10
    """
    from flowmrd.engine.stored_reference import describe

    for line in describe(folder):
        typer.echo(line)


def reference_compare(
    first: Annotated[Path, typer.Argument(help="Folder of a stored reference.")],
    second: Annotated[Path, typer.Argument(help="Folder of another of the same panel.")],
) -> None:
    """Show the differences between two references: controls, gates, scaling.

    Example: flowmrd reference compare run6/results/reference/ino10 run7/results/reference/ino10
    """
    from flowmrd.engine.stored_reference import compare

    for line in compare(first, second) or ["the same"]:
        typer.echo(line)


def reference_limits(
    rundir: Annotated[Path, typer.Argument(help="Finished run with the controls that set the limits.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="File to write; report.control_limits names it.")],
) -> None:
    """Lock the limits of the Levey-Jennings charts: mean and SD of every channel over the accepted controls of a run.

    Example: flowmrd reference limits runs/2025 -o next-run/config/control-limits.json
    """
    from flowmrd.report.levey_jennings import ENOUGH
    from flowmrd.stages.control_limits import lock_limits

    for one in lock_limits(rundir, out).limits:
        few = "" if len(one.controls) >= ENOUGH else f"; fewer than {ENOUGH}: only values beyond 3 SD will be called"
        typer.echo(f"{one.panel}: limits of {len(one.channels)} channels from {len(one.controls)} controls{few}")
    typer.echo(f"Limits: {out}")


def reference_learn(
    runs: Annotated[list[Path], typer.Argument(help="Finished runs with signed calls of groups.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="New file; review.decisions of a configuration names it.")],
) -> None:
    """Collect reviewers' calls of groups from finished runs, as proposals for later tubes.

    Example: flowmrd reference learn runs/2025 -o next-run/config/decisions.json
    """
    from collections import Counter

    from flowmrd.stages.decisions import learn_decisions

    learned = learn_decisions(runs, out)
    for call, number in sorted(Counter(one.call for one in learned.decisions).items()):
        typer.echo(f"{call}: {number}")
    typer.echo(f"{len(learned.decisions)} decisions: {out}")
