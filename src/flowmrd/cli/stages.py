"""One command per stage of the workflow.

Each runs one stage of one tube (or of all controls) in a run directory, reading the files of the stage before and
writing its own where docs/architecture.md says. A failing step of a run can be copied out of the log and repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from flowmrd.engine.layout import Run
    from flowmrd.tube.files import TubeFiles

SampleOption = Annotated[str, typer.Option(help="Name of the tube in the sample sheet.")]
PanelOption = Annotated[str, typer.Option(help="Name of the panel.")]
TubesOption = Annotated[list[str], typer.Option("--tube", help="Name of a tube; once for each.")]
RunOption = Annotated[Path, typer.Option("--run", help="Run directory.")]
HERE = Path()


def register(app: typer.Typer) -> None:
    """Add the stage commands to the application."""
    for name, command in (
        ("ingest", ingest),
        ("spillover-reference", spillover_reference),
        ("transform-reference", transform_reference),
        ("gate-reference", gate_reference),
        ("gate", gate),
        ("prepare", prepare),
        ("laip", laip),
        ("classify", classify),
        ("quantify", quantify),
        ("export", export),
        ("flowjo", flowjo),
        ("report", report),
        ("judge", judge),
        ("cohort", cohort),
        ("trial", trial),
        ("provenance", provenance),
    ):
        app.command(name)(command)


def _open(run: Path) -> Run:
    from flowmrd.engine.layout import Run

    return Run(run)


def guard(stage: str, *tubes: Sequence[Path]) -> None:
    """Refuse to start with less memory than the files of the largest tube need."""
    from flowmrd.engine.memory import require_for_files
    from flowmrd.engine.stage_table import need_of

    for files in tubes or ((),):
        of = f" of {files[0]}" if files else ""
        require_for_files(files, factor=need_of(stage), where=f"{stage}{of}")


def keep_copy(result: Path, copy: Path) -> None:
    """Copy a result to where other tubes' reports read it (see ``workflow/rules/report.smk``)."""
    from flowmrd.store import write_text

    write_text(copy, result.read_text(encoding="utf-8"))


def ingest(sample: SampleOption, run: RunOption = HERE) -> None:
    """Read a tube's FCS file into columns.

    Example: flowmrd ingest --sample P01_day21
    """
    from flowmrd.stages.ingest import ingest as stage

    at = _open(run)
    row = at.sample(sample)
    guard("ingest", (row.fcs,))
    stage(
        row.fcs,
        panel=at.panel_of(sample),
        sample=sample,
        events=at.work(sample, "events.arrow"),
        record=at.work(sample, "ingest.json"),
    )


def spillover_reference(panel: PanelOption, tube: TubesOption, run: RunOption = HERE) -> None:
    """Compute the spillover matrix of a panel from its single-stain tubes.

    Example: flowmrd spillover-reference --panel ino10 --tube COMP_CD19 --tube COMP_CD10 --tube COMP_unstained
    """
    from flowmrd.stages.spillover_reference import spillover_reference as stage

    at = _open(run)
    guard("spillover_reference", *((at.work(name, "events.arrow"),) for name in tube))
    stage(
        {
            name: (at.work(name, "events.arrow"), at.work(name, "ingest.json"), at.sample(name).stain or "unstained")
            for name in tube
        },
        panel=at.panel_named(panel),
        out=at.reference(panel, "spillover.csv"),
    )


def transform_reference(
    panel: PanelOption,
    tube: TubesOption,
    spillover: Annotated[Path | None, typer.Option(help="Spillover CSV to use instead of the files' own.")] = None,
    run: RunOption = HERE,
) -> None:
    """Learn the scaling of a panel from its controls and freeze it.

    Example: flowmrd transform-reference --panel ino10 --tube C01 --tube C02
    """
    from flowmrd.stages.transform_reference import transform_reference as stage

    at = _open(run)
    guard("transform_reference", *((at.work(name, "events.arrow"),) for name in tube))
    stage(
        {name: (at.work(name, "events.arrow"), at.work(name, "ingest.json")) for name in tube},
        panel=at.panel_named(panel),
        config=at.config,
        out=at.reference(panel, "transform.json"),
        batches={name: at.sample(name).batch for name in tube},
        spillover=spillover,
        base=at.sheet.parent,
    )


def gate_reference(panel: PanelOption, tube: TubesOption, run: RunOption = HERE) -> None:
    """Learn the gates of a panel from its controls and freeze them.

    Example: flowmrd gate-reference --panel ino10 --tube C01 --tube C02
    """
    from flowmrd.stages.gate_reference import gate_reference as stage

    at = _open(run)
    guard("gate_reference", *((at.work(name, "preprocessed.arrow"),) for name in tube))
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
    guard("gate", (preprocessed,))
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
        prior_therapy=at.sample(sample).prior_therapy.value,
    )
    tell_override(at, sample, override)


