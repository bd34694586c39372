"""From a template and data to one self-contained HTML page.

Every page of flowmrd (sample, cohort, trial, validation) is made here, so that all of them keep the same promises:

- nothing is fetched: styles, scripts and data are inside the file;
- the Content-Security-Policy allows exactly the scripts that were put in, by their SHA-256, and no ``eval``;
- text from files is escaped by jinja2's autoescape, data is embedded as inert JSON;
- the same input gives the same bytes.

Pages of a large cohort may share one file with plotly.js (:class:`SharedScript`): then a script of the page, which the
policy allows by its hash, loads that file and nothing else.

A page is written as ``templates/<name>.html.j2`` extending ``base.html.j2`` (blocks ``title``, ``header`` and
``content``; macros for figures, badges and tables in ``parts.html.j2``) and rendered by :func:`render_page`.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from flowmrd.errors import InternalError
from flowmrd.report import formatting
from flowmrd.report.compiled_templates import CompiledTemplates
from flowmrd.report.language import ENGLISH, Language
from flowmrd.store import write_text

HERE: Final = Path(__file__).resolve().parent
TEMPLATES: Final = HERE / "templates"
ASSETS: Final = HERE / "assets"

_SYNTAX: Final = "autoescape trim_blocks lstrip_blocks"
"""What besides its source decides how a template is compiled; to be changed with :func:`environment`."""

PageData = Mapping[str, object]


def environment(*folders: Path) -> Environment:
    """Jinja2 environment with autoescape, strict about undefined names.

    Parameters
    ----------
    folders
        Template folders of the caller's own, searched before the shared templates.
    """
    env = Environment(
        loader=FileSystemLoader([*(str(folder) for folder in folders), str(TEMPLATES)]),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=CompiledTemplates(TEMPLATES / "__pycache__", f"jinja2 {version('jinja2')} {_SYNTAX}".encode()),
    )
    env.filters.update(
        count=formatting.count,
        number=formatting.number,
        percent=formatting.percent,
        sci=formatting.scientific,
        level=formatting.level,
        short_hash=formatting.short_hash,
        clip=formatting.clip,
        readable=formatting.readable,
        moment=formatting.moment,
    )
    return env


def compile_templates() -> None:
    """Compile every shared template, so that no page has to where the installation cannot be written to."""
    sys.dont_write_bytecode = False
    shared = environment()
    for name in shared.list_templates(extensions=["j2"]):
        shared.get_template(name)


@lru_cache(maxsize=32)
def read_asset(name: str) -> str:
    """Text of a shipped style sheet or script."""
    return (ASSETS / name).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def plotly_script() -> str:
    """plotly.js as shipped inside the installed plotly package (MIT licence)."""
    from importlib.util import find_spec

    # Importing plotly itself costs half a second; only its data file is needed.
    spec = find_spec("plotly")
    if spec is None or spec.origin is None:
        raise InternalError("the plotly package of the lock file is not installed")
    return (Path(spec.origin).parent / "package_data" / "plotly.min.js").read_text(encoding="utf-8")


@dataclass(frozen=True)
class SharedScript:
    """A script that pages load from one file.

    Attributes
    ----------
    href
        Its place relative to the page.
    """

    href: str


def plotly_name() -> str:
    """Name of the shared plotly.js, which tells its content."""
    return f"plotly-{hashlib.sha256(plotly_script().encode('utf-8')).hexdigest()[:12]}.min.js"


def write_plotly(folder: Path) -> Path:
    """Write the shared plotly.js into a folder where it is not there yet, and return its path."""
    path = folder / plotly_name()
    if not path.is_file():
        write_text(path, plotly_script())
    return path


def _loader(script: SharedScript) -> str:
    """Script that loads the shared plotly.js: from a server only with the digest it had when the page was made.

    A browser checks no digest of a file that a page opened from disk loads; ``flowmrd verify`` does.
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


