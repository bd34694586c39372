"""Commands that take results to other systems, or set them beside other methods or each other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flowmrd.cli.arguments import PageLanguage

if TYPE_CHECKING:
    from flowmrd.compare.comparison import Comparison
    from flowmrd.compare.measurement import Measurement


def register(app: typer.Typer) -> None:
    """Add these commands to the application."""
    app.command("compare")(compare)
    app.command("monitor")(monitor)
    app.command("fhir")(fhir)
    app.command("labels")(labels)
    app.command("table")(table)
    app.command("override")(override)


def compare(
    first: Annotated[Path, typer.Argument(help="Run directory, or a table.", metavar="RUNDIR|TABLE")],
    second: Annotated[
        Path | None,
        typer.Option(
            "--with",
            help="Table of the other method; not needed where FIRST holds both. Or an expert's gates of the run's "
            "tubes: a FlowJo, Kaluza, FACSDiva or GatingML file, or a folder of them.",
        ),
    ] = None,
    gate: Annotated[str, typer.Option(help="Gate of the leukaemic cells, where --with holds gates.")] = "Blasts",
    of: Annotated[str, typer.Option(help="Gate whose events are the denominator, or all.")] = "all",
    level: Annotated[str, typer.Option(help="Column of the level in the tables.")] = "mrd",
    first_level: Annotated[str | None, typer.Option(help="Column of the first method in a table of both.")] = None,
    second_level: Annotated[str | None, typer.Option(help="Column of the second method in a table of both.")] = None,
    events: Annotated[
        str | None, typer.Option(help="Column of the cells in the denominator; the levels are then counts.")
    ] = None,
    limit: Annotated[str | None, typer.Option(help="Column of the limit of detection of a negative.")] = None,
    key: Annotated[
        list[str] | None, typer.Option(help="Column that identifies the specimen [sample]; may be repeated.")
    ] = None,
    method: Annotated[str | None, typer.Option(help="Column that names the method, one row per method.")] = None,
    unit: Annotated[str, typer.Option(help="fraction or percent: what a number without a sign is.")] = "fraction",
    threshold: Annotated[
        list[float] | None, typer.Option(help="Fraction at which calls are compared; may be repeated.")
    ] = None,
    names: Annotated[
        tuple[str, str] | None, typer.Option(help="Names of the two methods on the page and in --method.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder to write into; RUNDIR/results/compare for a run.")
    ] = None,
    language: Annotated[
        PageLanguage | None, typer.Option(help="Language of the page; that of the run if not given, English of tables.")
    ] = None,
) -> None:
    """Compare two methods that measured the same specimens: calls, kappa, differences, lines, discordant pairs.

    Example: flowmrd compare my-run --with pcr.tsv --level mrd_pcr --unit percent

    Example: flowmrd compare my-run --with experts.wsp --gate Blasts --of Nucleated

    Example: flowmrd compare both.tsv --first-level person --second-level flowmrd --events cells -o comparison
    """
    from flowmrd.compare.comparison import THRESHOLDS, compare_methods
    from flowmrd.compare.gate_counts import holds_gates
    from flowmrd.compare.tables import (
        TableColumns,
        pair_up,
        read_long_table,
        read_measurements,
        read_run,
        read_wide_table,
    )
    from flowmrd.stages.compare import language_of_run, write_comparison

    if unit not in {"fraction", "percent"}:
        raise typer.BadParameter("give fraction or percent", param_hint="--unit")
    is_run = (first / "results").is_dir()
    columns = TableColumns(level, tuple(key or ["sample"]), events, limit, unit == "percent")
    alone: list[str] = []
    if second is not None:
        mine = read_run(first) if is_run else read_measurements(first, columns)
        by_gates = is_run and holds_gates(second)
        pairs, alone = pair_up(
            mine, _by_gates(first, second, gate, of) if by_gates else read_measurements(second, columns)
        )
        called = names or ("flowmrd" if is_run else first.stem, second.stem)
    elif method is not None:
        pairs, alone, called = read_long_table(first, columns, method=method, methods=names)
    elif first_level is not None and second_level is not None:
        keys = tuple(key or ())
        one, two = (TableColumns(name, keys, events, limit, unit == "percent") for name in (first_level, second_level))
        pairs, called = read_wide_table(first, one, two), names or (first_level, second_level)
    else:
        raise typer.BadParameter("give --with TABLE, or --method COLUMN, or --first-level and --second-level")
    comparison = compare_methods(
        pairs,
        first=called[0],
        second=called[1],
        thresholds=sorted(threshold or THRESHOLDS, reverse=True),
        without_partner=alone,
    )
    folder = out or (first / "results" / "compare" if is_run else Path("comparison"))
    write_comparison(
        comparison,
        folder,
        samples=first / "results" / "samples" if is_run else None,
        code=language_of_run(first) if language is None else language.value,
    )
    _print_figures(comparison)
    typer.echo(f"Comparison: {folder / 'index.html'}")


def _print_figures(comparison: Comparison) -> None:
    for call in comparison.calls:
        positive, negative = call.positive_agreement, call.negative_agreement
        typer.echo(
            f"at {call.threshold:g}: positive {positive.hits}/{positive.of}, negative {negative.hits}/{negative.of}, "
            f"kappa {'-' if call.kappa is None else format(call.kappa, '.2f')}"
        )
    levels, below = comparison.levels, comparison.below_limits
    close = levels.within_half_log
    typer.echo(
        f"{levels.pairs} of {comparison.pairs} pairs with two levels; {close.hits}/{close.of} within half a log"
        + ("" if levels.r_squared is None else f"; R2 of log10 {levels.r_squared:.3f}")
    )
    if below.second_per_million_where_first_negative is not None:
        median, least, most = below.second_per_million_where_first_negative
        typer.echo(
            f"where the first found nothing: second {median:.1f} events per million ({least:.1f} to {most:.1f}) "
            f"in {below.only_second_detected} specimens"
        )


def _by_gates(rundir: Path, gates: Path, gate: str, of: str) -> Mapping[str, Measurement]:
    """An expert's counts of the tubes of a run that are no controls."""
    from flowmrd.compare.gate_counts import read_gate_counts
    from flowmrd.config import Role, load_config, read_sheet

    rows, _ = read_sheet(rundir / load_config(rundir / "config" / "config.yaml").samples)
    tubes = {row.sample: row.fcs for row in rows if row.role in (Role.DIAGNOSIS, Role.FOLLOWUP) and row.fcs.is_file()}
    return read_gate_counts(gates, tubes, gate=gate, of=of)


