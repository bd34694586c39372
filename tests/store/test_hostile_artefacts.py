"""Files that look like ours and are not: nothing in them runs, and none takes more memory than its own size."""

from __future__ import annotations

import io
import json
import resource
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from flowmrd.classifier.storage import load_arrays
from flowmrd.errors import ArtefactError
from flowmrd.store import digest_file, read_arrays, read_json


class Exploit:
    """Leaves a trace if it is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return Path.touch, (Path("unpickled"),)  # type: ignore[return-value]


def npy(header: str, data: bytes = b"") -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


def archive(path: Path, content: bytes, compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr("values.npy", content)
    return path


def compressed(path: Path) -> Path:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(50_000_000))
    return archive(path, buffer.getvalue(), zipfile.ZIP_DEFLATED)


def pickled(path: Path) -> Path:
    buffer = io.BytesIO()
    np.save(buffer, np.array([Exploit()], dtype=object), allow_pickle=True)
    return archive(path, buffer.getvalue())


def promising(shape: str, dtype: str = "<f8") -> Callable[[Path], Path]:
    header = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}, }}"
    return lambda path: archive(path, npy(header, b"\0" * 8))


def lying_about_its_size(path: Path) -> Path:
    """The directory of the zip file promises a terabyte."""
    archive(path, npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }", b"\0" * 8))
    data = bytearray(path.read_bytes())
    entry = data.rindex(b"PK\x01\x02")
    data[entry + 20 : entry + 28] = (2**32 - 2).to_bytes(4, "little") * 2
    path.write_bytes(bytes(data))
    return path


def code_in_header(path: Path) -> Path:
    return archive(path, npy("__import__('pathlib').Path('unpickled').touch()"))


def header(text: str) -> Callable[[Path], Path]:
    return lambda path: archive(path, npy(text, b"\0" * 8))


def nothing(path: Path) -> Path:
    path.write_bytes(b"")
    return path


@pytest.mark.parametrize(
    "make",
    [
        compressed,
        pickled,
        promising("(1000000000000,)"),
        promising("(-1,)"),
        promising("(99999999999999999999,)"),
        promising("(1,)", "<U100000000"),
        promising("(1,)", "|O"),
        promising("(1,)", "<M8[s]"),
        lying_about_its_size,
        code_in_header,
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (1,"),
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), \n   'a':\n  1"),
        header("{'descr': '<f8',, 'shape': (1,), }"),
        nothing,
    ],
)
def test_a_file_that_is_not_plain_arrays_is_refused_before_it_takes_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], Path]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = make(tmp_path / "arrays.npz")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ArtefactError, match="not plain arrays"):
        read_arrays(path)
    with pytest.raises(ArtefactError):
        load_arrays(path, digest_file(path))
    assert not Path("unpickled").exists()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


def test_our_own_arrays_are_read(tmp_path: Path) -> None:
    arrays = {
        "floats": np.arange(6.0).reshape(2, 3),
        "flags": np.array([True, False]),
        "codes": np.array([1, 2], dtype=np.int16),
        "none": np.zeros((0, 4), dtype=np.float32),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "scalar": np.array(3.0),
    }
    np.savez(tmp_path / "arrays.npz", **arrays)  # type: ignore[arg-type]
    found = read_arrays(tmp_path / "arrays.npz")
    assert {name: (value.dtype, value.tolist()) for name, value in found.items()} == {
        name: (value.dtype, value.tolist()) for name, value in arrays.items()
    }


@pytest.mark.parametrize(
    "text",
    ['{"limit": NaN}', '{"limit": -Infinity}', '{"limit": 1e999}', "[" * 100_000, "", "\udc80", "9" * 10_000, "{"],
)
def test_json_that_is_none_or_holds_what_slips_through_comparisons_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "reference.json"
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(ArtefactError, match=r"reference\.json"):
        read_json(path)


def test_json_too_large_to_be_ours_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "reference.json"
    with path.open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(ArtefactError, match="1000000000000 bytes"):
        read_json(path)


def test_json_is_read_as_it_is(tmp_path: Path) -> None:
    value = {"a": [1, 2.5, -1e-300, True, None, "é"], "b": {}}
    path = tmp_path / "x.json"
    path.write_text(json.dumps(value))
    assert read_json(path) == value
