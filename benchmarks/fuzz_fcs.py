"""Damage FCS files at random and see whether the reader ever returns a wrong value without saying so.

    python benchmarks/fuzz_fcs.py [--files 20000] [--seed 1] [--shared ../shared/data/fcs_corpus]

Every damaged file is read whole (TEXT, spillover, values, second reader) in a process of its own kind with 1 GB of
memory, and must end within 5 s. Outcomes:

refused
    A clear error.
right
    Exactly the values that the DATA bytes of the damaged file hold under the undamaged description.
other description
    Other values, where the damage hit a byte that describes DATA (``$PnB``, ``$PnR``, ``$BYTEORD``, ``$TOT`` ...): the
    file now says something else, consistently, and nothing in it can tell.
moved behind blanks
    Other values, where bytes were inserted or lost in a file that has blank space between TEXT and DATA: the space
    hides it, every offset still points to something, and nothing in the file can tell. Only a checksum made at the
    instrument could.
wrong
    Other values although the description is undamaged. Must be 0.
crash, slow
    Any other exception, more memory or more time. Must be 0.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import resource
import select
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flowmrd.errors import FcsError
from flowmrd.fcs.cross_check import second_reading
from flowmrd.fcs.decode import Block, blocks
from flowmrd.fcs.reader import DataSet, read_fcs
from flowmrd.fcs.scrub import kept_keywords
from flowmrd.fcs.spillover import read_spillover
from flowmrd.fcs.writer import ChannelSpec, write_fcs

SECONDS = 5
MEMORY = 1 << 30
LARGEST_SEED_FILE = 400_000
DESCRIBING = re.compile(
    rb"\$(P\d+[BR]|P\d+DATATYPE|PAR|TOT|DATATYPE|BYTEORD|MODE|BEGINDATA|ENDDATA|NEXTDATA)\b", re.IGNORECASE
)
EXTREMES = ["0", "-1", "1", "999999999", "1000000000", "18446744073709551616", "", "NaN", "1e9", "2", "16", "32", "64"]
EXTREMES += ["x" * 5000, "/../../etc/passwd", "4,3,2,1", "1,2,3,4", "I", "F", "D", "A", "\x00", "1_000", "٣", "12"]


@dataclass(frozen=True)
class Original:
    """An undamaged file, where its DATA lies and which bytes describe it."""

    name: str
    data: bytes
    spans: tuple[tuple[int, int], ...]
    described: tuple[tuple[int, int], ...]
    digests: tuple[str, ...]
    blank: bool


def digest(data_set: DataSet) -> str:
    """Digest of all stored values in file order."""
    return _digest(data_set.blocks())


def _digest(parts: Iterable[Block]) -> str:
    sha = hashlib.sha256()
    with np.errstate(invalid="ignore"):  # damaged floats hold signalling NaN
        for block in parts:
            for column in block.columns:
                values = np.asarray(column, dtype="<f8") + 0.0
                values[np.isnan(values)] = np.nan
                sha.update(values.tobytes())
    return sha.hexdigest()


def make_seeds(folder: Path) -> Iterator[Path]:
    """Write small files of every plain kind."""
    rng = np.random.default_rng(5)
    channels = [ChannelSpec("FSC-A"), ChannelSpec("PE-A", "CD22", gain=2), ChannelSpec("Time")]
    keywords = {"$TIMESTEP": "0.01", "$CYT": "seed", "$SPILLOVER": "2,FSC-A,PE-A,1,0.1,0,1", "$OP": "nobody"}
    for big in (False, True):
        for kind in ("F", "D"):
            path = folder / f"{kind}{big:d}.fcs"
            columns = [rng.normal(1000, 300, 80) for _ in channels]
            write_fcs(path, columns, channels, keywords, datatype=kind, big_endian=big)
            yield path
        for bits in (16, 24, 32):
            path = folder / f"I{bits}{big:d}.fcs"
            ranged = [ChannelSpec(f"FL{i}-H", range=1000, log=(4, 1) if i else (0, 0)) for i in range(4)]
            whole = [rng.integers(0, 1000, 80) for _ in ranged]
            write_fcs(path, whole, ranged, keywords, datatype="I", bits=bits, big_endian=big)
            yield path


def describe(path: Path) -> Original | None:
    """Read an undamaged file and note the bytes that describe its DATA."""
    try:
        data_sets = read_fcs(path)
    except FcsError:
        return None
    data = path.read_bytes()
    spans = tuple((one.segment.begin, one.segment.begin + one.segment.length) for one in data_sets)
    described = []
    for match in DESCRIBING.finditer(data):
        delimiter = data[match.end() : match.end() + 1]
        stop = data.find(delimiter, match.end() + 1)
        if not any(begin <= match.start() < end for begin, end in spans) and stop > 0:
            described.append((match.start() - 1, stop + 1))
    if data[:6] == b"FCS2.0":
        described.append((0, 58))  # the only place where FCS 2.0 says where DATA lies
    text_end, first = int(data[18:26]), min(begin for begin, _ in spans)
    blank = first - text_end > 1 or data[text_end] in b" \x00"
    return Original(path.name, data, spans, tuple(described), tuple(digest(one) for one in data_sets), blank)


def damage(original: Original, rng: np.random.Generator) -> tuple[str, bytes, list[tuple[int, int]]]:
    """One random damage: its kind, the bytes after it and the ranges of the original that it touched."""
    data = bytearray(original.data)
    first = min((begin for begin, _ in original.spans), default=len(data))
    place = int(rng.choice([58, max(first, 58), len(data)], p=[0.25, 0.45, 0.3]))
    kind = str(rng.choice(["bits", "bytes", "cut", "insert", "delete", "keyword", "blank", "extend", "swap"]))
    if kind in {"bits", "bytes"}:
        touched = []
        for _ in range(int(rng.integers(1, 6))):
            at = int(rng.integers(0, place))
            data[at] = data[at] ^ (1 << int(rng.integers(8))) if kind == "bits" else int(rng.integers(256))
            touched.append((at, at + 1))
        return kind, bytes(data), touched
    at, size = int(rng.integers(0, place)), int(rng.integers(1, 40))
    if kind == "cut":
        return kind, bytes(data[:at]), []
    if kind == "extend":
        return kind, bytes(data) + rng.bytes(size), []
    if kind == "insert":
        return kind, bytes(data[:at] + rng.bytes(size) + data[at:]), [(at, at + 1)]
    if kind == "delete":
        return kind, bytes(data[:at] + data[at + size :]), [(at, at + size)]
    if kind == "blank":
        data[at : at + size] = b" " * len(data[at : at + size])
        return kind, bytes(data), [(at, at + size)]
    if kind == "swap":
        other = int(rng.integers(0, place))
        data[at], data[other] = data[other], data[at]
        return kind, bytes(data), [(at, at + 1), (other, other + 1)]
    return edit_keyword(original, rng)


def edit_keyword(original: Original, rng: np.random.Generator) -> tuple[str, bytes, list[tuple[int, int]]]:
    """Replace the value of a keyword by an extreme one; offsets are not put right."""
    data = original.data
    begin = int(data[10:18])
    delimiter = data[begin : begin + 1]
    # Up to the last delimiter of TEXT alone: a word at its end is part of a value, and the next bytes are DATA.
    text = data[begin : min(int(data[18:26]), begin + 20_000)]
    keys = list(re.finditer(re.escape(delimiter) + rb"(\$?[A-Z0-9]+)" + re.escape(delimiter), text))
    match = keys[int(rng.integers(len(keys)))]
    start = begin + match.end()
    stop = data.find(delimiter, start)
    value = EXTREMES[int(rng.integers(len(EXTREMES)))].encode()
    if rng.random() < 0.5:
        value = value[: stop - start].ljust(stop - start)  # of the same length, so that everything else stays in place
    return "keyword", data[:start] + value + data[stop:], [(begin + match.start(), stop)]


def judge(path: Path, original: Original, touched: list[tuple[int, int]]) -> str:
    """Read a damaged file and compare with what its bytes hold."""
    try:
        data_sets = read_fcs(path)
        found = [digest(one) for one in data_sets]
        for one in data_sets:
            one.scaled()
            read_spillover(one.keywords, one.channels)
            kept_keywords(one.keywords)
            second_reading(one, n_sets=len(data_sets))
    except FcsError:
        return "refused"
    if tuple(found) == original.digests or all(one in original.digests for one in found):
        return "right"
    # where the place of DATA is what it was, its bytes, damaged or not, are to be read as they are
    in_place = path.stat().st_size == len(original.data) or not touched or min(touched)[0] >= original.spans[0][0]
    if in_place and found == [expected(path, one, original) for one in data_sets]:
        return "right"
    hit = any(a < end and b > begin for a, b in touched for begin, end in original.described)
    if hit:
        return "other description"
    return "moved behind blanks" if not in_place and original.blank else "wrong"


def expected(path: Path, one: DataSet, original: Original) -> str:
    """Digest of the damaged DATA bytes under the undamaged description."""
    with tempfile.TemporaryDirectory() as folder:
        clean = Path(folder) / "clean.fcs"
        clean.write_bytes(original.data)
        same = [other for other in read_fcs(clean) if other.index == one.index]
    if not same or one.path.stat().st_size < same[0].segment.begin + same[0].segment.length:
        return ""
    return _digest(blocks(path, same[0].segment))


def work(originals: list[Original], seed: int, first: int, last: int) -> None:
    """Worker: damage and judge files ``first`` to ``last``, one line of JSON each."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))

    def alarm(*_: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, alarm)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "damaged.fcs"
        for number in range(first, last):
            rng = np.random.default_rng([seed, number])
            original = originals[int(rng.integers(len(originals)))]
            kind, data, touched = damage(original, rng)
            path.write_bytes(data)
            signal.alarm(SECONDS)
            try:
                outcome = judge(path, original, touched)
            except TimeoutError:
                outcome = "slow"
            except BaseException as error:  # the very thing looked for
                outcome = f"crash {type(error).__name__}"
            signal.alarm(0)
            sys.stdout.write(json.dumps([number, original.name, kind, outcome]) + "\n")
            sys.stdout.flush()


