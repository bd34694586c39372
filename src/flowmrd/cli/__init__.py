"""The command line: one module for each group of commands."""

import sys

if sys.platform == "win32":
    raise SystemExit(
        "error: flowmrd does not run on Windows itself, because its locks and Snakemake's jobs need Unix.\n"
        "   in: this computer\n"
        "   do: install the Windows Subsystem for Linux (wsl --install), then flowmrd in it; see docs/installation.md"
    )
