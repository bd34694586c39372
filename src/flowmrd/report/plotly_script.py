"""plotly.js for the pages: the script of the installed package, changed to start faster; inside a page or shared.

plotly.js draws some fifty kinds of trace, and its last lines register all of them. The charts of the pages use two:
``scatter``, which is always registered, and ``heatmap``. :func:`registering` leaves the others out of these lines, and
:func:`reachable` leaves out the modules that nothing uses then: 1.1 MB of 4.8 MB remain. The remaining modules are not
changed. Where the script does not look as expected, it is used as it is.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from flowmrd.errors import InternalError
from flowmrd.report.compiled_templates import kept_bytes
from flowmrd.store import write_text

__all__ = [
    "EMBEDDED", "SharedScript", "embedded_loader", "packed_plotly", "plotly_name", "plotly_script", "reachable",
    "registering", "shared_loader", "write_plotly",
]  # fmt: skip

TRACES: Final = ("heatmap",)
"""Kinds of trace that figures of pages hold besides ``scatter`` (:mod:`flowmrd.report.charts.plotly`)."""
EMBEDDED: Final = "plotly-script"
"""Id of the element that holds a page's own plotly.js, compressed."""

_REGISTERED: Final = re.compile(r"\.register\(\[((?:[\w$]+\(\),?)+)\]\)")
_MODULE: Final = re.compile(r"=[\w$]+\(\([\w$,]+\)=>\{")
_NAME_BEFORE: Final = re.compile(r"(?:^|[,;\s])([\w$]+)\Z")
_EXPORTED: Final = re.compile(r'(?:"use strict";)?[\w$]+\.exports=([\w$]+)\(\)\}')
_KIND: Final = re.compile(r'\bname:"(\w+)"')

# The bundle as esbuild writes it: `var name=wrap((exports,module)=>{...});` is a CommonJS module, and
# `var name={};export(name,{...});` begins the ES modules up to the next of either. A module is used by calling its name
# without arguments; an ES module by its exports' name as well.
_COMMON: Final = re.compile(r"(?<=;)var ([\w$]+)=([\w$]+)\((?:\([\w$,]*\)|[\w$]+)=>\{")
_EXPORTS: Final = re.compile(r"(?<=;)var ([\w$]+)=\{\};[\w$]+\(\1,\{")
_STARTED: Final = re.compile(r"([\w$]+)=[\w$]+\(\(\)=>\{")
_USED: Final = re.compile(r"(?:(?<![\w$.])|(?<=\.\.\.))([\w$]+)\(\)|\(([\w$]+)\)")
_LAST_MODULE: Final = "});return "


@lru_cache(maxsize=1)
def plotly_script() -> str:
    """plotly.js of the installed plotly package (MIT licence), with the kinds of trace that pages use."""
    return gzip.decompress(packed_plotly()).decode("utf-8")


@lru_cache(maxsize=1)
def packed_plotly() -> bytes:
    """:func:`plotly_script`, compressed. To find the modules takes a fifth of the time of a page, so it is kept."""
    from importlib.util import find_spec

    # Importing plotly itself costs half a second; only its data file is needed.
    spec = find_spec("plotly")
    if spec is None or spec.origin is None:
        raise InternalError("the plotly package of the lock file is not installed")
    shipped = (Path(spec.origin).parent / "package_data" / "plotly.min.js").read_bytes()

    def pack() -> bytes:
        script = shipped.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
        return gzip.compress(reachable(registering(script, TRACES)).encode("utf-8"), compresslevel=4, mtime=0)

    here = Path(__file__)
    made_of = shipped + here.read_bytes() + zlib.ZLIB_RUNTIME_VERSION.encode("ascii")
    return kept_bytes(here.parent / "templates" / "__pycache__" / "plotly.js.gz", made_of, pack)


def registering(script: str, traces: Sequence[str]) -> str:
    """plotly.js that registers only these kinds of trace besides ``scatter``; the same script where that is not
    possible.

    Each entry in the list of registered modules is a module that returns the module with the name of its kind.
    """
    found = _REGISTERED.findall(script)
    if len(found) != 1:
        return script
    modules = _modules(script)
    wanted = [entry for entry in found[0].split(",") if _kind(script, modules, entry.removesuffix("()")) in traces]
    if len(wanted) != len(traces):
        return script
    return script.replace(found[0], ",".join(wanted))


