"""Text of a PDF as Chromium writes it: every string in every font's own table, so that a search finds it."""

from __future__ import annotations

import re
import zlib


def pdf_text(data: bytes) -> str:
    """All strings of a PDF, each decoded by each font's ToUnicode table; good enough to look for words in."""
    streams = []
    for found in re.finditer(rb"stream\r?\n(.*?)\r?\nendstream", data, re.DOTALL):
        try:
            streams.append(zlib.decompress(found.group(1)).decode("latin-1"))
        except zlib.error:
            continue
    tables = [table for stream in streams if "beginbf" in stream and (table := _table(stream))]
    texts = []
    for stream in streams:
        if "beginbf" in stream:
            continue
        for block in re.findall(r"BT(.*?)ET", stream, re.DOTALL):
            glyphs = "".join(re.findall(r"<([0-9A-Fa-f]+)>", block))
            codes = [int(glyphs[i : i + 4], 16) for i in range(0, len(glyphs) - 3, 4)]
            texts += ["".join(table.get(code, "") for code in codes) for table in tables]
    return "\n".join(texts)


def _table(stream: str) -> dict[int, str]:
    table: dict[int, str] = {}
    for block in re.findall(r"beginbfchar(.*?)endbfchar", stream, re.DOTALL):
        for code, text in re.findall(r"<([0-9A-Fa-f]+)>\s*<([0-9A-Fa-f]+)>", block):
            table[int(code, 16)] = bytes.fromhex(text).decode("utf-16-be", "replace")
    for block in re.findall(r"beginbfrange(.*?)endbfrange", stream, re.DOTALL):
        for low, high, text in re.findall(r"<([0-9A-Fa-f]+)>\s*<([0-9A-Fa-f]+)>\s*<([0-9A-Fa-f]+)>", block):
            for step, code in enumerate(range(int(low, 16), int(high, 16) + 1)):
                table[code] = chr(int(text, 16) + step)
    return table