def prepare(
    sample: SampleOption,
    transforms: Annotated[Path | None, typer.Option(help="transform.json of the controls.")] = None,
    spillover: Annotated[Path | None, typer.Option(help="Spillover CSV to use instead of the file's matrix.")] = None,
    thresholds: Annotated[Path | None, typer.Option(help="gates.json of the controls.")] = None,
    override: Annotated[Path | None, typer.Option(help="A reviewer's gates that replace the automatic ones.")] = None,
    run: RunOption = HERE,
) -> None:
    """Read, preprocess and gate a diagnosis tube in one step, as a run does.

    Example: flowmrd prepare --sample P01_dx --transforms results/reference/ino10/transform.json
    --thresholds results/reference/ino10/gates.json
    """
    from flowmrd.stages.prepare import TubeFolders, file_state, gated_from_fcs, require_unchanged

    at = _open(run)
    row = at.sample(sample)
    seen = file_state(row.fcs)
    guard("prepare", (row.fcs,))
    gated_from_fcs(
        row,
        TubeFolders(at.work(sample, "gates.json").parent, at.result(sample, "mrd.json").parent),
        panel=at.panel_of(sample),
        config=at.config,
        transforms=transforms,
        spillover=spillover,
        thresholds=thresholds,
        override=override,
        base=at.sheet.parent,
        keep_columns=True,
    )
    tell_override(at, sample, override)
    require_unchanged(row.fcs, seen)


def tell_override(at: Run, sample: str, override: Path | None) -> None:
    """Write into the log which gates a reviewer has set."""
    from flowmrd.records.gates import GatesFile
    from flowmrd.records.read import read_record

    manual = None if override is None else read_record(at.work(sample, "gates.json"), GatesFile).override
    if manual is not None:
        gates = ", ".join(manual.gates) or "none that differs from the automatic ones"
        typer.echo(f"gates set by hand: {gates}; {override}, SHA-256 {manual.sha256}")


def _files(at: Run, sample: str) -> TubeFiles:
    from flowmrd.tube.files import TubeFiles

    return TubeFiles(sample, at.work(sample, "preprocessed.arrow"), at.work(sample, "gated.arrow"))


def laip(
    patient: Annotated[str, typer.Option(help="Patient of the sample sheet.")],
    tube: TubesOption,
    reference: Annotated[Path, typer.Option(help="reference.json of the panel.")],
    run: RunOption = HERE,
) -> None:
    """Find the phenotype (LAIP) of a patient's leukaemia in the diagnosis tubes.

    Example: flowmrd laip --patient P01 --tube P01_dx --reference results/reference/ino10/reference.json
    """
    from flowmrd.stages.laip import learn

    at = _open(run)
    files = [_files(at, name) for name in tube]
    guard("laip", *(one.column_files for one in files))
    learn(
        patient,
        files,
        reference_json=reference,
        panel=at.panel_of(tube[0]),
        config=at.config,
        out_json=at.laip(patient, "laip.json"),
        out_npz=at.laip(patient, "laip.npz"),
        labels={name: path for name in tube if (path := at.sample(name).labels) is not None},
        fcs={name: at.sample(name).fcs for name in tube},
    )


def classify(
    sample: SampleOption,
    reference: Annotated[Path, typer.Option(help="reference.json of the panel.")],
    laip: Annotated[Path | None, typer.Option(help="laip.json of the patient.")] = None,
    library: Annotated[list[Path] | None, typer.Option(help="laip.json of another patient; once for each.")] = None,
    run: RunOption = HERE,
) -> None:
    """Find leukaemic cells in a tube.

    Example: flowmrd classify --sample P01_day21 --reference results/reference/ino10/reference.json
    --laip results/laip/P01/laip.json
    """
    from flowmrd.engine.layout import decisions_file, stored_library
    from flowmrd.stages.classify import classify as stage

    at = _open(run)
    row = at.sample(sample)
    # With its records the tube has every threshold that was placed in it: spiked cells start at the raw file.
    files = replace(_files(at, sample), qc=at.result(sample, "qc.json"), gates=at.work(sample, "gates.json"))
    guard("classify", files.column_files)
    stage(
        files,
        patient=row.patient,
        therapy=row.prior_therapy,
        reference_json=reference,
        laip_json=laip,
        library_json=(*(library or ()), *stored_library(run, at.config)),
        decisions_json=decisions_file(run, at.config),
        panel=at.panel_of(sample),
        config=at.config,
        out_columns=at.work(sample, "classified.arrow"),
        out_json=at.work(sample, "classification.json"),
    )


