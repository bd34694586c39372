"""A panel file in use, and digests of small files from outside the workflow."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from flowmrd.config.path_text import obstacle
from flowmrd.panel import PanelModel, find_panel, load_panel

__all__ = ["PanelFile", "digest_of", "short_digest"]

WORDS = frozenset({"title", "source", "plots"})
"""Keys of a panel file that only affect pages."""


def _without_words(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_words(inner) for key, inner in value.items() if key not in WORDS}
    return [_without_words(inner) for inner in value] if isinstance(value, list) else value


@dataclass(frozen=True)
class PanelFile:
    """A panel file in use.

    Attributes
    ----------
    sha256
        Digest of the file, as results name it.
    """

    path: Path
    model: PanelModel
    sha256: str

    @cached_property
    def meaning(self) -> str:
        """Digest of the content that can change a number; it leaves out comments, titles and plots."""
        return short_digest(json.dumps(_without_words(self.model.model_dump(mode="json")), sort_keys=True))

    @cached_property
    def wording(self) -> str:
        """Digest of the whole content without comments; pages are rebuilt when it changes."""
        return short_digest(json.dumps(self.model.model_dump(mode="json"), sort_keys=True))

    @classmethod
    def named(cls, name: str, run_directory: Path) -> PanelFile:
        """The panel of this name or path.

        Raises
        ------
        PanelError
            If there is none, or it is wrong.
        """
        path = find_panel(name, run_directory=run_directory)
        return cls(path, load_panel(path), hashlib.sha256(path.read_bytes()).hexdigest())


def digest_of(path: Path) -> str:
    """SHA-256 of a small file from outside, ``absent`` where there is none (a pipe would wait for ever)."""
    if obstacle(path):
        return "absent"
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return "absent"


def short_digest(text: str) -> str:
    """First 16 hex digits of the SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
