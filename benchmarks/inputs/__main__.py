"""Try every variant of every kind, and sound files, and write the table: ``python -m benchmarks.inputs``."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path

from benchmarks.inputs.kinds import KINDS, Outcome
from benchmarks.pages import put_between_marks
from flowmrd.cli.check import check_run
from flowmrd.config.run import RunConfig
from flowmrd.config.sheet import Role, Sample
from flowmrd.engine.headers import RunRequest, check_header
from flowmrd.errors import InputError
from flowmrd.fcs.exported import export_state
from flowmrd.fcs.reader import read_fcs
from flowmrd.home import PANELS, REPOSITORY
from flowmrd.panel import load_panel
from flowmrd.stages.simulate import simulate

PAGE = REPOSITORY / "docs" / "inputs.md"
SHARED = REPOSITORY.parent / "shared" / "data"
COLUMNS: tuple[Outcome, ...] = ("refused", "right", "told", "wrong", "false alarm")


def main() -> int:
    """Run what is asked for; 1 if anything is silently wrong or a false alarm."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inputs")
    parser.add_argument("--kinds", nargs="*", default=[], help="kinds whose name contains one of these words")
    parser.add_argument("--list-wrong", action="store_true", help="name the variants that came out wrong")
    parser.add_argument("--docs", action="store_true", help="write the table into docs/inputs.md")
    arguments = parser.parse_args()
    rows, failures = [], []
    for kind in KINDS:
        if arguments.kinds and not any(word in kind.__name__ for word in arguments.kinds):
            continue
        counts: Counter[Outcome] = Counter()
        for variant in kind():
            with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
                outcome = variant.run(Path(folder))
            counts[outcome] += 1
            if outcome in ("wrong", "false alarm"):
                failures.append(f"{kind.__name__}: {variant.name}: {outcome}")
        title = (kind.__doc__ or "").split("\n")[0]
        rows.append((title, counts))
        sys.stderr.write(f"{title}: {dict(counts)}\n")
    sound = [] if arguments.kinds else sound_files()
    text = table(rows, sound)
    sys.stdout.write(f"{text}\n")
    if arguments.list_wrong:
        sys.stdout.writelines(f"{line}\n" for line in failures)
    if arguments.docs:
        put_between_marks(PAGE, "table", text)
    return 1 if failures or any(refused for _, _, refused in sound[:-1]) else 0


def table(rows: list[tuple[str, Counter[Outcome]]], sound: list[tuple[str, int, int]]) -> str:
    """The table in Markdown."""
    total: Counter[Outcome] = Counter()
    lines = [
        "| kind | variants | refused | read right | told | silently wrong | false alarm |",
        "|---|---|---|---|---|---|---|",
    ]
    for title, counts in rows:
        total.update(counts)
        lines.append(f"| {title} | {counts.total()} | " + " | ".join(str(counts[name]) for name in COLUMNS) + " |")
    lines.append(f"| **all** | {total.total()} | " + " | ".join(str(total[name]) for name in COLUMNS) + " |")
    if sound:
        lines += ["", "| sound files | files | refused or told |", "|---|---|---|"]
        lines += [f"| {name} | {files} | {refused} |" for name, files, refused in sound]
    return "\n".join(lines)


def sound_files() -> list[tuple[str, int, int]]:
    """Files in which nothing is wrong: name, number, and how many are refused or told all the same."""
    found = []
    for panel in ("ino10", "vienna_b8"):
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder) / "run"
            simulate(run, preset="demo", panel=load_panel(PANELS / f"{panel}.yaml"), nucleated=15_000)
            problems, tubes = check_run(run)
            wrong = [one for one in problems if not one.found.startswith("events of ")]
            found.append((f"demo cohort, {panel}", tubes, len(wrong)))
    real = SHARED / "ball/real"
    if real.is_dir():
        files = sorted(real.glob("ball*.fcs"))
        found.append(("real B-ALL tubes", len(files), sum(_refused(path) for path in files)))
    corpus = SHARED / "fcs_corpus"
    if corpus.is_dir():
        entries = json.loads((corpus / "truth.json").read_text(encoding="utf-8"))
        paths = sorted({entry["path"] for entry in entries if entry["expectation"] == "read"})
        told = sum(_called_exported(corpus / path) for path in paths)
        found.append(("files of the corpus called compensated or transformed by name or keyword", len(paths), told))
    return found


def _refused(path: Path) -> bool:
    config = RunConfig(panel="vienna_b8", samples="samples.tsv")
    row = Sample("tube", "P1", Role.FOLLOWUP, path, line=2)
    try:
        check_header(path, load_panel(PANELS / "vienna_b8.yaml"), row, RunRequest(config, path.parent))
    except InputError:
        return True
    return False


def _called_exported(path: Path) -> bool:
    states = [export_state(one.keywords, one.channels) for one in read_fcs(path)]
    return any(state.compensated or state.transform for state in states)


if __name__ == "__main__":
    sys.exit(main())
