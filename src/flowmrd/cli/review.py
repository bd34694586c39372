"""Commands of the review: import, recount with the signer's calls, status, keys."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flowmrd.cli.arguments import PublicKey, RunDirectory

if TYPE_CHECKING:
    from flowmrd.engine.run_plan import RunPlan
    from flowmrd.stages.recount import TubeInRun

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    review = typer.Typer(help="Sign, list and check reviews of results.", no_args_is_help=True, rich_markup_mode=None)
    review.command("import")(review_import)
    review.command("status")(review_status)
    review.command("keygen")(review_keygen)
    app.add_typer(review, name="review")


def review_import(
    rundir: RunDirectory,
    files: Annotated[list[Path], typer.Argument(help="Reviews saved from report pages, one or many.")],
    key: Annotated[
        Path | None, typer.Option(help="The laboratory's private key; without it the entry is unsigned.")
    ] = None,
) -> None:
    """Take reviewers' decisions into the log, each if it belongs to the result as it is now.

    A tube whose groups an accepting reviewer has called is counted again with the calls, in seconds: its results, its
    page, the pages of the patient's later tubes, the index and the table.

    Example: flowmrd review import my-run downloads/*.review.json
    """
    from flowmrd.engine.lock import run_lock
    from flowmrd.engine.plan import plan_run
    from flowmrd.review.group_calls import counts_calls
    from flowmrd.review.importing import import_review
    from flowmrd.review.log import check_log
    from flowmrd.review.model import read_review
    from flowmrd.review.status import harmless

    reviews = [read_review(file) for file in files]  # a file that is no review stops the import before the first entry
    counted = False
    if any(counts_calls(review) for review in reviews):
        with run_lock(rundir):
            plan = plan_run(rundir, main_process=False)
            for file, review in zip(files, reviews, strict=True):
                counted |= _import_one(rundir, plan, file, key=key, calls=counts_calls(review))
            if counted:
                _refresh(rundir, plan)
    else:
        for file in files:
            entry = import_review(rundir, file, key=key)
            typer.echo(f"entry {entry.seq}: {entry.sample} {entry.review.decision} by {harmless(entry.review.name)}")
    typer.echo(f"run 'flowmrd run {rundir}' to show it everywhere: only pages are made again")
    typer.echo(f"head {check_log(rundir).head_digest}; note it elsewhere, 'flowmrd verify --head' looks for it")


def _import_one(rundir: Path, plan: RunPlan, file: Path, *, key: Path | None, calls: bool) -> bool:
    """Import a file; True where its tube was counted again."""
    from flowmrd.review.importing import import_review
    from flowmrd.review.model import read_review
    from flowmrd.review.status import harmless
    from flowmrd.stages.recount import import_and_count

    if not calls:
        entry = import_review(rundir, file, key=key)
        typer.echo(f"entry {entry.seq}: {entry.sample} {entry.review.decision} by {harmless(entry.review.name)}")
        return False
    done = import_and_count(tube_in_run(plan, read_review(file).sample), file, key=key)
    entry = done.entry
    typer.echo(f"entry {entry.seq}: {entry.sample} {entry.review.decision} by {harmless(entry.review.name)}")
    if done.counted_again:
        typer.echo(f"  counted again: {done.before} -> {done.after}")
        if done.pages:
            typer.echo(f"  pages of later tubes that show it: {', '.join(done.pages)}")
    return done.counted_again


def tube_in_run(plan: RunPlan, sample: str, *, with_later: bool = True) -> TubeInRun:
    """A finished tube and what its page shows beside it, as the workflow gives it to ``flowmrd judge``.

    Raises
    ------
    SheetError
        If the run has no such tube.
    """
    from flowmrd.run_files import RunFiles
    from flowmrd.stages.prepare import TubeFolders
    from flowmrd.stages.recount import TubeInRun
    from flowmrd.stages.report import FilesBeside

    at = RunFiles(plan.run_directory)
    row = at.sample(sample)
    panel = at.panel_of(sample)
    stored = plan.stored_reference(panel.name)
    reference = at.reference(panel.name, "reference.json") if stored is None else stored / "reference.json"
    laip = at.laip(row.patient, "laip.json") if plan.patients_with_laip.get(row.patient) == panel.name else None
    later = [
        name
        for name, other in at.samples.items()
        if with_later
        and other.patient == row.patient
        and other.line > row.line
        and at.result(name, "mrd.json").is_file()
    ]
    return TubeInRun(
        run_directory=plan.run_directory,
        sample=row,
        at=TubeFolders.in_run(at, sample),
        panel=panel,
        config=at.config,
        beside=FilesBeside.in_run(at, sample, reference=reference, laip=laip, controls=plan.controls_of(panel.name)),
        later=[tube_in_run(plan, name, with_later=False) for name in later],
    )


def _refresh(rundir: Path, plan: RunPlan) -> None:
    """Index, table and trial after a recount, and the records that name their digests."""
    from flowmrd.engine.plan import rows_of_refused
    from flowmrd.stages.cohort import cohort
    from flowmrd.stages.manifest import result_files
    from flowmrd.stages.provenance import renew_records
    from flowmrd.stages.trial import build_trial

    pages = cohort(
        rundir,
        list(plan.samples.values()),
        config=plan.config,
        problems={refusal.sample: refusal.message for refusal in plan.refusals},
        refused=rows_of_refused(plan),
    )
    if plan.has_trial:
        build_trial(rundir)
    changed = [path for path in result_files(rundir) if path.parts[0] == "cohort"]
    renew_records(rundir, [*changed, *(Path("samples") / name / "report.html" for name in pages)])


def review_status(
    rundir: RunDirectory,
    public_key: PublicKey = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Show the state of each tube's review, and the digest of the log to note elsewhere.

    Example: flowmrd review status my-run
    """
    from flowmrd.review.status import review_status as stage

    status = stage(rundir, public_key)
    if json:
        import json as writer

        typer.echo(writer.dumps(status.to_json_dict(), indent=2))
    else:
        for line in status.lines():
            typer.echo(line)
    return 2 if status.findings else 0


def review_keygen(folder: Annotated[Path, typer.Argument(help="Folder for the two key files.")]) -> None:
    """Make the laboratory's key pair for signing reviews.

    Example: flowmrd review keygen /secure/keys
    """
    from flowmrd.review.keys import make_key

    private, public, name = make_key(folder)
    typer.echo(f"private key {private}\npublic key {public}\nkey id {name}")
