"""A page on paper, printed by Chromium, with patient, sample, page n of N and day of issue on every sheet.

The page's own script writes these into the margins when it is printed (``@page`` margin boxes), so a page that a user
prints from a browser has them too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from flowmrd.errors import ConfigError, InternalError
from flowmrd.store import atomic_path, digest_file

PROGRAMS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
TIMEOUT_S: Final = 120


def browser_program() -> str:
    """Path of a Chromium: ``FLOWMRD_CHROMIUM``, or else the first of :data:`PROGRAMS` that is on the ``PATH``.

    Raises
    ------
    ConfigError
        If there is none.
    """
    named = os.environ.get("FLOWMRD_CHROMIUM")
    found = named or next((path for name in PROGRAMS if (path := shutil.which(name)) is not None), None)
    if found is None:
        raise ConfigError(
            "PDF",
            found=f"none of the programs {', '.join(PROGRAMS)}",
            expected="a Chromium, which prints the page",
            todo="install chromium, set FLOWMRD_CHROMIUM to its path, or print the page from your browser",
        )
    return found


def has_browser() -> bool:
    """Whether pages can be printed here."""
    try:
        browser_program()
    except ConfigError:
        return False
    return True


def pdf_of(page: Path, result: Path) -> Path:
    """Path of the print of a tube's page: in ``results/pdf``, named by sample and by the digest of its ``mrd.json``."""
    return page.parents[2] / "pdf" / f"{page.parent.name}.{digest_file(result)[:12]}.pdf"


def write_pdf(page: Path, pdf: Path) -> None:
    """Print a page; nothing is fetched, and the browser keeps no profile.

    Raises
    ------
    ConfigError
        If there is no Chromium.
    InternalError
        If Chromium printed nothing.
    """
    program = browser_program()
    with TemporaryDirectory() as profile, atomic_path(pdf) as temporary:
        done = subprocess.run(  # noqa: S603 - a program that the user installed, on a file of ours
            [
                program,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--no-first-run",
                "--no-pdf-header-footer",
                f"--user-data-dir={profile}",
                f"--print-to-pdf={temporary}",
                page.resolve().as_uri(),
            ],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        if done.returncode != 0 or not temporary.is_file() or not temporary.stat().st_size:
            raise InternalError(f"{program} did not print {page} (code {done.returncode}): {done.stderr[-400:]}")
