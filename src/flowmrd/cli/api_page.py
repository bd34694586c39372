"""``docs/api.md``: every public name of the package with its signature and its docstring."""

from __future__ import annotations

import inspect
import re
import textwrap
from enum import Enum
from typing import Any, Final

__all__ = ["api_page"]

LONGEST_SIGNATURE: Final = 700
"""A longer one, of a class with many fields, is left out."""


def api_page(note: str) -> str:
    """Markdown of the public names in the order of ``flowmrd.__all__``; ``note`` says where it comes from."""
    import flowmrd

    lines = [f"<!-- {note} -->", "# Python API", "", _text(inspect.getdoc(flowmrd) or ""), ""]
    for name in flowmrd.__all__:
        if name == "__version__":
            continue
        value = getattr(flowmrd, name)
        lines += [f"## `flowmrd.{name}`", "", f"Defined as `{value.__module__}.{value.__qualname__}`.", ""]
        lines += _signature(name, value)
        lines += [_text(_doc(value)), ""]
        if inspect.isclass(value) and not issubclass(value, BaseException):
            lines += _methods(value)
    return "\n".join(lines).rstrip() + "\n"


def _doc(value: Any) -> str:
    return inspect.getdoc(value) or ""


def _signature(name: str, value: Any) -> list[str]:
    if inspect.isclass(value) and issubclass(value, Enum):
        return [f"One of {', '.join(f'`{member.value}`' for member in value)}.", ""]
    try:
        text = str(inspect.signature(value))
    except (TypeError, ValueError):
        return []
    if len(text) > LONGEST_SIGNATURE:
        return []  # its attributes are described one by one
    return ["```python", *textwrap.wrap(f"{name}{_plain(text)}", 110, subsequent_indent="    "), "```", ""]


def _plain(signature: str) -> str:
    """A signature without the quotation marks of postponed annotations."""
    return re.sub(r"(: |-> )'([^']*)'", r"\1\2", signature.replace("<factory>", "..."))


def _methods(value: type) -> list[str]:
    """Public methods and properties that the class itself defines, in the order of the source."""
    lines: list[str] = []
    for name, member in vars(value).items():
        if name.startswith("_") or name == "model_config":
            continue
        function = member.fget if isinstance(member, property) else member
        if isinstance(function, classmethod):
            function = function.__func__
        if not inspect.isfunction(function) or function.__module__ != value.__module__ or not function.__doc__:
            continue
        shown = name if isinstance(member, property) else f"{name}{_plain(str(inspect.signature(function)))}"
        lines += [f"### `{value.__name__}.{shown}`", "", _text(inspect.cleandoc(function.__doc__)), ""]
    return lines


def _text(doc: str) -> str:
    """A docstring as Markdown: numpydoc sections become headings, roles and double backquotes code."""
    parts = re.split(r"^(\S[^\n]*)\n-{3,}\n", doc, flags=re.MULTILINE)
    doc = parts[0] + "".join(
        f"**{title}**\n\n{_shown(title, body)}\n" for title, body in zip(parts[1::2], parts[2::2], strict=True)
    )
    doc = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", doc)
    doc = re.sub(r"``([^`]+)``", r"`\1`", doc)
    return re.sub(r"::$", ":", doc, flags=re.MULTILINE).rstrip()


def _shown(title: str, body: str) -> str:
    """The body of a numpydoc section: examples as code, notes as text, anything else as a list."""
    if title == "Examples":
        return textwrap.indent(body.strip(), "    ") + "\n"
    return body.strip() + "\n" if title == "Notes" else _entries(body)


def _entries(body: str) -> str:
    """Entries of a section (a name, its text indented below) as a list."""
    lines: list[str] = []
    for line in body.rstrip().split("\n"):
        if line and not line.startswith(" "):
            lines.append(f"- `{line}`:")
        else:
            lines.append(f"  {line.strip()}" if line.strip() else "")
    return "\n".join(lines) + "\n"
