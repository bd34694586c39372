"""Everyday commands: check a run directory, run it, make a simulated one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RunDirectory = Annotated[Path, typer.Argument(help="Run directory with config/config.yaml.", metavar="RUNDIR")]


def register(app: typer.Typer) -> None:
    """Add these commands to the application."""
    app.command("check")(check)
    app.command("run", context_settings={"allow_interspersed_args": True})(run)
    app.command("simulate")(simulate)
    app.command("demo")(demo)


def check(rundir: RunDirectory) -> int:
    """Check configuration, sample sheet, panels and every FCS header; all problems in one table.

    Example: flowmrd check my-run
    """
    from flowmrd.cli.check import check_run, print_problems

    problems, tubes = check_run(rundir)
    return print_problems(rundir, problems, tubes)


def run(
    rundir: RunDirectory,
    snakemake: Annotated[
        list[str] | None, typer.Argument(help="After --: options passed on to Snakemake.", metavar="-- [OPTION]...")
    ] = None,
    cores: Annotated[int | None, typer.Option(min=1, help="Cores to use; all of this machine if not given.")] = None,
    profile: Annotated[
        str, typer.Option(help="workstation, slurm, or the path of a profile of your site.")
    ] = "workstation",
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Show what would be done.")] = False,
    verbose: Annotated[bool, typer.Option(help="Show everything Snakemake says.")] = False,
    unlock: Annotated[bool, typer.Option(help="Clear the lock of a run that is known to be gone.")] = False,
) -> int:
    """Run the workflow: a report for every tube of the sheet, and the cohort page.

    Example: flowmrd run my-run --cores 8
    """
    from flowmrd.engine.launch import launch

    return launch(
        rundir,
        cores=cores,
        profile=profile,
        dry_run=dry_run,
        verbose=verbose,
        unlock=unlock,
        extra=tuple(snakemake or ()),
    )


def simulate(
    rundir: Annotated[Path, typer.Argument(help="Run directory to write.", metavar="RUNDIR")],
    preset: Annotated[
        str, typer.Option(help="demo, small, many, compensation, pooled, trial, or a .tsv table of patients.")
    ] = "demo",
    seed: Annotated[int | None, typer.Option(help="Seed; the same seed gives the same files.")] = None,
    panel: Annotated[str, typer.Option(help="Panel to simulate.")] = "ino10",
    nucleated: Annotated[
        int | None, typer.Option(min=1, help="Nucleated cells per tube instead of the preset's.")
    ] = None,
    tubes: Annotated[int | None, typer.Option(min=1, help="Number of tubes of the preset many.")] = None,
) -> None:
    """Make a run directory of simulated tubes whose truth is known.

    Example: flowmrd simulate demo-run --preset small
    """
    from flowmrd.panel import find_panel, load_panel
    from flowmrd.stages.simulate import DEFAULT_SEED
    from flowmrd.stages.simulate import simulate as stage

    model = load_panel(find_panel(panel, run_directory=rundir))
    cohort = stage(
        rundir,
        preset=preset,
        seed=DEFAULT_SEED if seed is None else seed,
        panel=model,
        nucleated=nucleated,
        tubes=tubes,
    )
    typer.echo(f"Simulated tubes: {cohort.sheet}")


def demo(
    folder: Annotated[Path, typer.Argument(help="Folder for the three run directories.")] = Path("demo"),
    cores: Annotated[int | None, typer.Option(min=1, help="Cores to use; all of this machine if not given.")] = None,
) -> int:
    """Run a real B-ALL tube, a simulated cohort and a specimen of five tubes, and print where the reports are.

    Example: flowmrd demo demo
    """
    from flowmrd.cli.demo import demo as stage

    return stage(folder, cores=cores)
