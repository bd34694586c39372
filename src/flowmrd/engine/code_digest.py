"""Digest of the source that a stage can reach, so that changed code reruns exactly the stages that it affects.

Snakemake sees changes of rules, inputs and parameters, not of an installed package. Each rule therefore carries this
digest as a parameter. It covers the modules that a stage imports, directly or indirectly, and the data files in the
folders of these modules (templates, scripts, styles). The modules are found by reading import statements, also those
inside functions.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from flowmrd.errors import ConfigError

PLANNED = "FLOWMRD_PLANNED"
"""Environment variable that tells a workflow's jobs the digest of the configuration and code of the plan."""
PACKAGE = Path(__file__).resolve().parents[1]


def module_files(entry: str) -> tuple[Path, ...]:
    """Source files reachable from a dotted module inside the package, sorted; empty if it does not exist.

    Parameters
    ----------
    entry
        For example ``flowmrd.stages.gate``.
    """
    pending, seen = [entry], set()
    while pending:
        name = pending.pop()
        file = _module_file(name)
        if file is None or file in seen:
            continue
        seen.add(file)
        pending.extend(imports_of(file))
        # importing a module runs the __init__ of every package above it
        pending.extend(".".join(name.split(".")[:depth]) for depth in range(1, name.count(".") + 1))
    return tuple(sorted(seen))


@cache
def digest(entry: str) -> str:
    """SHA-256 (16 hex digits) over the names and bytes of all files reachable from ``entry``."""
    files = list(module_files(entry))
    folders = {file.parent for file in files if file.parent != PACKAGE}
    files += [file for folder in folders for file in _sources(folder) if file.suffix != ".py"]
    total = hashlib.sha256()
    for file in sorted(set(files)):
        total.update(_of_file(file))
    return total.hexdigest()[:16]


@cache
def package_digest() -> str:
    """SHA-256 (16 hex digits) over the names and bytes of all source and data files of the package."""
    total = hashlib.sha256()
    for file in sorted(_sources(PACKAGE)):
        total.update(_name_and_digest(file))
    return total.hexdigest()[:16]


@dataclass(frozen=True)
class CodeInMemory:
    """The code that this process has imported, to be compared with the code on disk later.

    Attributes
    ----------
    times
        Digest of the files' names, sizes and times: told in a third of the time that reading them takes.
    content
        :func:`package_digest`.
    """

    times: str
    content: str

    @classmethod
    def now(cls) -> CodeInMemory:
        """The present code; call it before the imports."""
        times = _file_times()
        package_digest.cache_clear()
        return cls(times, package_digest())

    def is_on_disk(self) -> bool:
        """Whether the code on disk still is this code."""
        if _file_times() == self.times:
            return True
        package_digest.cache_clear()
        return package_digest() == self.content


def _file_times() -> str:
    total = hashlib.sha256()
    for file in sorted(_sources(PACKAGE)):
        facts = file.stat()
        total.update(f"{file} {facts.st_size} {facts.st_mtime_ns} {facts.st_ino}\n".encode())
    return total.hexdigest()


def _name_and_digest(file: Path) -> bytes:
    return str(file.relative_to(PACKAGE)).encode() + hashlib.sha256(file.read_bytes()).digest()


_of_file = cache(_name_and_digest)
"""The same, read once in a process: most files belong to many stages."""


def _sources(folder: Path) -> Iterator[Path]:
    """Files below a folder, without those made from others (compiled modules and compiled templates)."""
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for name in files:
            if not name.endswith((".pyc", ".part")):
                yield Path(place, name)


def state_of(config: Path) -> str:
    """Digest (16 hex digits) of a configuration file and of all code of the package."""
    try:
        content = config.read_bytes()
    except OSError:
        content = b""
    return hashlib.sha256(content + package_digest().encode()).hexdigest()[:16]


def require_as_planned(config: Path) -> None:
    """Refuse to continue a job of a workflow if configuration or code have changed since the run was started.

    Otherwise the tubes of one run could be judged by different rules, and their records would be wrong.

    Raises
    ------
    ConfigError
        If something has changed.
    """
    planned = os.environ.get(PLANNED)
    if planned is not None and planned != state_of(config):
        raise ConfigError(
            str(config),
            found="that the configuration, or flowmrd itself, was changed after the run was started",
            expected="no change while a run is going on",
            todo="give the same command again: what the change affects is computed anew, the rest is kept",
        )


@cache
def _module_file(name: str) -> Path | None:
    parts = name.split(".")
    if parts[0] != PACKAGE.name:
        return None
    base = PACKAGE.joinpath(*parts[1:])
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


_IMPORT = re.compile(
    rf"^[ \t]*(?:from[ \t]+({PACKAGE.name}(?:\.\w+)*)[ \t]+import[ \t]+(\([^)]*\)|[^\n(]*)"
    rf"|import[ \t]+({PACKAGE.name}(?:\.\w+)*))",
    re.MULTILINE,
)
"""Pattern of an import statement. The text is searched, because parsing every module takes longer
than planning a run.
"""


@cache
def imports_of(file: Path) -> tuple[str, ...]:
    """Dotted names of the package that a source file may import; statements in functions and examples count too."""
    names: list[str] = []
    for found in _IMPORT.finditer(file.read_text(encoding="utf-8")):
        module, listed, whole = found.groups()
        names.append(whole or module)
        words = re.sub(r"#[^\n]*|\bas[ \t]+\w+", "", listed or "")
        names.extend(f"{module}.{word}" for word in re.findall(r"\w+", words))
    return tuple(names)
