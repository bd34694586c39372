"""The process from which jobs of a run on one machine are forked: ``python -m flowmrd.cli.ready SOCKET``.

:mod:`flowmrd.engine.ready_interpreter` starts it and says why.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from flowmrd.engine.ready_interpreter import serve


def command(words: Sequence[str]) -> int:
    """Run one command; imported late, so that code is not imported before it is looked at."""
    from flowmrd.cli.app import call

    return call(words)


if __name__ == "__main__":
    sys.exit(serve(Path(sys.argv[1]), command))