def seeds(folder: Path, shared: Path | None) -> list[Original]:
    """Undamaged files: made ones, and small ones of the optional shared data."""
    paths = list(make_seeds(folder))
    if shared is not None and shared.is_dir():
        found = [path for path in shared.rglob("*") if path.suffix.lower() in {".fcs", ".lmd"}]
        paths += sorted(path for path in found if path.stat().st_size <= LARGEST_SEED_FILE)
    originals = [describe(path) for path in paths]
    return [one for one in originals if one is not None]


def campaign(files: int, seed: int, shared: Path | None) -> tuple[Counter[str], list[list[object]]]:
    """Run workers until every file is judged; a worker that dies or hangs counts as a crash of its file."""
    outcomes: Counter[str] = Counter()
    bad: list[list[object]] = []
    following = 0
    while following < files:
        command = [sys.executable, __file__, "--work", str(following), "--files", str(files), "--seed", str(seed)]
        command += ["--shared", str(shared)] if shared else []
        process = subprocess.Popen(  # noqa: S603 - this very file
            command, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
        stream = process.stdout
        while stream is not None:
            ready, _, _ = select.select([stream], [], [], 120 if following == 0 else 60)
            line = stream.readline() if ready else ""
            if not line:
                break
            number, name, kind, outcome = json.loads(line)
            following = number + 1
            outcomes[outcome.split()[0] if outcome.startswith("crash") else outcome] += 1
            outcomes[f"  {kind}: {outcome}"] += 1
            if outcome.startswith(("crash", "wrong", "slow")):
                bad.append([number, name, kind, outcome])
        process.kill()
        process.wait()
        if following < files:
            outcomes["crash"] += 1
            bad.append([following, "", "", "the worker died or hung"])
            following += 1
    return outcomes, bad


def main() -> None:
    """Run the campaign and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shared", type=Path, default=None)
    parser.add_argument("--work", type=int, default=None, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work is not None:
        with tempfile.TemporaryDirectory() as folder:
            work(seeds(Path(folder), arguments.shared), arguments.seed, arguments.work, arguments.files)
        return
    outcomes, bad = campaign(arguments.files, arguments.seed, arguments.shared)
    for name, count in sorted(outcomes.items(), key=lambda item: (item[0].startswith("  "), item[0])):
        sys.stdout.write(f"{count:8d}  {name}\n")
    for one in bad[:50]:
        sys.stdout.write(f"BAD {one}\n")
    raise SystemExit(1 if bad else 0)


if __name__ == "__main__":
    main()
