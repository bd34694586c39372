"""Make the path of the editable installation relative to its ``.pth`` file; run without ``site`` (``python -S``).

Python 3.11 reads these files in the encoding of the locale. In the locale C it could not start at all where the
checkout lies in a folder with an umlaut.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

for path in Path(sys.argv[1]).glob("*flowmrd*.pth"):
    source = os.path.relpath(Path("src").resolve(), path.parent.resolve())
    path.write_text(source + "\n", encoding="utf-8", errors="surrogateescape")
