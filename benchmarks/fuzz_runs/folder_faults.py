"""Faults of files and folders of a run directory: another tube under a name, odd kinds of file, odd names."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.fuzz_runs.written_tube import Rng, Tube

SPARE: Final = "spare"
"""Folder of a sound run directory with tubes that its sheet does not name."""
Change = Callable[[Path, str, Rng], Any]
"""What is done to a run directory; the text is the tube that gets the fault."""


def fcs(run: Path, name: str) -> Path:
    """FCS file of a tube."""
    return run / "fcs" / f"{name}.fcs"


def _copy_of(other: str, *, spare: bool = False, change: Callable[[Tube], Any] | None = None) -> Change:
    def do(run: Path, name: str, rng: Rng) -> None:
        source = (run / SPARE if spare else run / "fcs") / f"{other}.fcs"
        if change is None:
            shutil.copyfile(source, fcs(run, name))
        else:
            tube = Tube.read(source)
            change(tube)
            tube.write(fcs(run, name))

    return do


def _two_in_one(first: int | None) -> Change:
    """A file with the tube and a second one of the same, or of another, number of events."""

    def do(run: Path, name: str, rng: Rng) -> None:
        path = fcs(run, name)
        tube, other = Tube.read(path), Tube.read(run / SPARE / "P04-day21.fcs")
        n = min(tube.n, other.n) if first is None else first
        tube.keep(slice(0, n))
        other.keep(slice(0, n if first is None else other.n))
        tube.write(path)
        one = path.read_bytes()
        other.write(path)
        path.write_bytes(joined(one, path.read_bytes()))

    return do


def joined(first: bytes, second: bytes) -> bytes:
    """Two data sets in one file; the first must say ``$NEXTDATA 0``."""
    before = b"$NEXTDATA\x0c0\x0c"
    # a number of the same length keeps every offset of the first data set
    room = len(str(len(first))) - 1
    grown = first.replace(before, b"$NEXTDATA\x0c" + str(len(first) + room).encode() + b"\x0c", 1)
    shift = len(grown) - len(first)
    numbers = [int(grown[10 + 8 * i : 18 + 8 * i]) for i in range(6)]
    numbers[1:4] = [number + shift for number in numbers[1:4]]
    for keyword, number in zip((b"$BEGINDATA", b"$ENDDATA"), numbers[2:4], strict=True):
        old = re.search(keyword + rb"\x0c\s*(\d+)\s*\x0c", grown)
        if old is not None:
            new = str(number).encode().rjust(len(old[1]))
            grown = grown[: old.start(1)] + new + grown[old.end(1) :]
    return grown[:10] + b"".join(b"%8d" % number for number in numbers) + grown[58:] + second


def _bytes(make: Callable[[bytes], bytes]) -> Change:
    def do(run: Path, name: str, rng: Rng) -> None:
        path = fcs(run, name)
        path.write_bytes(make(path.read_bytes()))

    return do


def _zipped(run: Path, name: str, rng: Rng) -> None:
    path = fcs(run, name)
    data = path.read_bytes()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.fcs", data)


def _put(make: Callable[[Path], Any]) -> Change:
    """Something else in the place of the file."""

    def do(run: Path, name: str, rng: Rng) -> None:
        path = fcs(run, name)
        path.unlink()
        make(path)

    return do


def _named(new: str) -> Change:
    """The sound file under another name, which the sheet gives."""

    def do(run: Path, name: str, rng: Rng) -> None:
        path = run / "fcs" / new
        path.parent.mkdir(parents=True, exist_ok=True)
        fcs(run, name).rename(path)
        sheet = run / "config/samples.tsv"
        sheet.write_text(sheet.read_text(encoding="utf-8").replace(f"../fcs/{name}.fcs", f"../fcs/{new}"), "utf-8")

    return do


def _configured(name: str, make: Callable[[Path], Any]) -> Change:
    """Something odd in the place of a file of the configuration folder."""

    def do(run: Path, _tube: str, rng: Rng) -> None:
        path = run / "config" / name
        if path.is_file():
            path.unlink()
        make(path)

    return do


def _key(line: str, make: Callable[[Path], Any] | None = None) -> Change:
    """A key that names a path; ``make`` puts something there (``odd``)."""

    def do(run: Path, name: str, rng: Rng) -> None:
        config = run / "config/config.yaml"
        key = line.split(":", 1)[0]
        kept = [one for one in config.read_text(encoding="utf-8").splitlines() if not one.startswith(f"{key}:")]
        config.write_text("\n".join([*kept, line.replace("TUBE", name)]) + "\n", encoding="utf-8")
        if make is not None:
            make(run / "odd")

    return do


def _override(text: str, suffix: str = "yaml") -> Change:
    def do(run: Path, name: str, rng: Rng) -> None:
        path = run / "config/overrides" / f"{name}.{suffix}"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")

    return do


def circle(path: Path) -> None:
    """A link that leads to itself by way of another."""
    other = path.with_name(f"{path.name}.other")
    path.symlink_to(other.name)
    other.symlink_to(path.name)


OBJECTS: Final[dict[str, Callable[[Path], Any]]] = {
    "a folder": lambda path: path.mkdir(),
    "a link in a circle": circle,
    "a link to nothing": lambda path: path.symlink_to("nothing-there"),
    "a pipe": os.mkfifo,
    "an empty file": lambda path: path.touch(),
    "noise": lambda path: path.write_bytes(np.random.default_rng(1).bytes(500)),
    "an FCS header": lambda path: path.write_bytes(b"FCS3.1          58     900     901    9000       0       0"),
    "a text": lambda path: path.write_text("hello\nworld\n", encoding="utf-8"),
}
PATH_KEYS: Final = {
    "panel": "panel: odd",
    "samples": "samples: odd",
    "patients": "patients: odd",
    "reference": "reference: odd",
    "reference.path": "reference: {path: odd}",
    "laip.library": "laip: {library: odd}",
    "review.decisions": "review: {decisions: odd}",
    "report.control_limits": "report: {control_limits: odd}",
    "compensation.csv": "compensation: {source: csv, csv: {default: ../odd}}",
    "compensation.tubes": "compensation: {tubes: {TUBE: ../odd}}",
}
NAMES: Final = {
    "blanks": "a b  c.fcs",
    "quotes": 'it\'s "so".fcs',
    "a dollar": "$HOME $(id) `id`.fcs",
    "braces": "{sample} {{x}}.fcs",
    "an umlaut": "Kn\u00f6chelmark \u9aa8\u9ad3.fcs",
    "a percent sign": "100 %s %d.fcs",
    "markup": "<b>[red]x[/red]</b> & y.fcs",
    "points": "../fcs/./a..b.fcs",
    "a dash": "-rf.fcs",
    "no ending": "tube",
    "250 letters": "x" * 250,
}
TEXTS_FOR_PATHS: Final = {
    "a folder that is not there": "no/such/place",
    "a URL": "https://example.org/x",
    "a home": "~/x",
    "a very long name": "y" * 300,
    "a null character": "a\\0b",
    "a newline": "a\\nb",
    "a Windows path": "C:\\\\data\\\\x",
    "a blank": " ",
    "points alone": "..",
    "a device": "/dev/null",
}
OTHER_TUBES: Final[dict[str, Change]] = {
    "another panel's tube": _copy_of("vienna", spare=True),
    "a tube of somebody else": _copy_of("P04-day21", spare=True),
    "a copy of a control": _copy_of("CTRL01"),
    "a copy of a control without its first and last events": _copy_of(
        "CTRL01", change=lambda tube: tube.keep(slice(3, -3))
    ),
    "a copy of a control with half of its events": _copy_of("CTRL01", change=lambda tube: tube.keep(slice(0, None, 2))),
    "a copy of the diagnosis tube": _copy_of("P01-dx"),
    "a second tube of as many events in the file": _two_in_one(None),
    "a second tube of other size in the file": _two_in_one(3_000),
    "packed by gzip": _bytes(gzip.compress),
    "packed by zip": _zipped,
    "a page of a web server": _bytes(lambda data: b"<!DOCTYPE html><html><body>404</body></html>"),
    "line ends changed": _bytes(lambda data: data.replace(b"\n", b"\r\n")),
    "a byte in front": _bytes(lambda data: b" " + data),
    "zeros in its second half": _bytes(lambda data: data[: len(data) // 2] + bytes(len(data) - len(data) // 2)),
    "zeros alone": _bytes(lambda data: bytes(len(data))),
    "twice as long by zeros": _bytes(lambda data: data + bytes(len(data))),
    "followed by itself": _bytes(lambda data: data + data),
}


def _all_folders() -> dict[str, Change]:
    found = dict(OTHER_TUBES)
    for what, make in OBJECTS.items():
        found[f"{what} in place of the file"] = _put(make)
        found[f"{what} as sheet"] = _configured("samples.tsv", make)
        found[f"{what} as configuration"] = _configured("config.yaml", make)
        for key, line in PATH_KEYS.items():
            found[f"{key}: {what}"] = _key(line, make)
    for what, text in TEXTS_FOR_PATHS.items():
        for key, line in PATH_KEYS.items():
            found[f"{key}: {what}"] = _key(line.replace("../odd", "odd").replace("odd", f'"{text}"'))
    for what, new in NAMES.items():
        found[f"a file name with {what}"] = _named(new)
    found["an override of words"] = _override("hello")
    found["an override that is empty"] = _override("")
    found["an override of an unknown gate"] = _override("gates: {cd99_pos: {threshold: 0.4}}\n")
    found["an override with a text for a number"] = _override("gates: {cd19_pos: {threshold: high}}\n")
    found["an override far off the scale"] = _override("gates: {cd19_pos: {threshold: 19}}\n")
    found["an override of words, XML"] = _override("<a/>", "xml")
    return found


FOLDERS: Final = _all_folders()
