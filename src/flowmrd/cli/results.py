"""Commands that write what people look at: a tube's page and events, the index of all tubes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flowmrd.cli.stages import require_memory, run_step

SampleOption = Annotated[str, typer.Option(help="Name of the tube in the sample sheet.")]
RunOption = Annotated[Path, typer.Option("--run", help="Run directory.")]
HERE = Path()


def register(app: typer.Typer) -> None:
    """Add these commands to the application."""
    app.command("export")(export)
    app.command("flowjo")(flowjo)
    app.command("report")(report)
    app.command("cohort")(cohort)


def export(
    sample: SampleOption,
    format_: Annotated[
        str | None, typer.Option("--format", help="h5ad, fcs or csv: export a population of a finished tube.")
    ] = None,
    population: Annotated[
        str, typer.Option(help="mrd, all, a gate (b_lineage, ...) or a population of populations.tsv.")
    ] = "mrd",
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="File; beside the tube's results if not given.")
    ] = None,
    run: RunOption = HERE,
) -> None:
    """Write a tube's events: one population for other software, or (without --format) the stage's own files.

    h5ad and csv hold the channels on the 0..1 scale with masks, gates and calls; fcs the original values.

    Example: flowmrd export --sample P01_day21 --format h5ad --population b_lineage
    """
    if format_ is None:
        run_step("export", run, sample=sample)
        return
    from flowmrd.run_files import RunFiles
    from flowmrd.stages.export_population import FORMATS, export_population

    if format_ not in FORMATS:
        raise typer.BadParameter(f"give one of {', '.join(FORMATS)}", param_hint="--format")
    at = RunFiles(run)
    target = out or at.result(sample, f"{population}.{format_}")
    number = export_population(at, sample, target, population=population, format_=format_)
    typer.echo(f"{number:,} events of {population}: {target}")


def flowjo(run: RunOption = HERE) -> None:
    """Write a FlowJo 10 workspace of a finished run: populations and MRD of every annotated FCS file.

    Example: flowmrd flowjo --run my-run
    """
    from flowmrd.run_files import RunFiles
    from flowmrd.stages.flowjo import flowjo as stage

    at = RunFiles(run)
    tubes = {name: (at.panel_of(name), at.result(name, "annotated.fcs")) for name in at.samples}
    main_panel = at.panel_path(at.config.panel).stem
    for path in stage(tubes, main_panel=main_panel, folder=at.cohort("flowjo.wsp").parent):
        typer.echo(str(path))


def report(
    sample: SampleOption,
    reference: Annotated[Path | None, typer.Option(help="reference.json of the panel.")] = None,
    laip: Annotated[Path | None, typer.Option(help="laip.json of the patient.")] = None,
    control: Annotated[list[str] | None, typer.Option(help="Name of a control tube; once for each.")] = None,
    pdf: Annotated[
        bool, typer.Option("--pdf", help="Print the page that is there to results/pdf; nothing is computed again.")
    ] = False,
    run: RunOption = HERE,
) -> None:
    """Write the report page of a tube.

    Example: flowmrd report --sample P01_day21 --reference results/reference/ino10/reference.json
    Example: flowmrd report --sample P01_day21 --pdf
    """
    if pdf:
        print_page(run, sample)
    else:
        run_step("report", run, sample=sample, reference=reference, laip=laip, control=control)


def print_page(directory: Path, sample: str) -> None:
    """Print a tube's page, named by sample and result, and say where it lies."""
    from flowmrd.errors import ArtefactError
    from flowmrd.report.pdf import pdf_of, write_pdf
    from flowmrd.run_files import RunFiles

    at = RunFiles(directory)
    at.sample(sample)
    page, result = at.result(sample, "report.html"), at.result(sample, "mrd.json")
    if not page.is_file() or not result.is_file():
        raise ArtefactError(
            str(page), found="no page", expected="the page of a finished tube", todo="run 'flowmrd run' first"
        )
    out = pdf_of(page, result)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_pdf(page, out)
    typer.echo(str(out))


def cohort(run: RunOption = HERE) -> None:
    """Write the index of all tubes, with those that have no result and why, and the table of their numbers.

    Example: flowmrd cohort --run my-run
    """
    from flowmrd.engine.plan import plan_run, rows_of_refused
    from flowmrd.engine.refusals import set_aside
    from flowmrd.stages.cohort import cohort as stage

    require_memory("cohort")
    plan = plan_run(run, main_process=False)
    refused = rows_of_refused(plan)
    set_aside(run, refused)
    stage(
        run,
        list(plan.samples.values()),
        config=plan.config,
        problems={refusal.sample: refusal.message for refusal in plan.refusals},
        refused=refused,
    )
