"""Commands for single files and for whole runs: look, compare, validate, review, verify."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add these commands to the application."""
    app.command("preprocess")(preprocess)


def preprocess(
    file: Annotated[
        Path | None, typer.Argument(help="A single FCS file; without it, --sample names a tube of the run.")
    ] = None,
    panel: Annotated[str | None, typer.Option(help="Panel of the single file: name or path.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Column file (Arrow) to write for a single file.")
    ] = None,
    sample: Annotated[str | None, typer.Option(help="Name of the tube in the sample sheet.")] = None,
    transforms: Annotated[Path | None, typer.Option(help="transform.json of the controls.")] = None,
    spillover: Annotated[Path | None, typer.Option(help="Spillover CSV to use instead of the file's matrix.")] = None,
    run: Annotated[Path, typer.Option("--run", help="Run directory.")] = Path(),
) -> None:
    """Compensate, scale and mask a tube of a run, or a single FCS file.

    Example: flowmrd preprocess --sample P01_day21 --transforms results/reference/ino10/transform.json

    Example: flowmrd preprocess tube.fcs --panel ino10 -o tube.arrow
    """
    if file is not None and sample is None and panel is not None and out is not None:
        from flowmrd.cli.single import preprocess_file

        preprocess_file(file, panel=panel, out=out, spillover=spillover)
        return
    if sample is None or file is not None:
        raise typer.BadParameter("give either FILE with --panel and -o, or --sample")
    from flowmrd.cli.layout import Run
    from flowmrd.cli.stages import guard
    from flowmrd.stages.preprocess import preprocess as stage

    at = Run(run)
    events = at.work(sample, "events.arrow")
    guard("preprocess", events)
    stage(
        events,
        at.work(sample, "ingest.json"),
        panel=at.panel_of(sample),
        config=at.config,
        transforms=transforms,
        out=at.work(sample, "preprocessed.arrow"),
        qc=at.result(sample, "qc.json"),
        sample=at.sample(sample),
        spillover=spillover,
        base=at.sheet.parent,
    )