def embed_json(value: Any) -> Markup:
    """JSON that is safe inside a ``<script type="application/json">`` whatever text it holds."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 - no character that HTML could act on is left


def embed_bytes(value: bytes) -> str:
    """Bytes as base64 of gzip, the same for the same bytes; ``flowmrd.unpack`` in page.js reads it."""
    return base64.b64encode(gzip.compress(value, compresslevel=6, mtime=0)).decode("ascii")


def inline_script(source: str) -> tuple[Markup, str]:
    """A script as it may stand in HTML, and its CSP source expression.

    Raises
    ------
    InternalError
        If the text could end its own ``<script>`` element.
    """
    if "</script" in source.lower() or "<!--" in source:
        raise InternalError("a script holds a sequence that would end its own element")
    source = source.replace("\r\n", "\n").replace("\r", "\n")  # what the HTML parser does before hashing
    digest = base64.b64encode(hashlib.sha256(source.encode("utf-8")).digest()).decode("ascii")
    return Markup(source), f"'sha256-{digest}'"  # noqa: S704 - only shipped scripts come here


def content_security_policy(script_sources: Sequence[str], *, loads: bool = False) -> str:
    """Policy of a page: the given scripts run, styles and images are inline, nothing is loaded or sent.

    With ``loads``, scripts that one of the given scripts loads may run too, and still no other
    (``'strict-dynamic'`` of Content Security Policy Level 3).

    Styles need ``'unsafe-inline'`` because plotly.js sets style attributes; styles cannot load anything under
    ``default-src 'none'``.
    """
    scripts = " ".join([*script_sources, *(["'strict-dynamic'"] if loads else [])]) or "'none'"
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data: blob:; "
        "connect-src 'none'; form-action 'none'; base-uri 'none'; object-src 'none'; frame-src 'none'"
    )


def render_page(
    template: str,
    context: Mapping[str, Any],
    *,
    env: Environment | None = None,
    styles: Sequence[str] = (),
    scripts: Sequence[str] = (),
    plotly: bool | SharedScript = False,
    language: Language = ENGLISH,
    data: PageData | None = None,
    blobs: Mapping[str, bytes] | None = None,
) -> str:
    """Render one page.

    Parameters
    ----------
    template
        File name below the template folders.
    context
        Names for the template. Everything is escaped unless it is ``Markup`` made by flowmrd itself.
    styles
        Texts of further style sheets, after ``page.css``.
    scripts
        Texts of further scripts, run after ``page.js`` (and plotly.js), in order.
    plotly
        Embed plotly.js (4.8 MB), or load it from a file that pages share.
    language
        Language of the page; templates and scripts are in English (:mod:`flowmrd.report.language`).
    data
        Element id to plain data, embedded as inert JSON; read it with ``flowmrd.data(id)``.
    blobs
        Element id to bytes, embedded compressed; read them with ``await flowmrd.unpack(id)``.
    """
    shared = isinstance(plotly, SharedScript)
    drawing = [_loader(plotly)] if isinstance(plotly, SharedScript) else [plotly_script()] if plotly else []
    sources = [read_asset("page.js"), *drawing, *scripts]
    prepared = [inline_script(source) for source in sources]
    page = (env or environment()).get_template(template)
    words = language.words(said for source in (read_asset("page.js"), *scripts) for said in _SAID.findall(source))
    data = dict(data or {}) | ({"words": words} if words else {})
    made = page.render(
        {
            **context,
            "lang": language.code,
            "csp": content_security_policy([source for _, source in prepared], loads=shared),
            "styles": Markup("\n".join([read_asset("page.css"), *styles])),  # noqa: S704 - shipped files
            "scripts": [text for text, _ in prepared],
            "json_blocks": {name: embed_json(value) for name, value in data.items()},
            "byte_blocks": {name: embed_bytes(value) for name, value in (blobs or {}).items()},
        }
    )
    return language.page(made)


_SAID: Final = re.compile(r'flowmrd\.say\(\s*"((?:[^"\\]|\\.)*)"')
"""A sentence that a script says."""


def write_page(path: Path, html: str) -> None:
    """Write a rendered page atomically."""
    write_text(path, html)
