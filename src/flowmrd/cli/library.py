"""Commands for libraries of phenotypes: build one from a finished run, show one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add these commands to the application."""
    library = typer.Typer(
        help="Build and show libraries of leukaemias, for tubes without a diagnosis tube.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    library.command("build")(library_build)
    library.command("show")(library_show)
    app.add_typer(library, name="library")


def library_build(
    run: Annotated[Path, typer.Argument(help="Run directory whose diagnosis tubes have been analysed.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="New folder for the library.")],
    patient: Annotated[
        list[str] | None, typer.Option("--patient", help="Only this patient; once for each. All where absent.")
    ] = None,
) -> None:
    """Freeze the phenotypes of a finished run as a library that laip.library of a configuration can name.

    Example: flowmrd library build runs/2024 -o libraries/2024-06
    """
    from flowmrd.classifier.stored_library import build_library
    from flowmrd.errors import ArtefactError

    found = sorted((run / "results/laip").glob("*/laip.json"))
    wanted = [path for path in found if patient is None or path.parent.name in patient]
    missing = sorted(set(patient or ()) - {path.parent.name for path in found})
    if missing or not wanted:
        raise ArtefactError(
            str(run / "results/laip"),
            found=f"no phenotype of {', '.join(missing)}" if missing else "no phenotype",
            expected="laip.json of every patient that is asked for",
            todo="run the diagnosis tubes first with 'flowmrd run', or correct the name",
        )
    made = build_library(wanted, out)
    typer.echo(f"{out}: {len(made.patients)} phenotypes, digest {made.digest}")
    for name, why in made.left_out:
        typer.echo(f"  {name} left out: {why}")


def library_show(folder: Annotated[Path, typer.Argument(help="Folder of a library.")]) -> None:
    """Check a library and show what is in it.

    Example: flowmrd library show libraries/2024-06
    """
    from flowmrd.classifier.storage import load_laip
    from flowmrd.classifier.stored_library import library_digest, library_files

    files = library_files(folder)
    typer.echo(f"{len(files)} phenotypes, digest {library_digest(files)}")
    for path in files:
        laip = load_laip(path).laip
        if laip is not None:
            typer.echo(f"  {laip.patient}: {laip.n_cells:,} cells at diagnosis, {len(laip.features)} markers")
