"""Stage ``compare``: a comparison of two methods as ``agreement.json``, ``agreement.tsv`` and ``index.html``."""

from __future__ import annotations

from pathlib import Path

from flowmrd import __version__
from flowmrd.compare.comparison import Comparison
from flowmrd.config import load_config
from flowmrd.report.comparison import render
from flowmrd.report.language import language
from flowmrd.report.page import write_page
from flowmrd.store import write_json, write_text

__all__ = ["language_of_run", "write_comparison"]


def write_comparison(comparison: Comparison, out_dir: Path, *, samples: Path | None, code: str = "en") -> None:
    """Write the three files of a comparison.

    Parameters
    ----------
    samples
        ``results/samples`` of the run whose tubes were compared, for links to their pages; ``None`` for tables.
    """
    write_json(out_dir / "agreement.json", comparison.model_dump(mode="json"))
    lines = ["\t".join(("name", comparison.first, "limit", comparison.second, "limit"))]
    for row in comparison.rows:
        cells = (row.first, row.first_limit, row.second, row.second_limit)
        lines.append("\t".join([row.name, *("" if cell is None else repr(cell) for cell in cells)]))
    write_text(out_dir / "agreement.tsv", "\n".join(lines) + "\n")
    links = {
        row.name: f"{_up(out_dir, samples)}/{row.name}/report.html"
        for row in comparison.rows
        if samples is not None and (samples / row.name / "report.html").is_file()
    }
    write_page(out_dir / "index.html", render(comparison, links=links, version=__version__, language=language(code)))


def language_of_run(place: Path) -> str:
    """Language of a run's pages; English where the place is no run with a configuration."""
    config = place / "config" / "config.yaml"
    return load_config(config).report.language if config.is_file() else "en"


def _up(out_dir: Path, samples: Path | None) -> str:
    """Relative path from the page to the folder of the samples."""
    import os.path

    return "" if samples is None else Path(os.path.relpath(samples, out_dir)).as_posix()
