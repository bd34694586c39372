"""Damage every other file that somebody may hand to flowmrd, and see whether it ever does more than refuse it.

    python -m benchmarks.fuzz_inputs RUNDIR [--inputs 20000] [--seed 1]

``RUNDIR`` is a finished run, whose files are damaged (copies of them): configuration, sheets, panel, overrides (YAML
and GatingML), spillover table, labels, normal reference, LAIP, column files. Each damaged file must be read or refused
within 5 s and 1 GB of memory. A damaged ``.npz`` is read with its new digest in the JSON file beside it, as somebody
who wants to do harm would. Any other exception, a dead process or more time is a crash; there must be none. FCS files
have a campaign of their own (``benchmarks/fuzz_fcs.py``).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from flowmrd.classifier.storage import load_laip, load_reference
from flowmrd.config import RunConfig, load_config, read_sheet
from flowmrd.errors import InputError
from flowmrd.gating.overrides import read_override
from flowmrd.home import PANELS
from flowmrd.panel import load_panel
from flowmrd.preprocess.compensation.matrix import read_spillover_csv
from flowmrd.stages.labels import read_labels
from flowmrd.store import digest_file, open_columns, read_json
from flowmrd.tube.files import TubeFiles, tube_from_files
from flowmrd.tube.gate import column_origin

SECONDS = 5
MEMORY = 1 << 30
BATCH = 250
TOKENS = [
    *(b"[" * 3000, b"{" * 3000, b"&a [*a]", b"*a", b"<<: ", b"!!python/object/apply:os.system ['touch pwned']"),
    *(b"NaN", b"Infinity", b"-1", b"0", b"1e999", b"9" * 400, b"null", b"true", b"''", b'"', b"\t", b"\r", b"\n---\n"),
    *(b"../../../etc/passwd", b"/etc/passwd", b"$(touch pwned)", b"`touch pwned`", b"; touch pwned", b"\x00", b"\xff"),
    *(b"<!DOCTYPE x [<!ENTITY a 'aa'>]>", b"&a;", b"<a>" * 500, "\u202e\u2028é".encode(), b"\xef\xbb\xbf", b" " * 5000),
]

Reader = Callable[[Path], object]


@dataclass(frozen=True)
class Target:
    """A file of a run, and what reads it."""

    kind: str
    file: Path
    read: Reader


def read_pair(load: Callable[[Path], object], damaged: Path, other: Path, path: Path) -> object:
    """Read a JSON file and its arrays after one of the two was damaged."""
    arrays = path.with_suffix(".npz")
    if damaged.suffix == ".npz":
        path.rename(arrays)
        facts = json.loads(other.read_text(encoding="utf-8"))
        facts["arrays_sha256"] = digest_file(arrays)
        path.with_suffix(".json").write_text(json.dumps(facts), encoding="utf-8")
    else:
        shutil.copyfile(other, arrays)
    return load(path.with_suffix(".json"))


def read_all_columns(path: Path) -> object:
    """Open a column file and touch every value."""
    with open_columns(path) as store:
        return [float(np.sum(store[name].astype(np.float64))) for name in store.names]


def targets(run: Path, folder: Path) -> Iterator[Target]:
    """Files to damage; small ones that a run does not have are made in ``folder``."""
    panel = load_panel(PANELS / "ino10.yaml")
    full = folder / "config.yaml"
    full.write_text(
        "panel: ino10\nsamples: config/samples.tsv\ncompensation: {source: csv, csv: {default: spill.csv}}\n"
        "quality:\n  min_events: 2000\n  time_mask: true\nlaip: {min_diagnosis_cells: 100, seed: 3}\n"
        "mrd:\n  denominator: nucleated\n  target: 1e-4\nreport: {laboratory: 'A & B'}\n"
        "trial:\n  mrd_timepoints: [day21, C1]\n",
        encoding="utf-8",
    )
    override = folder / "override.yaml"
    override.write_text(
        "gates:\n  cd19_pos: {threshold: 0.41}\n  nucleated: {method: rectangle, ranges: {FSC-A: [0.1, null]}}\n",
        encoding="utf-8",
    )
    spill = folder / "spill.csv"
    spill.write_text(",A,B,C\nA,1,0.1,0\nB,0.02,1,0.1\nC,0,0.03,1\n", encoding="utf-8")
    labels = folder / "labels.tsv"
    labels.write_text("event\tblast\n" + "".join(f"{i}\t{i % 2}\n" for i in range(40)), encoding="utf-8")
    yield Target("configuration", full, load_config)
    yield Target("sample sheet", run / "config/samples.tsv", read_sheet)
    yield Target("panel", PANELS / "ino10.yaml", load_panel)
    yield Target("gates by hand, YAML", override, partial(read_override, panel=panel, origin=None))
    yield Target("spillover table", spill, read_spillover_csv)
    yield Target("expert labels", labels, partial(read_labels, n_events=40))
    for gates in sorted(run.glob("results/samples/CTRL*/gates.xml"))[:1]:
        columns = run / "results/work" / gates.parent.name / "preprocessed.arrow"
        files = TubeFiles(gates.parent.name, columns, qc=gates.with_name("qc.json"))
        wired = column_origin(tube_from_files(files, panel, RunConfig(panel=panel.name, samples="")))
        import flowkit  # noqa: F401 - its import is no part of the time of one damaged copy

        yield Target("gates by hand, GatingML", gates, partial(read_override, panel=panel, origin=wired))
    for kind, pattern, load in (
        ("normal reference", "results/reference/*/reference.json", load_reference),
        ("LAIP", "results/laip/*/laip.json", load_laip),
    ):
        for facts in sorted(run.glob(pattern))[:1]:
            arrays = facts.with_suffix(".npz")
            yield Target(kind, facts, partial(read_pair, load, facts, arrays))
            yield Target(f"{kind}, arrays", arrays, partial(read_pair, load, arrays, facts))
    for result in sorted(run.glob("results/samples/*/mrd.json"))[:1]:
        yield Target("result", result, read_json)
    for columns in sorted(run.glob("results/work/*/gated.arrow"))[:1]:
        yield Target("column file", columns, read_all_columns)


def damage(data: bytes, rng: np.random.Generator) -> bytes:
    """Change bytes, cut, repeat, or put a word of trouble somewhere; one to three times."""
    for _ in range(int(rng.integers(1, 4))):
        at, end = sorted(int(place) for place in rng.integers(0, len(data) + 1, 2))
        end = min(end, at + 2000)
        kind = int(rng.integers(5))
        if kind == 0 and data:
            changed = bytearray(data)
            for place in rng.integers(0, len(data), int(rng.integers(1, 6))):
                changed[int(place)] = int(rng.integers(256))
            data = bytes(changed)
        elif kind == 1:
            data = data[:at] + data[end:]
        elif kind == 2:
            data = data[:end] + data[at:]
        elif kind == 3:
            data = data[:at] + TOKENS[int(rng.integers(len(TOKENS)))] + data[at:]
        else:
            data = data[:at]
    return data


def judge(target: Target, data: bytes, folder: Path) -> str:
    """Read a damaged file; ``read``, ``refused`` or what went wrong."""
    for old in folder.iterdir():
        old.unlink()
    path = folder / target.file.name
    path.write_bytes(data)
    signal.alarm(SECONDS)
    try:
        target.read(path)
    except InputError:
        return "refused"
    except TimeoutError:
        return "slow"
    except BaseException as error:  # the very thing looked for
        return f"crash {type(error).__name__}: {error}"[:200]
    finally:
        signal.alarm(0)
    return "read"


def work(target: Target, seed: int, first: int, last: int, out: int) -> None:
    """Child process: judge some damaged copies, one line each."""
    resource.setrlimit(resource.RLIMIT_AS, (resource.getrlimit(resource.RLIMIT_AS)[0], resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY + _mapped(), resource.RLIM_INFINITY))

    def alarm(*_: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, alarm)
    data = target.file.read_bytes()
    with tempfile.TemporaryDirectory(prefix="fuzz") as name, os.fdopen(out, "w") as stream:
        os.chdir(name)
        folder = Path(name, "input")
        folder.mkdir()
        for number in range(first, last):
            rng = np.random.default_rng([seed, number])
            stream.write(judge(target, damage(data, rng), folder).replace("\n", " ") + "\n")
            stream.flush()
        if Path("pwned").exists():
            stream.write("crash code was run\n")


def _mapped() -> int:
    """Address space already in use, in bytes."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()


