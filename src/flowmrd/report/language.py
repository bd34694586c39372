"""Pages in other languages than English: every text of a page goes through :meth:`Language.text`.

Pages are made in English. A catalogue (``languages/<code>.po``, GNU gettext) gives the translation of each English
sentence. Placeholders stand for text that differs from tube to tube: ``{name}`` in the English sentence for any text,
``{name:n}`` for a number. The translation says how the text is treated:

``{events}``
    kept; decimals and per cent signs are written in the style of the language;
``{why:t}``
    words of flowmrd's own, which are translated too;
``{sample:id}``
    kept exactly as it is.

The English sentence is the key, so a sentence without an entry stays English. Names, codes, comments and commands are
never looked up (``<bdi class="outside">``, ``<code>``). Messages that were stored with a result are translated by the
same patterns as those of the registry (:mod:`flowmrd.flags`).
"""

from __future__ import annotations

import gettext
import html
import io
import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from string import Formatter
from typing import Final

from flowmrd.errors import InternalError
from flowmrd.report import formatting

__all__ = ["ENGLISH", "LANGUAGES", "Language", "language", "message_id", "read_catalogue"]

FOLDER: Final = Path(__file__).resolve().parent / "languages"
LANGUAGES: Final = {"en": "English", "de": "Deutsch", "zh": "中文"}
"""Code of every language of the report (as in ``<html lang>``) to its own name."""
FEW_LETTERS: Final = 8
"""An entry with fewer letters of its own fits nearly every text, so it is used only where its parts have entries too.
"""
_SENTENCES: Final = r"(?<=[.?!]) (?=[A-Z0-9])"
DEPTH: Final = 6
"""Sentences within sentences that are looked up."""

_PLACE: Final = re.compile(r"\{(\w+)(?::(n|t|id))?\}")
_NUMBER: Final = r"[−+±<>≥≤~-]?\s?\d[\d\s.,%×⁰¹²³⁴⁵⁶⁷⁸⁹⁻()−+-]*"
_WORDS: Final = re.compile(r"[a-zà-ÿ]{3,}")
"""A text without such letters is the name of a channel, a code or a number, and needs no entry in a catalogue."""
_NUMBER_ONLY: Final = re.compile(r"[\s\d.,%×<>≥≤±+()⁰¹²³⁴⁵⁶⁷⁸⁹⁻–/−-]+")
_DECIMAL: Final = re.compile(r"(?<![\w.,])(\d+)\.(\d+)(?![\w.])")
_PERCENT: Final = re.compile(r"(?<=\d)[ \u202f\u00a0]%")


def message_id(sentence: str) -> str:
    """A ``str.format`` template as a catalogue writes it: ``{events:,}`` becomes ``{events}``."""
    return "".join(text + ("" if name is None else f"{{{name}}}") for text, name, _, _ in Formatter().parse(sentence))


@dataclass(frozen=True)
class Sentence:
    """One entry with placeholders: the pattern of the English sentence, and its translation."""

    pattern: re.Pattern[str]
    kinds: Mapping[str, str]
    said: str
    letters: int


@dataclass(frozen=True)
class Found:
    """A text in another language, and what of it had no entry."""

    said: str
    lacking: tuple[str, ...] = ()


def _sentence(english: str, said: str) -> Sentence:
    kinds = {place.group(1): place.group(2) or "" for place in _PLACE.finditer(said)}
    seen: set[str] = set()
    parts: list[str] = []
    letters = at = 0
    for place in _PLACE.finditer(english):
        fixed = formatting.readable(english[at : place.start()])
        name, inside = place.group(1), _NUMBER if place.group(2) == "n" else ".+?"
        parts.append(re.escape(fixed))
        parts.append(f"(?P={name})" if name in seen else f"(?P<{name}>{inside})")
        seen.add(name)
        letters += sum(c.isalpha() for c in fixed)
        at = place.end()
    fixed = formatting.readable(english[at:])
    pattern = re.compile("".join(parts) + re.escape(fixed), re.DOTALL)
    return Sentence(pattern, kinds, _PLACE.sub(r"{\1}", said), letters + sum(c.isalpha() for c in fixed))


