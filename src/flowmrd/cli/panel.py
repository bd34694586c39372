"""Commands for people who write panels: ``flowmrd panel check``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["register"]

commands = typer.Typer(
    name="panel", help="Write and check panel files.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)


def register(app: typer.Typer) -> None:
    """Add these commands to the application."""
    app.add_typer(commands)


@commands.callback()
def panel() -> None:
    """Write and check panel files."""


@commands.command()
def check(
    file: Annotated[str, typer.Argument(help="Panel file, or the name of a shipped panel.", metavar="FILE|NAME")],
    tubes: Annotated[
        list[Path] | None, typer.Option(help="FCS file of a tube that was stained with it; may be repeated.")
    ] = None,
) -> int:
    """Tell everything that is wrong with a panel, and what it will and will not be able to say, before a run.

    With --tubes, also whether the channels of these files match, whether they have a spillover matrix, and what the
    bounds of the gates are in their raw units.

    Example: flowmrd panel check panels/mypanel.yaml --tubes tube1.fcs
    """
    from flowmrd.cli.panel_check import check_panel

    errors, lines = check_panel(file, tubes or [])
    typer.echo("\n".join(lines))
    return 2 if errors else 0
