"""Every file of the optional shared FCS corpus, read by flowmrd, FlowIO, FlowKit and fcsparser.

    python benchmarks/corpus.py [--corpus ../shared/data/fcs_corpus] [--list]

A reading is *right* where the number of events and the sum of the raw stored values of every channel (relative 1e-9)
are those of ``truth.json``, *wrong* where they are not and no error was raised, *refused* otherwise. For ``reject``
entries the only right answer is an error; for ``either`` entries an error and the right values both are. flowmrd must
also give every channel name. The other readers run with default arguments; ``FlowIO lenient`` ignores offset errors
and reads all data sets.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from flowmrd.errors import FcsError
from flowmrd.stages.inspect import inspect

Values = npt.NDArray[Any]
Entry = dict[str, Any]


class Refused(Exception):  # noqa: N818 - an outcome
    """The reader gave no values."""


def sums_of(values: Values) -> tuple[int, list[float]]:
    """Number of events and sums of an array of shape (n_events, n_channels)."""
    with np.errstate(all="ignore"):
        return len(values), np.sum(np.asarray(values, dtype=np.float64), axis=0).tolist()


def by_flowmrd(path: Path, entry: Entry) -> tuple[int, list[float]]:
    """``flowmrd inspect --json --sums``; names are checked as well."""
    try:
        found = json.loads(json.dumps(inspect(path, sums=True), allow_nan=False))
    except FcsError as error:
        raise Refused from error
    one = next((one for one in found["data_sets"] if one["index"] == entry["dataset_index"]), None)
    if one is None:
        raise Refused
    if [named(channel) for channel in one["channels"]] != [named(channel) for channel in entry["channels"]]:
        return -1, []
    return one["events"], [float(value) for value in one["sums"]]


def named(channel: dict[str, str | None]) -> tuple[str, str]:
    """Names of a channel without blanks; absent and empty are the same."""
    return ((channel["pnn"] or "").strip(), (channel["pns"] or "").strip())


def by_flowio(path: Path, entry: Entry) -> tuple[int, list[float]]:
    """FlowIO with default arguments."""
    import flowio

    data = flowio.FlowData(path)
    return sums_of(np.reshape(data.events, (-1, data.channel_count)))


def by_flowio_lenient(path: Path, entry: Entry) -> tuple[int, list[float]]:
    """FlowIO ignoring offset errors, all data sets."""
    import flowio

    sets = flowio.read_multiple_data_sets(path, ignore_offset_error=True, ignore_offset_discrepancy=True)
    data = sets[entry["dataset_index"]]
    return sums_of(np.reshape(data.events, (-1, data.channel_count)))


def by_flowkit(path: Path, entry: Entry) -> tuple[int, list[float]]:
    """FlowKit with default arguments, before its scaling."""
    import flowkit

    return sums_of(flowkit.Sample(path, preprocess=False, subsample=1).get_events("raw"))


def by_fcsparser(path: Path, entry: Entry) -> tuple[int, list[float]]:
    """The installed fcsparser, before its conversion to float32."""
    from fcsparser.api import FCSParser

    values = np.asarray(FCSParser(str(path), read_data=True, data_set=entry["dataset_index"])._data)
    if values.dtype.names:
        values = np.column_stack([values[name] for name in values.dtype.names])
    return sums_of(values)


READERS: dict[str, Callable[[Path, Entry], tuple[int, list[float]]]] = {
    "flowmrd": by_flowmrd,
    "FlowIO": by_flowio,
    "FlowIO lenient": by_flowio_lenient,
    "FlowKit": by_flowkit,
    "fcsparser": by_fcsparser,
}


def outcome(reader: str, path: Path, entry: Entry) -> str:
    """``right``, ``wrong`` or ``refused``; a crash of another reader counts as refused, one of ours as ``crash``."""
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            n_events, sums = READERS[reader](path, entry)
    except Refused:
        return "refused"
    except Exception:
        return "crash" if reader == "flowmrd" else "refused"
    if entry["expectation"] == "reject":
        return "wrong"
    truth = [float(value) for value in entry["raw_sums"]]
    same = len(sums) == len(truth) and np.allclose(sums, truth, rtol=1e-9, atol=0, equal_nan=True)
    return "right" if n_events == entry["events"] and same else "wrong"


def table(corpus: Path) -> tuple[dict[str, Counter[str]], list[str]]:
    """Counts by reader and, for a list, every entry that a reader did not get right."""
    logging.disable(logging.CRITICAL)
    entries: list[Entry] = json.loads((corpus / "truth.json").read_text(encoding="utf-8"))
    counts: dict[str, Counter[str]] = {reader: Counter() for reader in READERS}
    misses = []
    for entry in entries:
        for reader in READERS:
            found = outcome(reader, corpus / entry["path"], entry)
            counts[reader][f"{entry['expectation']} {found}"] += 1
            if (entry["expectation"], found) not in {("read", "right"), ("reject", "refused"), ("either", "right")}:
                misses.append(f"{reader:15s} {found:8s} ({entry['expectation']}) {entry['path']} {entry['notes']}")
    return counts, misses


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).resolve().parents[2] / "shared" / "data" / "fcs_corpus"
    parser.add_argument("--corpus", type=Path, default=default)
    parser.add_argument("--list", action="store_true", help="also list what each reader did not get right")
    arguments = parser.parse_args()
    if not (arguments.corpus / "truth.json").is_file():
        raise SystemExit("the optional shared FCS corpus is not here; give --corpus")
    counts, misses = table(arguments.corpus)
    kinds = ["read right", "read wrong", "read refused", "reject refused", "reject wrong"]
    kinds += ["either right", "either refused", "either wrong"]
    sys.stdout.write("| reader | " + " | ".join(kinds) + " | crash |\n|---|" + "---|" * (len(kinds) + 1) + "\n")
    for reader, found in counts.items():
        crashes = sum(number for kind, number in found.items() if kind.endswith("crash"))
        sys.stdout.write(f"| {reader} | " + " | ".join(str(found[kind]) for kind in kinds) + f" | {crashes} |\n")
    if arguments.list:
        sys.stdout.write("\n".join(["", *misses, ""]))
    ours = counts["flowmrd"]
    bad = {"read wrong", "read refused", "reject wrong", "either wrong", "read crash", "reject crash", "either crash"}
    raise SystemExit(1 if any(ours[kind] for kind in bad) else 0)


if __name__ == "__main__":
    main()