@dataclass
class Language:
    """One language of the report.

    Attributes
    ----------
    catalogue
        English sentence to its translation; empty for English.
    missing
        Texts with words that had no entry, in the order in which they came; a test lists them.
    """

    code: str
    catalogue: Mapping[str, str]
    missing: dict[str, None] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Sort the entries with placeholders: most letters of their own first, so that the closest one is used."""
        placed = [_sentence(key, said) for key, said in self.catalogue.items() if _PLACE.search(key)]
        self._sentences = sorted(placed, key=lambda one: -one.letters)
        self._exact = {formatting.readable(key): said for key, said in self.catalogue.items() if not _PLACE.search(key)}
        self._found: dict[str, Found | None] = {}

    def text(self, english: str) -> str:
        """A text in this language, with the white space around it; the English text where there is no entry."""
        if self.code == "en":
            return english
        inner = " ".join(english.split())
        if not inner:
            return english
        found = self._look_up(inner, DEPTH)
        if found is None:
            self._miss(inner)
            return english if _WORDS.search(inner) else self.number(english)
        for value in found.lacking:
            self._miss(value)
        before = english[: len(english) - len(english.lstrip())]
        return before + found.said + english[len(english.rstrip()) :]

    def number(self, text: str) -> str:
        """A text with its numbers in the style of this language."""
        if self.code == "de":
            return _DECIMAL.sub(r"\1,\2", text)
        return _PERCENT.sub("%", text) if self.code == "zh" else text

    def _look_up(self, inner: str, depth: int) -> Found | None:
        if inner not in self._found:
            self._found[inner] = None  # a sentence within itself
            found = self._search(inner, depth)
            if found is None and depth < DEPTH:
                del self._found[inner]  # it may have an entry that lay too deep here
                return None
            self._found[inner] = found
        return self._found[inner]

    def _search(self, inner: str, depth: int) -> Found | None:
        if _NUMBER_ONLY.fullmatch(inner):
            return Found(self.number(inner))
        if (said := self._exact.get(inner)) is not None:
            return Found(said)
        if depth == 0:
            return None
        for rule, between in ((_SENTENCES, " "), ("; ", "; "), (", ", ", ")):
            # Before entries with places, which could reach over the end of a sentence.
            if (row := self._row(re.split(rule, inner), between, depth)) is not None:
                return row
        partly: Found | None = None
        for one in self._sentences:
            matched = one.pattern.fullmatch(inner)
            if matched is None or (found := self._filled(one, matched.groupdict(), depth)) is None:
                continue
            if not found.lacking:
                return found
            partly = partly or found
        return partly or self._beginning(inner) or self._capital(inner, depth)

    def _capital(self, inner: str, depth: int) -> Found | None:
        """A question that goes on after a colon, by its entry with a capital."""
        if not (inner[:1].islower() and inner.endswith("?")):
            return None
        return self._look_up(inner[:1].upper() + inner[1:], depth - 1)

    def _row(self, parts: Sequence[str], between: str, depth: int) -> Found | None:
        """Several texts with what stands between them; None for a single one, or where one is not known in full."""
        said = []
        for part in parts if len(parts) > 1 else ():
            found = self._look_up(part, depth - 1)
            if found is None or found.lacking:
                return None
            said.append(found.said)
        return Found(between.join(said)) if said else None

    def _beginning(self, inner: str) -> Found | None:
        """Translation of a text that was cut for paper, where the page has the full text before it."""
        if not inner.endswith("…"):
            return None
        for whole, found in self._found.items():
            if found is not None and whole.startswith(inner[:-1]) and whole != inner:
                cut = found.said[: round(len(found.said) * len(inner) / len(whole))]
                return Found(re.sub(r"[\s\d.,]+$", "", cut) + "…")  # no number is cut in two
        return None

    def _filled(self, one: Sentence, values: Mapping[str, str], depth: int) -> Found | None:
        """A sentence with its values; None where one that fits nearly every text holds a part without entry."""
        few = one.letters < FEW_LETTERS
        within = {name: self._look_up(values[name], depth - 1) for name, kind in one.kinds.items() if kind == "t"}
        lacking = [values[name] for name, found in within.items() if found is None and _WORDS.search(values[name])]
        lacking += [value for found in within.values() if found is not None for value in found.lacking]
        kept = [values[name] for name, kind in one.kinds.items() if kind == "" or (kind == "id" and few)]
        lacking += [value for value in kept if _is_speech(value)]
        if lacking and few:
            return None
        filled = {
            name: found.said
            if (found := within.get(name)) is not None
            else value
            if one.kinds.get(name) == "id"
            else self.number(value)
            for name, value in values.items()
        }
        return Found(one.said.format(**filled), tuple(lacking))

    def _miss(self, text: str) -> None:
        if _WORDS.search(text):
            self.missing[text] = None

    def page(self, source: str) -> str:
        """A page, or a part of one, in this language.

        Texts between tags and attributes that are shown or read aloud are looked up. Scripts, styles, data, text from
        outside and text that users type exactly (commands, codes) are left alone. In every language, English too, no
        line breaks inside a level.
        """
        if self.code == "en":
            return _levels_on_one_line(source)
        self._found.clear()  # what a page says depends on no page before it
        return _levels_on_one_line(_Translation(self).of(source))

    def words(self, english: Iterable[str]) -> dict[str, str]:
        """Entries for a page's scripts: the translations of those of these sentences that have one."""
        return {key: said for key in english if (said := self.catalogue.get(key)) is not None}