def quantify(
    sample: SampleOption,
    reference: Annotated[Path | None, typer.Option(help="reference.json of the panel.")] = None,
    laip: Annotated[Path | None, typer.Option(help="laip.json of the patient.")] = None,
    run: RunOption = HERE,
) -> None:
    """Compute counts, intervals, limits and verdict: mrd.json.

    Example: flowmrd quantify --sample P01_day21 --reference results/reference/ino10/reference.json
    """
    from flowmrd.stages.quantify import Digests, QuantifyInputs
    from flowmrd.stages.quantify import quantify as stage
    from flowmrd.store import digest_file

    at = _open(run)
    files = QuantifyInputs(
        preprocessed=at.work(sample, "preprocessed.arrow"),
        gated=at.work(sample, "gated.arrow"),
        classified=at.work(sample, "classified.arrow"),
        classification=at.work(sample, "classification.json"),
        ingest=at.work(sample, "ingest.json"),
        gates=at.work(sample, "gates.json"),
        qc=at.result(sample, "qc.json"),
    )
    guard("quantify", (files.preprocessed, files.gated, files.classified))
    digests = Digests(
        config=at.config.result_digest,
        panel=digest_file(at.panel_path_of(sample)),
        reference=digest_file(reference) if reference else None,
        laip=digest_file(laip) if laip else None,
    )
    stage(
        files,
        sample=at.sample(sample),
        panel=at.panel_of(sample),
        config=at.config,
        digests=digests,
        out=at.result(sample, "mrd.json"),
        run_directory=run,
    )
    keep_copy(at.result(sample, "mrd.json"), at.work(sample, "mrd.json"))


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
    from flowmrd.stages.export import export as stage

    at = _open(run)
    if format_ is not None:
        from flowmrd.stages.export_population import FORMATS, FinishedFiles, export_population

        if format_ not in FORMATS:
            raise typer.BadParameter(f"give one of {', '.join(FORMATS)}", param_hint="--format")
        target = out or at.result(sample, f"{population}.{format_}")
        number = export_population(
            FinishedFiles(
                at.sample(sample).fcs,
                at.work(sample, "ingest.json"),
                at.result(sample, "qc.json"),
                at.work(sample, "gates.json"),
                at.result(sample, "events.parquet"),
            ),
            target,
            panel=at.panel_of(sample),
            config=at.config,
            name=sample,
            population=population,
            format_=format_,
        )
        typer.echo(f"{number:,} events of {population}: {target}")
        return
    files = [at.work(sample, f"{name}.arrow") for name in ("preprocessed", "gated", "classified")]
    source = at.sample(sample).fcs
    guard("export", (source, *files))
    stage(
        source,
        at.work(sample, "ingest.json"),
        *files,
        result=at.result(sample, "mrd.json"),
        parquet=at.result(sample, "events.parquet"),
        fcs=at.result(sample, "annotated.fcs"),
        panel=at.panel_of(sample) if at.config.export.values else None,
    )


def flowjo(run: RunOption = HERE) -> None:
    """Write a FlowJo 10 workspace of a finished run: populations and MRD of every annotated FCS file.

    Example: flowmrd flowjo --run my-run
    """
    from flowmrd.stages.flowjo import flowjo as stage

    at = _open(run)
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
    from flowmrd.stages.report import report as stage

    at = _open(run)
    if pdf:
        print_page(at, sample)
        return
    row = at.sample(sample)
    tubes = [name for name, other in at.samples.items() if other.patient == row.patient and other.line <= row.line]
    guard("report", [at.work(sample, f"{name}.arrow") for name in ("preprocessed", "gated", "classified")])
    stage(
        at.result(sample, "mrd.json").parent,
        at.work(sample, "gates.json").parent,
        panel=at.panel_of(sample),
        config=at.config,
        sample=row,
        reference_json=reference,
        laip_json=laip,
        controls_qc=[at.work(name, "qc.json") for name in control or ()],
        controls_work=[at.work(name, "qc.json").parent for name in control or ()],
        diagnosis_work=_diagnosis_work(at, laip),
        history=[path for name in tubes if (path := at.work(name, "mrd.json")).is_file()],
        run_directory=run,
        out=at.result(sample, "report.html"),
        tubes=len(at.samples),
    )


def print_page(at: Run, sample: str) -> None:
    """Print a tube's page, named by sample and result, and say where it lies."""
    from flowmrd.errors import ArtefactError
    from flowmrd.report.pdf import pdf_of, write_pdf

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


