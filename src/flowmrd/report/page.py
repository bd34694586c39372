"""From a template and data to one self-contained HTML page.

Every page of flowmrd (sample, cohort, trial, validation) is made here, so all of them keep the same promises:

- nothing is fetched: styles, scripts and data are inside the file;
- the Content-Security-Policy allows exactly the scripts that were put in, by their SHA-256, and no ``eval``;
- text from files is escaped by jinja2's autoescape, data is embedded as inert JSON;
- the same input gives the same bytes.

A page holds plotly.js compressed and runs it after it has been shown; the policy allows it by its hash. Pages of a
large cohort may share one file with plotly.js (:class:`SharedScript`). A script of the page then loads that file and
nothing else.

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
from flowmrd.report.plotly_script import (
    EMBEDDED,
    SharedScript,
    embedded_loader,
    packed_plotly,
    plotly_script,
    shared_loader,
)
from flowmrd.store import write_text

HERE: Final = Path(__file__).resolve().parent
TEMPLATES: Final = HERE / "templates"
ASSETS: Final = HERE / "assets"

_SYNTAX: Final = "autoescape trim_blocks lstrip_blocks"
"""Settings, besides its source, that decide how a template is compiled; change them together with :func:`environment`.
"""

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


def prepare_pages() -> None:
    """Do what every page needs once, in a process from which those that write pages are forked."""
    _embedded_plotly()
    shared_environment().get_template("sample.html.j2")


@lru_cache(maxsize=1)
def shared_environment() -> Environment:
    """The environment of pages that need no template folders of their own."""
    return environment()


def compile_templates() -> None:
    """Compile every shared template, and pack plotly.js, at installation: later the folder may not be writable."""
    sys.dont_write_bytecode = False
    packed_plotly()
    shared = environment()
    for name in shared.list_templates(extensions=["j2"]):
        shared.get_template(name)


@lru_cache(maxsize=32)
def read_asset(name: str) -> str:
    """Text of a shipped style sheet or script."""
    return (ASSETS / name).read_text(encoding="utf-8")


def embed_json(value: Any) -> Markup:
    """JSON that is safe inside a ``<script type="application/json">`` whatever text it holds."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 - no character that HTML could act on is left


def embed_bytes(value: bytes) -> str:
    """Bytes as base64 of gzip, the same for the same bytes; ``flowmrd.unpack`` in page.js reads it."""
    return base64.b64encode(gzip.compress(value, compresslevel=6, mtime=0)).decode("ascii")


@lru_cache(maxsize=1)
def _embedded_plotly() -> tuple[str, str]:
    """plotly.js as a page holds it, and its CSP source expression."""
    _, source = inline_script(plotly_script())
    return base64.b64encode(packed_plotly()).decode("ascii"), source


def inline_script(source: str) -> tuple[Markup, str]:
    """A script in the form that HTML may contain, and its CSP source expression.

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
    context: Mapping[str, object],
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
        Embed plotly.js (0.5 MB compressed), or load it from a file that pages share.
    language
        Language of the page; templates and scripts are in English (:mod:`flowmrd.report.language`).
    data
        Element id to plain data, embedded as inert JSON; read it with ``flowmrd.data(id)``.
    blobs
        Element id to bytes, embedded compressed; read them with ``await flowmrd.unpack(id)``.
    """
    shared = isinstance(plotly, SharedScript)
    drawing = [shared_loader(plotly)] if isinstance(plotly, SharedScript) else [embedded_loader()] if plotly else []
    sources = [read_asset("page.js"), *drawing, *scripts]
    prepared = [inline_script(source) for source in sources]
    allowed, packed = [source for _, source in prepared], {}
    if plotly and not shared:
        packed[EMBEDDED], source = _embedded_plotly()
        allowed.append(source)
    page = (env or shared_environment()).get_template(template)
    words = language.words(said for source in (read_asset("page.js"), *scripts) for said in _SAID.findall(source))
    data = dict(data or {}) | ({"words": words} if words else {})
    made = page.render(
        {
            **context,
            "lang": language.code,
            "csp": content_security_policy(allowed, loads=shared),
            "styles": Markup("\n".join([read_asset("page.css"), *styles])),  # noqa: S704 - shipped files
            "scripts": [text for text, _ in prepared],
            "json_blocks": {name: embed_json(value) for name, value in data.items()},
            "byte_blocks": {name: embed_bytes(value) for name, value in (blobs or {}).items()} | packed,
        }
    )
    return language.page(made)


_SAID: Final = re.compile(r'flowmrd\.say\(\s*"((?:[^"\\]|\\.)*)"')
"""Pattern of a sentence in a script that is shown to readers."""


def write_page(path: Path, html: str) -> None:
    """Write a rendered page atomically."""
    write_text(path, html)
