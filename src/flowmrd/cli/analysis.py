"""Commands for single files and for whole runs: look, compare, validate, verify."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flowmrd.cli.arguments import PublicKey, RunDirectory
from flowmrd.cli.stages import run_step

if TYPE_CHECKING:
    from flowmrd.panel import PanelModel
    from flowmrd.stages.inspect import InspectedDataSet


def register(app: typer.Typer) -> None:
    """Add these commands to the application."""
    app.command("preprocess")(preprocess)
    app.command("inspect")(inspect)
    app.command("validate")(validate)
    app.command("verify")(verify)
    app.command("doctor")(doctor)


def inspect(
    file: Annotated[Path, typer.Argument(help="FCS or LMD file.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    sums: Annotated[bool, typer.Option("--sums", help="Add the sum of the stored values of every channel.")] = False,
    panel: Annotated[
        str | None, typer.Option(help="Panel file or name: also show which channel would be which marker.")
    ] = None,
) -> int:
    """Show the content of a file: data sets, events, channels. With --panel, exit code 2 if the file does not fit it.

    Example: flowmrd inspect tube.fcs --json --sums
    Example: flowmrd inspect tube.fcs --panel ino10
    """
    from flowmrd.stages.inspect import inspect as stage

    facts = stage(file, sums=sums, panel=None if panel is None else _panel(panel))
    unfit = [one for one in facts["data_sets"] if "panel" in one and one["panel"]["problem"] is not None]
    code = 2 if unfit and (len(facts["data_sets"]) == 1 or any(one["chosen"] for one in unfit)) else 0
    if json:
        import json as writer

        typer.echo(writer.dumps(facts, indent=2, allow_nan=False))  # ASCII: no terminal or file can garble it
        return code

    several = len(facts["data_sets"]) > 1
    for one in facts["data_sets"]:
        typer.echo("\n".join(_data_set_lines(one, several=several)))
    if several and not any(one["chosen"] for one in facts["data_sets"]):
        typer.echo("the data sets are different tubes: export them one by one")
    return code


def _data_set_lines(one: InspectedDataSet, *, several: bool) -> list[str]:
    """What one data set holds."""

    def shown(name: str | None) -> str:  # names come from the file: no control sequence of theirs reaches the terminal
        return "".join(c if c.isprintable() else "?" for c in name or "-")

    role = (" (the one that is analysed)" if one["chosen"] else "") if several else ""
    lines = [f"data set {one['index']}{role}: FCS {one['version']}, {one['events']} events"]
    for number, channel in enumerate(one["channels"], start=1):
        total = f"  sum {one['sums'][number - 1]}" if "sums" in one else ""
        marker = f" {channel['marker'] or '-':<12} {channel['by']}".rstrip() if "panel" in one else ""
        lines.append(f"  {number:>3}  {shown(channel['pnn']):<24} {shown(channel['pns']):<24}{marker}{total}")
    lines += [f"  note {finding['code']}: {finding['message']}" for finding in one["findings"]]
    return lines + [f"  {line}" for line in _panel_lines(one)]


def _panel(name: str) -> PanelModel:
    from flowmrd.panel import find_panel, load_panel

    return load_panel(Path(name) if Path(name).is_file() else find_panel(name, run_directory=Path()))


def _panel_lines(data_set: InspectedDataSet) -> list[str]:
    """Reasons why a panel cannot be used, in words."""
    found = data_set.get("panel")
    if found is None:
        return []
    lines = [f"no {', '.join(found['missing'])} of {found['name']}"] if found["missing"] else []
    lines += [f"note {note}" for note in found["notes"]]
    if found["problem"] is not None:
        lines += [f"does not fit {found['name']}: {found['problem']['found']}", f"do: {found['problem']['todo']}"]
    return lines


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
    compensated: Annotated[
        bool, typer.Option("--compensated", help="The single file is compensated already, or must not be.")
    ] = False,
    run: Annotated[Path, typer.Option("--run", help="Run directory.")] = Path(),
) -> None:
    """Compensate, scale and mask a tube of a run, or a single FCS file.

    Example: flowmrd preprocess --sample P01_day21 --transforms results/reference/ino10/transform.json

    Example: flowmrd preprocess tube.fcs --panel ino10 -o tube.arrow
    """
    if file is not None and sample is None and panel is not None and out is not None:
        from flowmrd.cli.single import preprocess_file

        preprocess_file(file, panel=panel, out=out, spillover=spillover, compensated=compensated)
        return
    if sample is None or file is not None:
        raise typer.BadParameter("give either FILE with --panel and -o, or --sample")
    run_step("preprocess", run, sample=sample, transforms=transforms, spillover=spillover)


def validate(
    rundir: RunDirectory,
    rules: Annotated[
        Path | None, typer.Option(help="Acceptance limits (YAML); RUNDIR/config/validation_rules.yaml if not given.")
    ] = None,
) -> None:
    """Validate the assay with a finished run's own tubes: every diagnosis diluted in silico into every control.

    Where config/validation.tsv names measured series (dilutions, repeats, blanks, stability, carry-over), their figures
    stand beside, with the laboratory's acceptance limits; so does a comparison made by flowmrd compare. Writes
    results/validation/<panel>/report.html and validation.json for every panel of the run.

    Example: flowmrd validate my-run
    """
    from flowmrd.config import Role
    from flowmrd.run_files import RunFiles
    from flowmrd.stages.validate import comparison_of, measured_series
    from flowmrd.stages.validate import validate as stage

    at = RunFiles(rundir)
    measured, comparison = measured_series(rundir, rules), comparison_of(rundir)
    panel_of = {name: at.panel_of(name) for name, row in at.samples.items() if row.role is not Role.COMPENSATION}
    for name, panel in sorted({panel.name: panel for panel in panel_of.values()}.items()):
        diagnosed = {
            row.patient
            for sample, row in at.samples.items()
            if row.role is Role.DIAGNOSIS and panel_of[sample].name == name
        }
        folder = rundir / "results" / "validation" / name
        stage(
            reference_json=at.reference(name, "reference.json"),
            laip_json=[path for patient in diagnosed if (path := at.laip(patient, "laip.json")).is_file()],
            panel=panel,
            config=at.config,
            out_json=folder / "validation.json",
            out_html=folder / "report.html",
            measured=measured,
            comparison=comparison,
        )
        typer.echo(str(folder / "report.html"))


def verify(
    rundir: RunDirectory,
    public_key: PublicKey = None,
    head: Annotated[str | None, typer.Option(help="A head digest of the review log that was noted elsewhere.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Recompute every digest and the review chain; say exactly what was altered. Exit code 2 if anything was.

    Example: flowmrd verify my-run
    """
    from flowmrd.stages.verify import verify as stage

    found = stage(rundir, public_key=public_key, head=head)
    if json:
        import json as writer

        typer.echo(writer.dumps(found.to_json_dict(), indent=2))
    else:
        for line in found.lines():
            typer.echo(line)
    return 0 if found.ok else 2


def doctor(
    rundir: RunDirectory,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Bundle to write, if not results/doctor/bundle.zip.")
    ] = None,
) -> None:
    """Make a bundle for support: versions, configuration, verdicts, logs; no identifier and no event.

    Example: flowmrd doctor my-run -o support.zip
    """
    from flowmrd.stages.doctor import doctor as stage

    bundle, key = stage(rundir, out)
    typer.echo(f"bundle: {bundle}\nkey to its numbers, stays with you: {key}")
