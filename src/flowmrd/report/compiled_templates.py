"""Compiled page templates, and the packed plotly.js, kept beside their sources, as Python keeps compiled modules.

Compiling the templates of a page takes as long as drawing its charts. A stored template is used only for exactly the
same source and the same versions of jinja2 and Python. Where the folder cannot be written to, templates are compiled
each time. ``make install`` compiles all of them.
"""

from __future__ import annotations

import hashlib
import marshal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import CodeType
from typing import Final

from jinja2 import BytecodeCache
from jinja2.bccache import Bucket, bc_magic

from flowmrd.store.atomic import atomic_path

__all__ = ["CompiledTemplates", "kept_bytes"]

_DIGEST_BYTES: Final = 32


class CompiledTemplates(BytecodeCache):
    """A folder of compiled templates."""

    def __init__(self, folder: Path, settings: bytes) -> None:
        """Use a folder; ``settings`` are all settings, besides the source, that decide how a template is compiled."""
        self._folder = folder
        self._settings = hashlib.sha256(bc_magic + settings).digest()

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fill the bucket if the same source was compiled before."""
        try:
            kept = self._path(bucket).read_bytes()
        except OSError:
            return
        if kept[:_DIGEST_BYTES] != self._digest(bucket):
            return
        with suppress(EOFError, ValueError, TypeError):
            code = marshal.loads(kept[_DIGEST_BYTES:])  # noqa: S302 - as Python reads its own compiled modules
            bucket.code = code if isinstance(code, CodeType) else None

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Store the compiled template."""
        if sys.dont_write_bytecode or bucket.code is None:
            return
        path = self._path(bucket)
        with suppress(OSError):
            path.parent.mkdir(exist_ok=True)
            with atomic_path(path) as part:
                part.write_bytes(self._digest(bucket) + marshal.dumps(bucket.code))

    def _path(self, bucket: Bucket) -> Path:
        return self._folder / f"{bucket.key}.{sys.implementation.cache_tag}.bin"

    def _digest(self, bucket: Bucket) -> bytes:
        return hashlib.sha256(self._settings + bucket.checksum.encode("ascii")).digest()


def kept_bytes(path: Path, made_of: bytes, make: Callable[[], bytes]) -> bytes:
    """What ``make`` makes of these bytes and of nothing else, from the file where it was kept before."""
    digest = hashlib.sha256(made_of).digest()
    with suppress(OSError):
        kept = path.read_bytes()
        if kept[:_DIGEST_BYTES] == digest:
            return kept[_DIGEST_BYTES:]
    made = make()
    if not sys.dont_write_bytecode:
        with suppress(OSError):
            path.parent.mkdir(exist_ok=True)
            with atomic_path(path) as part:
                part.write_bytes(digest + made)
    return made