def _diagnosis_work(at: Run, laip: Path | None) -> Path | None:
    """Work folder of the tube that a LAIP was found in."""
    from flowmrd.store import read_json

    name = read_json(laip).get("diagnosis") if laip is not None and laip.is_file() else None
    return at.work(str(name), "gated.arrow").parent if name in at.samples else None


def judge(
    sample: SampleOption,
    reference: Annotated[Path, typer.Option(help="reference.json of the panel.")],
    gated: Annotated[
        bool, typer.Option("--gated", help="Start at the columns that the stages up to gate have made.")
    ] = False,
    transforms: Annotated[Path | None, typer.Option(help="transform.json of the controls.")] = None,
    spillover: Annotated[Path | None, typer.Option(help="Spillover CSV to use instead of the file's matrix.")] = None,
    thresholds: Annotated[Path | None, typer.Option(help="gates.json of the controls.")] = None,
    override: Annotated[Path | None, typer.Option(help="A reviewer's gates that replace the automatic ones.")] = None,
    laip: Annotated[Path | None, typer.Option(help="laip.json of the patient.")] = None,
    library: Annotated[list[Path] | None, typer.Option(help="laip.json of another patient; once for each.")] = None,
    control: Annotated[list[str] | None, typer.Option(help="Name of a control tube; once for each.")] = None,
    run: RunOption = HERE,
) -> None:
    """Take a tube from its FCS file to its report in one step, as a run does.

    Example: flowmrd judge --sample P01_day21 --reference results/reference/ino10/reference.json
    --transforms results/reference/ino10/transform.json --thresholds results/reference/ino10/gates.json
    """
    from flowmrd.engine.layout import decisions_file, stored_library
    from flowmrd.stages.judge import gated_from_files
    from flowmrd.stages.judge import judge as stage
    from flowmrd.stages.prepare import TubeFolders, file_state, gated_from_fcs, require_unchanged
    from flowmrd.stages.quantify import Digests
    from flowmrd.store import digest_file

    at = _open(run)
    row, panel, config = at.sample(sample), at.panel_of(sample), at.config
    seen = file_state(row.fcs)
    folders = TubeFolders(at.work(sample, "gates.json").parent, at.result(sample, "mrd.json").parent)
    if gated:
        guard("judge_gated", [at.work(sample, f"{name}.arrow") for name in ("preprocessed", "gated")])
        tube = gated_from_files(row, folders, panel=panel, config=config)
    else:
        guard("judge", (row.fcs,))
        tube = gated_from_fcs(
            row,
            folders,
            panel=panel,
            config=config,
            transforms=transforms,
            spillover=spillover,
            thresholds=thresholds,
            override=override,
            base=at.sheet.parent,
        )
        tell_override(at, sample, override)
    earlier = [name for name, other in at.samples.items() if other.patient == row.patient and other.line <= row.line]
    stage(
        tube,
        row,
        folders,
        config=config,
        digests=Digests(
            config=at.config.result_digest,
            panel=digest_file(at.panel_path_of(sample)),
            reference=digest_file(reference),
            laip=digest_file(laip) if laip else None,
        ),
        reference_json=reference,
        laip_json=laip,
        library_json=(*(library or ()), *stored_library(run, config)),
        decisions_json=decisions_file(run, config),
        controls_qc=[at.work(name, "qc.json") for name in control or ()],
        controls_work=[at.work(name, "qc.json").parent for name in control or ()],
        diagnosis_work=_diagnosis_work(at, laip),
        history=[at.work(name, "mrd.json") for name in earlier],
        run_directory=run,
        tubes=len(at.samples),
    )
    require_unchanged(row.fcs, seen)


def cohort(run: RunOption = HERE) -> None:
    """Write the index of all tubes, with those that have no result and why, and the table of their numbers.

    Example: flowmrd cohort --run my-run
    """
    from flowmrd.engine.plan import plan_run, rows_of_refused
    from flowmrd.engine.refusals import set_aside
    from flowmrd.stages.cohort import cohort as stage

    guard("cohort")
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


def trial(run: RunOption = HERE) -> None:
    """Analyse the trial: clinical tables and every result together.

    Example: flowmrd trial --run my-run
    """
    from flowmrd.stages.trial import build_trial

    guard("trial")
    build_trial(run)


def provenance(run: RunOption = HERE) -> None:
    """Record what a finished run was made with and what it gave; write the RO-Crate.

    Example: flowmrd provenance --run my-run
    """
    from flowmrd.stages.provenance import write_provenance

    guard("provenance")
    write_provenance(run)
