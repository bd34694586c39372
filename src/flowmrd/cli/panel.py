"""Commands for people who write panels: ``flowmrd panel new``, ``check`` and ``show``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flowmrd.cli.arguments import PageLanguage

__all__ = ["register"]

commands = typer.Typer(
    name="panel", help="Write and check panel files.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)

Spillover = Annotated[
    Path | None, typer.Option("--spillover", help="CSV with the matrix of the tubes, instead of their own.")
]
Compensated = Annotated[
    bool, typer.Option("--compensated", help="The tubes are compensated or unmixed already, or must not be.")
]
PanelName = Annotated[str, typer.Argument(help="Panel file, or the name of a shipped panel.", metavar="FILE|NAME")]


def register(app: typer.Typer) -> None:
    """Add these commands to the application."""
    app.add_typer(commands)


@commands.callback()
def panel() -> None:
    """Write and check panel files."""


@commands.command()
def new(
    tubes: Annotated[list[Path] | None, typer.Argument(help="Further FCS files.", metavar="[TUBE]...")] = None,
    from_: Annotated[
        list[Path] | None, typer.Option("--from", help="FCS file or folder of them; may be repeated.")
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the new panel.")] = "draft",
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder for the file NAME.yaml; the current one if not given.")
    ] = None,
    spillover: Spillover = None,
    compensated: Compensated = False,
) -> int:
    """Draft a panel from the labels of tubes: their markers and detectors, with the gates of the nearest shipped panel.

    Gates without their markers are left out and listed, and the draft is checked at once. Exit code 2 if it cannot be
    used as it is.

    Example: flowmrd panel new --from tubes/ --name lab8 -o my-run/panels
    """
    from flowmrd.cli.panel_new import new_panel

    errors, lines = new_panel(
        name, [*(from_ or []), *(tubes or [])], out or Path(), spillover=spillover, compensated=compensated
    )
    typer.echo("\n".join(lines))
    return 2 if errors else 0


@commands.command()
def check(
    file: PanelName,
    tubes: Annotated[
        list[Path] | None, typer.Option(help="FCS file of a tube that was stained with it; may be repeated.")
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(help="Folder of a stored reference (results/reference/<panel>): counts what each marker tells."),
    ] = None,
    spillover: Spillover = None,
    compensated: Compensated = False,
) -> int:
    """List all errors of a panel, and what it can and cannot measure, before a run.

    With --tubes, also whether the channels of these files match, whether they have a spillover matrix, and what the
    bounds of the gates are in their raw units. With --reference, how many of 40 kinds of leukaemia its markers tell
    from normal B-lineage cells, with all of them and without each.

    Example: flowmrd panel check panels/mypanel.yaml --tubes tube1.fcs
    """
    from flowmrd.cli.panel_check import check_panel

    errors, lines = check_panel(file, tubes or [], reference=reference, spillover=spillover, compensated=compensated)
    typer.echo("\n".join(lines))
    return 2 if errors else 0


@commands.command()
def show(
    file: PanelName,
    tube: Annotated[Path | None, typer.Argument(help="FCS file to gate with it.", metavar="[TUBE]")] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Page to write; panel-NAME.html for a tube if not given.")
    ] = None,
    language: Annotated[PageLanguage, typer.Option(help="Language of the page.")] = PageLanguage.ENGLISH,
    spillover: Spillover = None,
    compensated: Compensated = False,
) -> None:
    """Draw a panel's gate tree; with a tube, every gate on its events, as one page that needs no network.

    The tree is printed as well. Gates are placed on the tube's own events, without controls.

    Example: flowmrd panel show ino10 tube.fcs -o gates.html
    """
    from flowmrd.cli.panel_show import show_panel

    typer.echo("\n".join(show_panel(file, tube, out, language.value, spillover=spillover, compensated=compensated)))
