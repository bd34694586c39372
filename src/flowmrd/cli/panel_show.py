"""``flowmrd panel show``: the gate tree as text, and as a page with every gate on a tube."""

from __future__ import annotations

from pathlib import Path

from flowmrd.cli.single import single_config
from flowmrd.config import RunConfig
from flowmrd.panel import PanelModel, find_panel, load_panel
from flowmrd.panel.describe import tree_lines
from flowmrd.panel.gates import Gate
from flowmrd.report.language import language
from flowmrd.report.page import write_page
from flowmrd.report.panel_page import panel_page, share_words
from flowmrd.tube import Tube
from flowmrd.tube.gate import gate
from flowmrd.tube.preprocess import preprocess
from flowmrd.tube.read import read_tube

__all__ = ["show_panel"]


def show_panel(
    name: str,
    fcs: Path | None,
    out: Path | None,
    code: str = "en",
    *,
    spillover: Path | None = None,
    compensated: bool = False,
) -> list[str]:
    """Lines for the terminal; the page is written, in the language of ``code``, where a tube or ``out`` is given.

    ``spillover``: CSV with the matrix of the tube, instead of its own; ``compensated``: the tube needs none.

    Raises
    ------
    InputError
        If panel or tube cannot be read, or do not fit each other.
    """
    path = Path(name) if Path(name).is_file() else find_panel(name, run_directory=Path())
    panel = load_panel(path)
    config = single_config(panel.name, spillover=spillover, compensated=compensated)
    tube = None if fcs is None else _gated(fcs, panel, config)

    def told(one: Gate) -> str:
        return "" if tube is None else share_words(tube, one)

    lines = [f"{panel.name} version {panel.version}: {panel.title}", *tree_lines(panel.gates, told)]
    if tube is not None or out is not None:
        page = out or Path(f"panel-{panel.name}.html")
        write_page(page, panel_page(panel, tube, language=language(code)))
        lines.append(f"page: {page}")
    return lines


def _gated(fcs: Path, panel: PanelModel, config: RunConfig) -> Tube:
    return gate(preprocess(read_tube(fcs, panel, name="tube"), config), config)
