"""Whether two runs of the same input say the same: every number of mrd.json and every row of populations.tsv.

    python -m benchmarks.same_results RUN_A RUN_B [--ignore schema_version --ignore provenance.flowmrd_version]

Prints each difference as sample, field, value in A, value in B; the exit code is 1 where there is one. Digests of
configuration, panel, reference and LAIP are left out, because they change with every layout of these files.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ALWAYS_IGNORED = ("provenance.",)


def flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted field and value of every leaf of a JSON document."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flat(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from flat(inner, f"{name}.{index}")
    else:
        yield name, value


def differences(first: Path, second: Path, ignored: tuple[str, ...]) -> Iterator[tuple[str, str, Any, Any]]:
    """Every difference between the results of two run directories."""
    names = sorted({path.parent.name for run in (first, second) for path in run.glob("results/samples/*/mrd.json")})
    for sample in names:
        places = [run / "results" / "samples" / sample for run in (first, second)]
        documents = [
            dict(flat(json.loads((place / "mrd.json").read_text(encoding="utf-8"))))
            if (place / "mrd.json").is_file()
            else {"mrd.json": "missing"}
            for place in places
        ]
        for field in sorted({*documents[0], *documents[1]}):
            if field.startswith(ignored):
                continue
            one, other = (document.get(field, "absent") for document in documents)
            if one != other:
                yield sample, field, one, other
        tables = [
            (place / "populations.tsv").read_text(encoding="utf-8").splitlines()
            if (place / "populations.tsv").is_file()
            else ["missing"]
            for place in places
        ]
        if tables[0] != tables[1]:
            rows = sum(a != b for a, b in zip(*tables, strict=False)) + abs(len(tables[0]) - len(tables[1]))
            yield sample, "populations.tsv", f"{rows} rows differ", ""


def main() -> int:
    """Compare two run directories."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument(
        "--ignore", action="append", default=[], help="Start of a dotted field of mrd.json; repeatable."
    )
    given = parser.parse_args()
    count = 0
    for sample, field, one, other in differences(given.first, given.second, (*ALWAYS_IGNORED, *given.ignore)):
        count += 1
        sys.stdout.write(f"{sample}\t{field}\t{one}\t{other}\n")
    tubes = len(list(given.first.glob("results/samples/*/mrd.json")))
    sys.stdout.write(f"{count} differences in {tubes} tubes\n")
    return int(count > 0)


if __name__ == "__main__":
    sys.exit(main())
