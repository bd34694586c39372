"""TEXT segments."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowmrd.fcs.text import find_standard, parse_text


@pytest.mark.parametrize(
    ("segment", "keywords"),
    [
        (b"/A/1/B/2/", {"A": "1", "B": "2"}),
        (b"/A/1//2/B/2/", {"A": "1/2", "B": "2"}),
        (b"/A//B/2/", {"A": "", "B": "2"}),
        (b"/A/1///B/2/", {"A": "1/", "B": "2"}),
        (b"/A///1/B/2/", {"A": "/1", "B": "2"}),
        (b"/A////B/2/", {"A": "/", "B": "2"}),
        (b"/A/1/B/2", {"A": "1", "B": "2"}),
        (b"/A/1/B//", {"A": "1", "B": ""}),
        (b"/ a / 1 /b/2/\x00\x00  ", {"A": "1", "B": "2"}),
        (b"//A/1/B/2/", {"A": "1", "B": "2"}),
        (b"|A|/1|B|\xb5|", {"A": "/1", "B": "µ"}),
        ("|A|µ|B|x|".encode(), {"A": "µ", "B": "x"}),
        (b"/$A/1//$B/2/", {"$A": "1", "$B": "2"}),
        (b"/$A///$B/2/", {"$A": "", "$B": "2"}),
        (b"/A/1/B/2/////", {"A": "1", "B": "2"}),
        (b"\\$FIL\\a\\A\\1\\", {"$FIL": "a", "A": "1"}),
    ],
)
def test_delimiters_are_read_by_where_they_stand(segment: bytes, keywords: dict[str, str]) -> None:
    assert parse_text(segment)[0] == keywords


@given(
    st.dictionaries(
        st.text(st.characters(codec="ascii", min_codepoint=48, max_codepoint=90), min_size=1, max_size=8),
        st.text(st.characters(codec="utf-8", min_codepoint=33, exclude_categories=["C", "Z"]), min_size=1, max_size=12),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from("/|\\\x0c!,"),
)
def test_text_written_by_the_standard_reads_back(pairs: dict[str, str], delimiter: str) -> None:
    clean = {key.replace(delimiter, "x"): value.strip(delimiter) or "v" for key, value in pairs.items()}
    body = delimiter.join(part.replace(delimiter, 2 * delimiter) for pair in clean.items() for part in pair)
    expected = {key.upper(): value for key, value in clean.items()}
    assert parse_text(f"{delimiter}{body}{delimiter}".encode())[0] == expected


@given(st.binary(min_size=1, max_size=200))
def test_any_bytes_parse_without_an_exception(segment: bytes) -> None:
    keywords, findings = parse_text(segment)
    assert all(key for key in keywords)
    assert findings == sorted(set(findings))


def test_standard_keywords_are_found_behind_an_unescaped_delimiter() -> None:
    segment = rb"\$FIL\C:\data\x.fcs\$PAR\2\$TOT\5\$tot\6\$P1B\32" + b"\\"
    assert find_standard(segment) == {"$PAR": "2", "$P1B": "32"}  # $TOT stands there twice with different values
