"""Reading YAML from an untrusted source: plain data only, limited size, no key twice.

In addition to YAML's safe loading, this refuses keys given twice (YAML would silently take the last one), aliases (a
few lines can expand to a billion values), deep nesting and large files.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from flowmrd.config.path_text import obstacle
from flowmrd.errors import InputError

MAX_BYTES: Final = 1_000_000
MAX_DEPTH: Final = 40
_Loader: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The same rules, ten times as fast where libyaml is there."""


@dataclass(frozen=True)
class YamlFile:
    """Content of a YAML file and the line number of each part."""

    data: Any
    tree: yaml.Node | None

    def line(self, location: tuple[int | str, ...]) -> int:
        """Line number of the deepest part of ``location`` (keys and list positions) that exists in the file."""
        line, node = 1, self.tree
        for piece in location:
            if isinstance(node, yaml.MappingNode):
                match = [(key, value) for key, value in node.value if key.value == str(piece)]
                if not match:
                    continue
                line, node = match[0][0].start_mark.line + 1, match[0][1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(piece, int) and piece < len(node.value):
                node = node.value[piece]
                line = node.start_mark.line + 1
        return line


def read_yaml(path: Path, kind: type[InputError], *, expected: str, if_missing: str) -> YamlFile:
    """Read a YAML file.

    Parameters
    ----------
    kind
        Class of the error to raise.
    expected
        What the file should hold, for the message.
    if_missing
        What to do where there is no such file, for the message.

    Raises
    ------
    InputError
        Of the given kind: missing, too large, not UTF-8, not YAML, nested too deeply, with aliases or with a key
        given twice.
    """

    def refuse(found: str, todo: str) -> InputError:
        return kind(str(path), found=found, expected=expected, todo=todo)

    if found := obstacle(path):
        raise refuse(found, "make the file readable" if "permission" in found else if_missing)
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise refuse(f"more than {MAX_BYTES} bytes", "check that this is the right file")
        text = raw.decode("utf-8-sig")
        if problem := _suspicious(text):
            raise refuse(*problem)
        tree = yaml.compose(text, Loader=_Loader)
        if twice := _keys_given_twice(tree):
            raise refuse("; ".join(twice), "keep one of them; flowmrd cannot know which one is meant")
        data = None if tree is None else _Loader("").construct_document(tree)
    except UnicodeDecodeError as error:
        raise refuse("bytes that are not UTF-8 text", "save the file as UTF-8") from error
    except (yaml.YAMLError, ValueError, TypeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" near line {mark.line + 1}" if mark is not None else ""
        raise refuse(
            f"text that is not plain YAML{line}", "check indentation, quotes and special characters there"
        ) from error
    return YamlFile(data, tree)


def _suspicious(text: str) -> tuple[str, str] | None:
    """What is found and what to do, for aliases and deep nesting; read piece by piece, so that it costs little."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            return f"an alias (*{event.anchor}) on line {_line_of(event)}", "write its content out"
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                return f"more than {MAX_DEPTH} levels on line {_line_of(event)}", "correct the brackets there"
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return None


def _line_of(event: yaml.Event) -> int:
    return 1 if event.start_mark is None else event.start_mark.line + 1


def _keys_given_twice(tree: yaml.Node | None) -> list[str]:
    found = []
    pending = [] if tree is None else [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, yaml.MappingNode):
            lines: dict[tuple[str, str], int] = {}
            for key, value in node.value:
                pending.append(value)
                if not isinstance(key, yaml.ScalarNode):
                    continue
                line, name = key.start_mark.line + 1, (key.tag, key.value)
                if name in lines:
                    found.append(f"the key {key.value[:40]!r} twice (lines {lines[name]} and {line})")
                lines[name] = line
        elif isinstance(node, yaml.SequenceNode):
            pending.extend(node.value)
    return sorted(found)
