"""Arguments that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["PageLanguage", "PublicKey", "RunDirectory"]

RunDirectory = Annotated[Path, typer.Argument(help="Run directory.", metavar="RUNDIR")]
PublicKey = Annotated[Path | None, typer.Option(help="The laboratory's public key, if not config/flowmrd-review.pub.")]


class PageLanguage(StrEnum):
    """Languages of a page (``flowmrd.report.language.LANGUAGES``)."""

    ENGLISH = "en"
    GERMAN = "de"
    CHINESE = "zh"