def labels(
    fcs: Annotated[Path, typer.Argument(help="The tube.", metavar="TUBE.fcs")],
    gates: Annotated[Path, typer.Argument(help="FlowJo, Kaluza, FACSDiva or GatingML file.", metavar="GATES")],
    gate: Annotated[str | None, typer.Option(help="Gate of the leukaemic cells; a name or a path with /.")] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Table of labels (.parquet or .tsv) for the sheet's column.")
    ] = None,
    compensation: Annotated[
        str | None,
        typer.Option(help="For Kaluza: file or none, the values on which the gates were drawn, if you know."),
    ] = None,
) -> None:
    """Read an expert's gates of a tube: every gate with its count, or the events of one as labels.

    Example: flowmrd labels P01_dx.fcs experts.wsp

    Example: flowmrd labels P01_dx.fcs experts.wsp --gate Cells/Blasts -o P01_dx.labels.parquet
    """
    from flowmrd.gating.experts import read_expert_gates
    from flowmrd.stages.labels import write_labels

    if compensation not in (None, "file", "none"):
        raise typer.BadParameter("give file or none", param_hint="--compensation")
    if (gate is None) != (out is None):
        raise typer.BadParameter("give both --gate and --out, or neither")
    found = read_expert_gates(gates, fcs, compensation=compensation)  # type: ignore[arg-type]
    if gate is not None and out is not None:
        members = found.members(gate)
        write_labels(out, members)
        typer.echo(f"{int(members.sum())} of {len(members)} events labelled: {out}")
        return
    typer.echo(f"{found.kind}: {len(found.masks)} gates, {len(found.refused)} refused")
    for row in found.rows():
        said = "" if row["stated"] is None else f" (the file says {row['stated']})"
        typer.echo(
            f"  {row['gate']}: " + (f"refused, {row['refused']}" if row["refused"] else f"{row['events']}{said}")
        )


def monitor(
    folder: Annotated[Path, typer.Argument(help="Folder with run directories, at most two levels down.")],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder to write into; FOLDER/monitoring if not given.")
    ] = None,
    limits: Annotated[
        Path | None, typer.Option(help="An earlier monitoring.json: its months set the control limits.")
    ] = None,
    again: Annotated[int, typer.Option(min=0, help="Negatives drawn for a second reading.")] = 10,
    seed: Annotated[int, typer.Option(help="Seed of that draw; the same seed draws the same tubes.")] = 20240093,
    laboratory: Annotated[str, typer.Option(help="Name printed on the page.")] = "",
    language: Annotated[
        PageLanguage | None, typer.Option(help="Language of the page; that of the latest run if not given.")
    ] = None,
) -> None:
    """Monitor many runs by month: unanswered tubes, overruled calls, background, limits of detection, turn-around.

    Example: flowmrd monitor /data/mrd-runs --again 20

    Example: flowmrd monitor /data/mrd-runs --limits 2024/monitoring.json
    """
    from flowmrd.stages.monitor import monitor_runs

    place = out or folder / "monitoring"
    code = None if language is None else language.value
    record = monitor_runs(folder, place, seed=seed, again=again, locked=limits, laboratory=laboratory, code=code)
    for measure in record.measures:
        outside = [month.month for month in measure.months if month.outside]
        judged = any(month.low is not None for month in measure.months)
        state = f"outside in {', '.join(outside)}" if outside else "in control" if judged else "too few to judge"
        typer.echo(f"{measure.title}: {state}")
    for problem in record.problems:
        typer.echo(f"not read: {problem.encode('ascii', 'backslashreplace').decode()}")
    typer.echo(f"{len(record.rereview)} of {record.negatives} negatives drawn for a second reading")
    typer.echo(f"Monitoring: {place / 'index.html'}")