class _Translation:
    """Goes through the tags of one page."""

    _PIECES: Final = re.compile(r"(<!--.*?-->|<(?:script|style)\b.*?</(?:script|style)>|<[^>]*>)", re.DOTALL)
    _TAG: Final = re.compile(r"<(/?)(bdi|code|textarea|time)\b([^>]*)>")
    _SHOWN: Final = re.compile(r'\b(aria-label|title|placeholder|label|data-of)="([^"]*)"')

    def __init__(self, language: Language) -> None:
        self.language = language
        self.open: list[tuple[str, bool]] = []

    def of(self, source: str) -> str:
        pieces = self._PIECES.split(source)
        return "".join(self._markup(piece) if at % 2 else self._words(piece) for at, piece in enumerate(pieces))

    def _words(self, text: str) -> str:
        if not text.strip() or any(skipped for _, skipped in self.open):
            return text
        plain = html.unescape(text)
        said = self.language.text(plain)
        return text if said == plain else html.escape(said, quote=False)

    def _markup(self, piece: str) -> str:
        if piece.startswith(("<!--", "<script", "<style")):
            return piece
        tag = self._TAG.match(piece)
        if tag is not None:
            closes, name, attributes = tag.groups()
            if closes:
                while self.open and self.open.pop()[0] != name:
                    pass
            else:
                from_outside = "outside" in attributes and "ours" not in attributes
                self.open.append((name, name != "bdi" or from_outside))
        return self._SHOWN.sub(self._attribute, piece)

    def _attribute(self, found: re.Match[str]) -> str:
        said = self.language.text(html.unescape(found.group(2)))
        return f'{found.group(1)}="{html.escape(said)}"'


_INSIDE_A_LEVEL: Final = re.compile(r"(?<=\d) (?=%)|(?<=\d) (?=× ?10)|(?<=×) (?=10)|(?<=&lt;) (?=\d)")


def _levels_on_one_line(source: str) -> str:
    """The page with no-break spaces in ``&lt; 0.0083 %`` and ``8.3 × 10⁻⁵``; scripts and data are left alone."""
    parts = source.split("</script>")
    shown = (part.partition("<script") for part in parts)
    return "</script>".join(_INSIDE_A_LEVEL.sub("\u00a0", text) + tag + inside for text, tag, inside in shown)


def _is_speech(text: str) -> bool:
    """Whether a text holds several words: then it is no name, and wants an entry of its own."""
    return len(_WORDS.findall(text)) > 1


ENGLISH: Final = Language("en", {})


@lru_cache(maxsize=8)
def language(code: str) -> Language:
    """The language of a code.

    Raises
    ------
    InternalError
        If there is none.
    """
    if code == "en":
        return ENGLISH
    if code not in LANGUAGES:
        raise InternalError(f"no language {code!r}; there are {', '.join(LANGUAGES)}")
    return Language(code, read_catalogue(FOLDER / f"{code}.po"))


def read_catalogue(path: Path) -> dict[str, str]:
    """English sentence to translation of a ``.po`` file, through the machine form that :mod:`gettext` reads.

    Raises
    ------
    InternalError
        If the file is not a catalogue, or a translation has placeholders that its sentence lacks.
    """
    entries = _parse(path.read_text(encoding="utf-8"), path)
    catalogue = gettext.GNUTranslations(io.BytesIO(_machine_form(entries)))
    found = {key: catalogue.gettext(key) for key in entries if key and entries[key]}
    for key, said in found.items():
        if {p.group(1) for p in _PLACE.finditer(key)} < {p.group(1) for p in _PLACE.finditer(said)}:
            raise InternalError(f"{path.name}: the translation of {key[:60]!r} has places that the sentence lacks")
    return found


def _parse(text: str, path: Path) -> dict[str, str]:
    """msgid to msgstr; comments are skipped, strings may go over several lines."""
    entries: dict[str, str] = {}
    current: dict[str, str] = {}
    part = ""
    for number, line in enumerate([*text.splitlines(), "msgid"], 1):
        word, _, rest = line.strip().partition(" ")
        if word == "msgid" and current.get("msgstr") is not None:
            entries[current["msgid"]] = current["msgstr"]
            current = {}
        if word in {"msgid", "msgstr"}:
            part, current[word] = word, ""
            word = rest.strip()
        if word.startswith('"') or line.strip().startswith('"'):
            quoted = rest.strip() if line.strip().startswith("msg") else line.strip()
            if part == "" or not quoted.endswith('"'):
                raise InternalError(f"{path.name}, line {number}: a string that is not closed, or before any msgid")
            current[part] += re.sub(r"\\(.)", lambda m: {"n": "\n", "t": "\t"}.get(m[1], m[1]), quoted[1:-1])
    return entries


def _machine_form(entries: Mapping[str, str]) -> bytes:
    """A ``.mo`` file in memory (GNU gettext manual, "The Format of GNU MO Files"): sorted keys, no hash table."""
    pairs = sorted((key.encode(), said.encode()) for key, said in entries.items())
    n = len(pairs)
    start = 28 + 16 * n
    tables: list[list[int]] = [[], []]
    blob = b""
    for side in (0, 1):
        for pair in pairs:
            tables[side] += [len(pair[side]), start + len(blob)]
            blob += pair[side] + b"\0"
    return struct.pack(f"<7I{4 * n}I", 0x950412DE, 0, n, 28, 28 + 8 * n, 0, start, *tables[0], *tables[1]) + blob