def campaign(run: Path, inputs: int, seed: int) -> tuple[dict[str, Counter[str]], list[str]]:
    """Outcomes by kind of file, and a line for each that is not as it must be."""
    outcomes: dict[str, Counter[str]] = defaultdict(Counter)
    bad: list[str] = []
    with tempfile.TemporaryDirectory(prefix="seeds") as folder:
        chosen = list(targets(run, Path(folder)))
        for target in chosen:
            for first in range(0, inputs // len(chosen), BATCH):
                lines, status = _in_child(target, seed, first, first + BATCH)
                if status or len(lines) < BATCH:
                    lines.append(f"crash the process died ({status})")
                for number, line in enumerate(lines, start=first):
                    outcome = line.split()[0]
                    outcomes[target.kind][outcome] += 1
                    if outcome not in ("read", "refused"):
                        bad.append(f"{target.kind} {number}: {line}")
    return outcomes, bad


def _in_child(target: Target, seed: int, first: int, last: int) -> tuple[list[str], int]:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        code = 1
        try:
            work(target, seed, first, last, writing)
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, errors="replace") as stream:
        lines = stream.read().splitlines()
    return lines, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def table(outcomes: dict[str, Counter[str]]) -> str:
    """Table for docs/reliability.md."""
    lines = [
        "| damaged copies of | tried | refused | read | crash, slow, more than 1 GB, code run |",
        "|---|---|---|---|---|",
    ]
    for kind, counts in outcomes.items():
        other = counts.total() - counts["read"] - counts["refused"]
        lines.append(f"| {kind} | {counts.total():,} | {counts['refused']:,} | {counts['read']:,} | {other} |")
    return "\n".join(lines)


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    outcomes, bad = campaign(options.run.resolve(), options.inputs, options.seed)
    sys.stdout.write("\n".join([table(outcomes), *bad[:100], ""]))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
