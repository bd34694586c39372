"""``flowmrd selftest [--out FOLDER]``: check that this installation gives the expected results (IQ and OQ).

Installation: Python and every locked package have the versions of ``requirements.lock``. Operation: tubes simulated
from a fixed seed go through every stage by the same commands a run uses, and what comes out is compared with
``test_data/selftest/golden.json``; statistics are compared with published values. Under a minute on a laptop.

Verdicts and the simulated truth must be the same; counts may differ by :data:`COUNT_TOLERANCE`, because processors
round the last bit of a logarithm differently. Whether even the bytes are the same is written beside it.

The record (``selftest.json``) names versions and the class of machine. ``flowmrd selftest --record`` writes new golden
results after a change that is meant to alter them.
"""

from __future__ import annotations

import platform
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from pydantic import TypeAdapter

from flowmrd.errors import InternalError
from flowmrd.home import REPOSITORY
from flowmrd.records.selftest import CheckEntry, GoldenFile, GoldenTruth, GoldenTube, SelftestFile
from flowmrd.records.simulation import SimulatedTubeEntry
from flowmrd.store import digest_file, read_json, write_json

GOLDEN: Final = REPOSITORY / "test_data" / "selftest" / "golden.json"
SEED: Final = 7
PANEL: Final = "ino10"
COUNT_TOLERANCE: Final = 0.005
"""Relative; at least :data:`COUNT_FLOOR` events."""

COUNT_FLOOR: Final = 5
COUNTS: Final = ("total", "analysable", "singlets", "nucleated", "mononuclear", "b_lineage", "mrd_events")


Command = Callable[[Sequence[str]], int]
"""Runs one command line and returns its exit code."""


def selftest(call: Command, out: Path | None = None) -> tuple[bool, list[CheckEntry]]:
    """Run all checks.

    Parameters
    ----------
    out
        Folder for ``selftest.json`` and the simulated run; a temporary one, removed afterwards, by default.

    Returns
    -------
    tuple
        Whether everything passed, and every check.
    """
    checks = [*installation_checks(), *statistics_checks()]
    if out is not None:
        checks += pipeline_checks(analyse_golden_tubes(call, out / "run"), golden_results())
        write_json(out / "selftest.json", record(checks).model_dump(mode="json"))
    else:
        with tempfile.TemporaryDirectory(prefix="flowmrd-selftest-") as folder:
            checks += pipeline_checks(analyse_golden_tubes(call, Path(folder)), golden_results())
    return all(check.passed for check in checks), checks


def golden_results() -> GoldenFile:
    """The results that this version must give."""
    return TypeAdapter(GoldenFile).validate_python(read_json(GOLDEN))


def record(checks: Sequence[CheckEntry]) -> SelftestFile:
    """What the laboratory files."""
    from flowmrd.stages.provenance import host_class, software

    return SelftestFile(
        format="flowmrd-selftest/1",
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        passed=all(check.passed for check in checks),
        host_class=host_class(),
        software=software(),
        golden_sha256=digest_file(GOLDEN),
        checks=tuple(checks),
    )


def _check(
    part: Literal["installation", "statistics", "operation"], name: str, passed: bool, found: str, expected: str
) -> CheckEntry:
    return CheckEntry(part=part, name=name, passed=passed, found=found, expected=expected)


def installation_checks() -> list[CheckEntry]:
    """Python and the locked packages."""
    from flowmrd.stages.provenance import installed_packages, locked_packages

    locked, installed = locked_packages(), installed_packages()
    wrong = {name: installed.get(name) for name, version in locked.items() if installed.get(name) != version}
    present = sum(version is not None for version in installed.values())
    return [
        _check(
            "installation",
            "Python",
            sys.version_info >= (3, 11),
            platform.python_version(),
            "3.11 or newer",
        ),
        _check(
            "installation",
            "packages",
            bool(locked) and not wrong,
            ", ".join(f"{name} {version or 'missing'}" for name, version in wrong.items()) or f"{present} as locked",
            "the versions of requirements.lock",
        ),
    ]


def statistics_checks() -> list[CheckEntry]:
    """Published values of the statistics."""
    from flowmrd.mrd.limits import binomial_interval, poisson_interval
    from flowmrd.trial.survival import aalen_johansen, kaplan_meier

    def check(name: str, found: Sequence[float], expected: Sequence[float], digits: int) -> CheckEntry:
        shown = [round(value, digits) for value in found]
        return _check("statistics", name, shown == list(expected), str(shown), str(list(expected)))

    curve = kaplan_meier([6, 6, 6, 6, 7, 9, 10], [True, True, True, False, True, False, True])
    return [
        check("Poisson interval of 10 events", poisson_interval(10), (4.80, 18.39), 2),
        check("exact interval of 11/12", [100 * value for value in binomial_interval(11, 12)], (61.52, 99.79), 2),
        check("survival after 3 of 7", [curve.steps[0].value], (round(4 / 7, 6),), 6),
        check(
            "cumulative incidence",
            [aalen_johansen([1, 2, 3, 4, 5, 6], [0, 1, 1, 2, 2, 0], 2).steps[-1].value],
            (0.4,),
            9,
        ),
    ]


