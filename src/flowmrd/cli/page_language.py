"""The languages that a command can make a page in."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["PageLanguage"]


class PageLanguage(StrEnum):
    """Languages of a page (``flowmrd.report.language.LANGUAGES``)."""

    ENGLISH = "en"
    GERMAN = "de"
    CHINESE = "zh"