def reachable(script: str) -> str:
    """plotly.js without the modules that no other uses; the same script where its modules cannot be told apart."""
    heads = [*_COMMON.finditer(script)]
    wrapper = Counter(head.group(2) for head in heads).most_common(1)
    end = script.rfind(_LAST_MODULE) + len("});")
    starts = {head.start(): head.group(1) for head in heads if head.group(2) == wrapper[0][0]}
    exports = {head.start(): head.group(1) for head in _EXPORTS.finditer(script)}
    places = sorted(place for place in {*starts, *exports} if place < end)
    if not places:
        return script
    parts = [script[place:after] for place, after in zip(places, [*places[1:], end], strict=True)]
    if not all(part.endswith("});") for part in parts):
        return script
    named: dict[str, int] = {}
    for number, (place, part) in enumerate(zip(places, parts, strict=True)):
        names = [exports[place], *_STARTED.findall(part)] if place in exports else [starts[place]]
        named.update(dict.fromkeys(names, number))
    before, after = script[: places[0]], script[end:]
    used: set[int] = set()
    waiting = [before, after]
    while waiting:
        called = {name for pair in _USED.findall(waiting.pop()) for name in pair}
        found = {named[name] for name in called if name in named} - used
        used |= found
        waiting += [parts[number] for number in found]
    return before + "".join(part for number, part in enumerate(parts) if number in used) + after


def _modules(script: str) -> dict[str, int]:
    """Where the body of each module of the bundle begins, by the module's name.

    One pass over the script: to search its 4.8 million characters for each of some hundred names takes seconds.
    """
    found: dict[str, int] = {}
    for module in _MODULE.finditer(script):
        name = _NAME_BEFORE.search(script[max(0, module.start() - 40) : module.start()])
        if name is not None:
            found.setdefault(name.group(1), module.end())
    return found


def _kind(script: str, modules: Mapping[str, int], module: str) -> str:
    """Kind of trace of a module of the bundle; empty where the module does not name it in the usual way."""
    inner = _EXPORTED.match(script, modules[module]) if module in modules else None
    start = None if inner is None else modules.get(inner.group(1))
    named = None if start is None else _KIND.search(script, start, start + 3000)
    return "" if named is None else named.group(1)


@dataclass(frozen=True)
class SharedScript:
    """A script that pages load from one file.

    Attributes
    ----------
    href
        Address of the file relative to the page.
    """

    href: str


def plotly_name() -> str:
    """Name of the shared plotly.js; it contains a digest of the content."""
    return f"plotly-{hashlib.sha256(plotly_script().encode('utf-8')).hexdigest()[:12]}.min.js"


def write_plotly(folder: Path) -> Path:
    """Write the shared plotly.js into a folder that does not have it yet, and return its path."""
    path = folder / plotly_name()
    if not path.is_file():
        write_text(path, plotly_script())
    return path


def shared_loader(script: SharedScript) -> str:
    """Script that loads the shared plotly.js; from a server only with the digest that it had when the page was made.

    When a page is opened from disk, the browser checks no digest of the files that it loads; ``flowmrd verify`` does.
    """
    digest = base64.b64encode(hashlib.sha256(plotly_script().encode("utf-8")).digest()).decode("ascii")
    return (
        '"use strict";\n'
        "flowmrd.plotly = new Promise((resolve, reject) => {\n"
        '  const script = document.createElement("script");\n'
        f"  script.src = {json.dumps(script.href)};\n"
        f'  if (location.protocol.startsWith("http")) script.integrity = "sha256-{digest}";\n'
        "  script.onload = resolve;\n"
        f"  script.onerror = () => reject(new Error({json.dumps(script.href.rpartition('/')[2])}));\n"
        "  document.head.append(script);\n"
        "});\n"
        "flowmrd.plotly.catch(() => {}); // the page says so where it draws\n"
    )


def embedded_loader() -> str:
    """Script that unpacks a page's own plotly.js and runs it once the page has been shown.

    The page's policy allows the script by its hash, as it does every script inside the page.
    """
    return (
        '"use strict";\n'
        'flowmrd.plotly = "DecompressionStream" in window ? (async () => {\n'
        f"  const unpacked = await flowmrd.unpack({json.dumps(EMBEDDED)});\n"
        '  const script = document.createElement("script");\n'
        "  script.textContent = new TextDecoder().decode(unpacked);\n"
        "  document.head.append(script);\n"
        "})() : Promise.resolve();\n"
    )
