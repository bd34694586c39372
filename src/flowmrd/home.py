"""Where flowmrd's own files lie: the repository that holds Snakefile, workflow and panels."""

from __future__ import annotations

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
"""Root of the checkout. flowmrd is installed in place (``make env``), so the package lies in ``src`` below it."""

PANELS = REPOSITORY / "panels"
"""Shipped panel files."""
