"""Stage commands as tests call them."""

from __future__ import annotations

from pathlib import Path

from flowmrd.cli.app import call

CONTROLS = ("CTRL01", "CTRL02")


def command(run: Path, *words: str) -> None:
    assert call([*words, "--run", str(run)]) == 0, words
