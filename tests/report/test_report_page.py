"""What every page promises, without a browser."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from unittest.mock import Mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import Environment, FileSystemLoader

from flowmrd.errors import InternalError
from flowmrd.report.compiled_templates import CompiledTemplates, kept_bytes
from flowmrd.report.page import embed_bytes, embed_json, environment, inline_script, render_page


class Scripts(HTMLParser):
    """Text of every script that a browser would run."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag == "script" and "type" not in dict(attrs)
        if self._inside:
            self.texts.append("")

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.texts[-1] += data

    def handle_endtag(self, tag: str) -> None:
        self._inside = False


def test_the_policy_names_exactly_the_scripts_of_the_page() -> None:
    html = render_page(
        "base.html.j2", {}, scripts=["const a = '<b>&amp;';\r\nconst b = 1;"], data={"x": {"a": "</script>"}}
    )
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)
    assert policy is not None
    rules = policy.group(1).replace("&#39;", "'")
    parser = Scripts()
    parser.feed(html)
    digests = {f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in parser.texts}
    assert set(re.findall(r"'sha256-[^']+'", rules)) == digests
    assert len(digests) == 2
    assert "unsafe-eval" not in rules
    assert "default-src 'none'" in rules
    assert re.search(r"script-src [^;]*unsafe-inline", rules) is None


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8))
@settings(max_examples=60, deadline=None)
def test_embedded_json_is_inert_and_comes_back_unchanged(value: object) -> None:
    text = str(embed_json(value))
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == value


def test_embedded_bytes_are_the_same_for_the_same_bytes() -> None:
    data = bytes(range(256)) * 50
    assert embed_bytes(data) == embed_bytes(data)
    assert gzip.decompress(base64.b64decode(embed_bytes(data))) == data


def test_a_script_that_could_end_its_element_is_refused() -> None:
    for source in ("x = '</script>'", "x = '</SCRIPT >'", "/* <!-- */"):
        with pytest.raises(InternalError):
            inline_script(source)


@given(st.text(max_size=60))
@settings(max_examples=60, deadline=None)
def test_text_from_files_never_becomes_markup(text: str) -> None:
    shown = environment().from_string("{{ text }}").render(text=text)
    assert "<" not in shown
    assert '"' not in shown


def test_an_undefined_name_is_an_error_and_not_an_empty_space(tmp_path: Path) -> None:
    (tmp_path / "x.html.j2").write_text("{{ missing }}")
    with pytest.raises(Exception, match="missing"):
        render_page("x.html.j2", {}, env=environment(tmp_path))


def test_a_kept_compiled_template_gives_the_same_page_and_one_of_another_source_is_not_used(tmp_path: Path) -> None:
    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / "t.j2").write_text("{{ 1 + 1 }}<")

    def rendered(settings: bytes) -> tuple[str, bool]:
        cache = CompiledTemplates(tmp_path / "kept", settings)
        env = Environment(loader=FileSystemLoader(folder), bytecode_cache=cache, autoescape=True)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "dont_write_bytecode", False)
            compiling = Mock(wraps=env.compile)
            patch.setattr(env, "compile", compiling)
            return env.get_template("t.j2").render(), compiling.called

    assert rendered(b"1") == ("2<", True)
    assert rendered(b"1") == ("2<", False)
    assert rendered(b"2") == ("2<", True)
    (folder / "t.j2").write_text("{{ 2 + 1 }}<")
    assert rendered(b"2") == ("3<", True)


def test_what_is_kept_beside_the_templates_is_made_again_where_its_source_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    made: list[bytes] = []

    def kept(source: bytes) -> bytes:
        def make() -> bytes:
            made.append(source)
            return source[::-1]

        return kept_bytes(tmp_path / "folder" / "x.gz", source, make)

    assert [kept(source) for source in (b"ab", b"ab", b"cd", b"ab")] == [b"ba", b"ba", b"dc", b"ba"]
    assert made == [b"ab", b"cd", b"ab"]
    (tmp_path / "folder" / "x.gz").write_bytes(b"cut off")
    assert kept(b"ab") == b"ba"