def analyse_golden_tubes(call: Command, run_directory: Path) -> GoldenFile:
    """Simulate the golden tubes, take them through every stage, and return what came out by sample.

    Raises
    ------
    InternalError
        If a stage does not end well.
    """
    from flowmrd.mrd.result import MrdResult
    from flowmrd.panel import find_panel, load_panel
    from flowmrd.records.read import read_record
    from flowmrd.stages.simulate import simulate

    panel = load_panel(find_panel(PANEL, run_directory=run_directory))
    cohort = simulate(run_directory, preset="small", seed=SEED, panel=panel)
    tubes = cohort.manifest.tubes
    run_stages(call, run_directory, tubes)
    found = {}
    for name, truth in tubes.items():
        path = run_directory / "results" / "samples" / name / "mrd.json"
        result = read_record(path, MrdResult)
        found[name] = GoldenTube(
            truth=GoldenTruth(events=truth.events, nucleated=truth.nucleated, mrd_events=truth.mrd_events),
            fcs_sha256=digest_file(run_directory / "fcs" / f"{name}.fcs"),
            class_=result.verdict.class_.value,
            mrd_negative=result.verdict.mrd_negative,
            counts={key: getattr(result.counts, key) for key in COUNTS},
            mrd_sha256=digest_file(path),
        )
    return found


def run_stages(call: Command, run_directory: Path, tubes: Mapping[str, SimulatedTubeEntry]) -> None:
    """The commands of a run, in order, in this process."""
    reference = run_directory / "results" / "reference" / PANEL
    controls = [name for name, tube in tubes.items() if tube.role == "control"]
    of_controls = [argument for name in controls for argument in ("--tube", name)]
    diagnosis = {tube.patient: name for name, tube in tubes.items() if tube.role == "diagnosis"}

    def command(*arguments: str | Path) -> None:
        words = [str(argument) for argument in arguments]
        code = call([*words, "--run", str(run_directory)])
        if code != 0:
            raise InternalError(f"selftest: 'flowmrd {' '.join(words)}' ended with exit code {code}")

    def each(work: Callable[[str], None], names: Sequence[str]) -> None:
        for name in names:
            work(name)

    every = list(tubes)
    each(lambda name: command("ingest", "--sample", name), every)
    command("transform-reference", "--panel", PANEL, *of_controls)
    transforms = reference / "transform.json"
    each(lambda name: command("preprocess", "--sample", name, "--transforms", transforms), every)
    command("gate-reference", "--panel", PANEL, *of_controls)
    each(lambda name: command("gate", "--sample", name, "--thresholds", reference / "gates.json"), every)
    command("reference", "build", "--panel", PANEL, *of_controls)
    normal = ("--reference", reference / "reference.json")
    for patient, name in diagnosis.items():
        command("laip", "--patient", patient, "--tube", name, *normal)
    for name in every:
        learned = run_directory / "results" / "laip" / tubes[name].patient / "laip.json"
        laip = ("--laip", learned) if learned.is_file() else ()
        command("classify", "--sample", name, *normal, *laip)
        command("quantify", "--sample", name, *normal, *laip)


def pipeline_checks(found: GoldenFile, golden: GoldenFile) -> list[CheckEntry]:
    """Compare what came out with the golden results."""
    checks = [
        _check("operation", "tubes", sorted(found) == sorted(golden), ", ".join(found), ", ".join(golden)),
    ]
    for name in golden.keys() & found.keys():
        mine, theirs = found[name], golden[name]
        for key, one, other in (
            ("truth", mine.truth, theirs.truth),
            ("class", mine.class_, theirs.class_),
            ("mrd_negative", mine.mrd_negative, theirs.mrd_negative),
        ):
            checks.append(_check("operation", f"{name} {key}", one == other, str(one), str(other)))
        for key in COUNTS:
            count, expected = mine.counts[key], theirs.counts[key]
            near = abs(count - expected) <= max(COUNT_FLOOR, COUNT_TOLERANCE * expected)
            checks.append(_check("operation", f"{name} {key}", near, str(count), str(expected)))
        same = (mine.fcs_sha256, mine.mrd_sha256) == (theirs.fcs_sha256, theirs.mrd_sha256)
        checks.append(
            _check("operation", f"{name} bytes", True, "identical" if same else "rounded elsewhere", "either")
        )
    return sorted(checks, key=lambda check: check.name)


def lines(checks: Sequence[CheckEntry]) -> list[str]:
    """Report for a terminal: what failed, and counts of the rest."""
    text = [
        f"FAILED {check.part}: {check.name}: found {check.found}, expected {check.expected}"
        for check in checks
        if not check.passed
    ]
    for part in ("installation", "statistics", "operation"):
        mine = [check for check in checks if check.part == part]
        text.append(f"{part}: {sum(check.passed for check in mine)} of {len(mine)} checks passed")
    return text


def record_golden(call: Command) -> list[str]:
    """Write new golden results; return a line per tube."""
    with tempfile.TemporaryDirectory(prefix="flowmrd-selftest-") as folder:
        golden = analyse_golden_tubes(call, Path(folder))
    write_json(GOLDEN, TypeAdapter(GoldenFile).dump_python(golden, mode="json", by_alias=True))
    return [f"{name}: {tube.class_}, {tube.counts['mrd_events']} MRD events" for name, tube in golden.items()]