def override(
    rundir: Annotated[Path, typer.Argument(help="Run directory with results.", metavar="RUNDIR")],
    gates: Annotated[Path, typer.Argument(help="FlowJo, Kaluza, FACSDiva or GatingML file.", metavar="GATES")],
    sample: Annotated[str, typer.Option(help="Tube of the sample sheet.")],
) -> int:
    """Take an expert's gates as this tube's gates: those with the name and the parent of a gate of the panel.

    Writes config/overrides/<sample>.yaml; the next run gates the tube with it.

    Example: flowmrd override my-run experts.wsp --sample P01_day21
    """
    from flowmrd.gating.experts import read_expert_gates
    from flowmrd.records.ingest import IngestFile
    from flowmrd.records.read import read_record
    from flowmrd.run_files import OVERRIDES, RunFiles
    from flowmrd.stages.expert_override import take_gates, tube_as_preprocessed, write_override

    at = RunFiles(rundir)
    fcs, ingest = at.sample(sample).fcs, at.work(sample, "ingest.json")
    tube = tube_as_preprocessed(
        fcs, ingest, at.result(sample, "qc.json"), panel=at.panel_of(sample), config=at.config, name=sample
    )
    taken = take_gates(read_expert_gates(gates, fcs, data_set=read_record(ingest, IngestFile).data_set), tube)
    for name, reason in taken.left.items():
        typer.echo(f"not taken: {name}, {reason}")
    out = rundir / OVERRIDES / f"{sample}.yaml"
    if taken.gates:
        write_override(out, taken, gates.name)
    names = ", ".join(taken.gates) or "none"
    typer.echo(f"{len(taken.gates)} gates taken ({names}): {out if taken.gates else 'nothing was written'}")
    return 0 if taken.gates else 2


def table(
    rundir: Annotated[Path, typer.Argument(help="Run directory with results.", metavar="RUNDIR")],
    format_: Annotated[str, typer.Option("--format", help="xlsx or csv.")] = "xlsx",
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="File; RUNDIR/results/table/mrd.xlsx or .csv if not given.")
    ] = None,
) -> None:
    """Write the table of all results as a workbook, or as CSV for a laboratory information system.

    Example: flowmrd table my-run --format csv -o lims.csv
    """
    from flowmrd.exchange.results_table import FORMATS, write_results

    if format_ not in FORMATS:
        raise typer.BadParameter(f"give {' or '.join(FORMATS)}", param_hint="--format")
    target = out or rundir / "results" / "table" / f"mrd.{format_}"
    typer.echo(f"{write_results(rundir, target, format_)} tubes: {target}")


def fhir(
    rundir: Annotated[Path, typer.Argument(help="Run directory with results.", metavar="RUNDIR")],
    sample: Annotated[
        list[str] | None, typer.Option(help="Tube; may be repeated. Every patient's tube if not given.")
    ] = None,
    system: Annotated[str | None, typer.Option(help="URI of the system that the pseudonyms belong to.")] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Folder; RUNDIR/results/fhir if not given.")] = None,
    pdf: Annotated[
        bool | None,
        typer.Option(
            "--pdf/--no-pdf", help="Print each page with Chromium and attach it; the default if Chromium is installed."
        ),
    ] = None,
) -> None:
    """Write results as HL7 FHIR R4 bundles: a DiagnosticReport with its Observations per tube.

    A report is preliminary until a signature accepts the result. The page is printed and attached as PDF.

    Example: flowmrd fhir my-run --system https://lab.example/pseudonyms
    """
    from flowmrd.exchange.fhir import PSEUDONYMS
    from flowmrd.report.pdf import has_browser
    from flowmrd.stages.fhir import write_bundles

    folder = out or rundir / "results" / "fhir"
    printing = has_browser() if pdf is None else pdf
    written, without = write_bundles(
        rundir, folder, samples=sample or (), pseudonym_system=system or PSEUDONYMS, pdf=printing
    )
    typer.echo(f"FHIR bundles: {len(written)} in {folder}")
    if without and pdf is not False:
        why = "they have no page" if printing else "there is no Chromium (install it, or set FLOWMRD_CHROMIUM)"
        typer.echo(f"Without the page as PDF: {len(without)}, because {why}")
