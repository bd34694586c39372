"""Commands that make a run directory from a folder of files, and keep it up to date."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add these commands to the application."""
    app.command("init")(init)
    app.command("watch")(watch)


def init(
    rundir: Annotated[Path, typer.Argument(help="Run directory to make.", metavar="RUNDIR")],
    folder: Annotated[Path, typer.Option("--from", help="Folder with FCS files.")],
    panel: Annotated[str | None, typer.Option(help="Panel; the shipped one that fits most files if not given.")] = None,
    naming: Annotated[
        Path | None, typer.Option(help="How the laboratory names its files: patterns and roles (YAML).")
    ] = None,
    workbook: Annotated[bool, typer.Option("--xlsx", help="Write the sheet as config/samples.xlsx.")] = False,
) -> None:
    """Propose a sample sheet from a folder of files: names, roles, time points, with a comment for every guess.

    Example: flowmrd init run7 --from /data/2026-11 --panel ino10
    """
    from flowmrd.engine.sheet_proposal import NamingRules, propose_rows, read_naming, write_run
    from flowmrd.engine.watch import best_panel, files_of

    files = files_of(folder)
    name, model = best_panel(panel, files, rundir)
    rows = propose_rows(files, model, naming=read_naming(naming) if naming else NamingRules())
    sheet = write_run(rundir, name, rows, workbook=workbook)
    unused = sum(row.problem is not None for row in rows)
    typer.echo(f"{len(rows) - unused} tubes of panel {name}, {unused} files not used: {sheet}")
    typer.echo(f"Read the comments in the sheet, correct it, then: flowmrd check {rundir}")


def watch(
    rundir: Annotated[Path, typer.Argument(help="Run directory with a sheet.", metavar="RUNDIR")],
    folder: Annotated[Path, typer.Option("--from", help="Folder in which new FCS files appear.")],
    naming: Annotated[
        Path | None, typer.Option(help="How the laboratory names its files: patterns and roles (YAML).")
    ] = None,
    every: Annotated[float, typer.Option(min=1, help="Seconds between two checks of the folder.")] = 60.0,
    once: Annotated[bool, typer.Option("--once", help="Check the folder once, run the new tubes, and end.")] = False,
    cores: Annotated[int | None, typer.Option(min=1, help="Cores to use; all of this machine if not given.")] = None,
    profile: Annotated[str, typer.Option(help="As for run.")] = "workstation",
) -> int:
    """Add new tubes of a folder to the sheet and run them. A file counts as new once its size has stopped changing.

    Example: flowmrd watch run7 --from /data/incoming
    """
    from flowmrd.engine.sheet_proposal import NamingRules, read_naming
    from flowmrd.engine.watch import watch_folder

    return watch_folder(
        rundir,
        folder,
        naming=read_naming(naming) if naming else NamingRules(),
        every=every,
        once=once,
        cores=cores,
        profile=profile,
        say=typer.echo,
    )
