"""The ``flowmrd`` command.

Exit codes: 0 done; 2 the input is wrong and the message says what to do; 1 a fault of flowmrd; 130 interrupted.
"""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from flowmrd import __version__
from flowmrd.cli import analysis, exchange, init, library, panel, reference, results, review, run, stages
from flowmrd.engine.failure import logged_to, report_failure
from flowmrd.engine.job_record import keep_made, print_usage
from flowmrd.threads import THREAD_VARIABLES

USAGE_ERROR: type[Exception] = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
"""What typer raises for a wrong option: the base of its public errors, wherever typer keeps it."""
VALUED = ("--log", "--mem-mb", "--made")
"""Options before the command that take a value."""

app = typer.Typer(
    name="flowmrd",
    help="Measurable residual disease of B-ALL from flow cytometry files. For research use.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"flowmrd {__version__}")
        raise typer.Exit


@app.callback()
def options(
    log: Annotated[
        Path | None, typer.Option(help="Write messages here instead of the terminal; used by the workflow.")
    ] = None,
    mem_mb: Annotated[
        int | None, typer.Option(help="Memory granted to this command in MB; refused at once if it is too little.")
    ] = None,
    made: Annotated[
        str | None,
        typer.Option(help="Digest of what the workflow makes this of; kept for its next plan when all went well."),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Measurable residual disease of B-ALL from flow cytometry files. For research use."""
    if mem_mb is not None:
        from flowmrd.engine.memory import grant

        grant(mem_mb)
    if log is not None:
        from flowmrd.engine.code_digest import require_as_planned

        require_as_planned(Path("config/config.yaml"))


for module in (init, run, panel, stages, results, analysis, reference, review, library, exchange):
    module.register(app)


@app.command()
def selftest(
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for the record (selftest.json) and the simulated run.")
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Write new golden results, after a change that is meant to alter them.")
    ] = False,
) -> int:
    """Run golden tubes through this installation and compare the results with stored ones (IQ/OQ).

    Example: flowmrd selftest --out selftest-2024-06
    """
    from flowmrd.cli.selftest import lines, record_golden
    from flowmrd.cli.selftest import selftest as stage

    if record:
        typer.echo("\n".join(record_golden(call)))
        return 0
    passed, checks = stage(call, out)
    typer.echo("\n".join(lines(checks)))
    return 0 if passed else 1


def _leading_options(arguments: Sequence[str]) -> dict[str, str]:
    """Options before the command with their values, needed before typer parses anything."""
    found: dict[str, str] = {}
    rest = iter(arguments)
    for word in rest:
        if not word.startswith("--"):
            break
        name, equals, value = word.partition("=")
        found[name] = value if equals or name not in VALUED else next(rest, "")
    return found


def call(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; errors are printed in three lines, never as a bare traceback."""
    given, began = _leading_options(arguments), time.monotonic()
    log = Path(given["--log"]) if given.get("--log") else None
    # Many processes of one thread each: more threads only get into each other's way on a shared node, and the order in
    # which they add up would show in the last bits. Libraries read these once, when numpy is imported by a command.
    for name in THREAD_VARIABLES:
        os.environ.setdefault(name, "1")
    os.umask(os.umask(0o077) | 0o002)  # readable as the user's umask says, never writable by everybody
    try:
        with logged_to(log) as terminal:
            try:
                result: Any = app(args=list(arguments), standalone_mode=False)
            except (typer.Abort, KeyboardInterrupt):
                print("interrupted", file=terminal)
                return 130
            except BrokenPipeError:
                return 0
            except Exception as error:
                if isinstance(error, USAGE_ERROR):  # a misspelt option: typer's own words are best
                    error.show(file=terminal)  # type: ignore[attr-defined]
                    return 2
                return report_failure(error, terminal, log)
            finally:
                if log is not None:
                    print_usage(log, began)
            code = result if isinstance(result, int) else 0
            if code == 0 and log is not None and given.get("--made"):
                keep_made(log, given["--made"])
            return code
    except OSError as error:  # the log itself cannot be written
        return report_failure(error, sys.stderr, None)


def main() -> None:
    """Entry point of the console script."""
    for stream in (sys.stdout, sys.stderr):  # a name that the terminal cannot show must not end the command
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(call(sys.argv[1:]))
