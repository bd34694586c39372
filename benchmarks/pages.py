"""Putting what was measured into a page of the documentation, so that nobody has to copy figures."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path


def put_between_marks(page: Path, name: str, text: str) -> None:
    """Replace what stands between ``<!-- name: begin -->`` and ``<!-- name: end -->``.

    Raises
    ------
    ValueError
        If the page lacks one of the marks.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, found, rest = page.read_text(encoding="utf-8").partition(begin)
    _, found_end, after = rest.partition(end)
    if not found or not found_end:
        raise ValueError(f"{page} has no marks {begin} and {end}")
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")


def put_output(page: Path, name: str, part: Callable[[], None]) -> None:
    """Put what a part of a benchmark prints between the marks of that name, as it is printed."""
    kept = io.StringIO()
    with redirect_stdout(kept):
        part()
    text = "\n".join(line.rstrip() for line in kept.getvalue().strip().splitlines())
    sys.stdout.write(f"{text}\n\n")
    put_between_marks(page, name, f"```text\n{text}\n```")
