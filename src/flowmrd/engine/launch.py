"""Starting Snakemake on a run directory: ``flowmrd run``.

``flowmrd run`` adds the following to plain Snakemake. A profile is either found or refused; Snakemake silently ignores
an unknown workflow profile and would compute on the login node. Only one run at a time works in a directory, and the
lock of a killed run is cleared when that is safe. Memory is bounded by the machine. A further pass leaves out tubes
that were found unusable. A summary gives the reason for everything that has no result.
"""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import NoReturn

from flowmrd.config.yaml_file import read_yaml
from flowmrd.engine.batch_plan import batch_jobs, lines, work_lines
from flowmrd.engine.cluster_queue import QueueWatch, jobs_in_queue, seconds_between_polls
from flowmrd.engine.code_digest import package_digest, state_of
from flowmrd.engine.future_file_times import set_back_future_times
from flowmrd.engine.lock import refuse_jobs_in_queue, run_lock, wait_for_cancelled_jobs, wait_for_orphans
from flowmrd.engine.plan import plan_run
from flowmrd.engine.progress import Terminated, planned_events, run_and_follow
from flowmrd.engine.ready_interpreter import ends_with_the_launcher, ready_interpreter
from flowmrd.engine.refusals import LOGS, forget_failures
from flowmrd.engine.run_plan import RunPlan
from flowmrd.engine.state import STATE
from flowmrd.engine.summary import missing_results, print_plan, print_summary
from flowmrd.errors import ConfigError, InputError
from flowmrd.home import REPOSITORY
from flowmrd.run_files import CONFIG

PROFILES = REPOSITORY / "workflow" / "profiles"
DAY = 86400.0
POLLING = "--slurm-init-seconds-before-status-checks"
"""Seconds that the executor plugin waits between queries about jobs; it adds ten whenever none has ended."""
MAX_PASSES = 4
"""Most passes of a run: the first one, and a further one whenever leaving out a tube reveals another unusable tube or
the results of a pass make an earlier result out of date.
"""


def find_profile(name: str, run_directory: Path) -> Path:
    """Resolve a profile to a file.

    Parameters
    ----------
    name
        ``workstation``, ``slurm``, or a profile of the site, given as a path or as a name below ``RUNDIR/profiles``.

    Raises
    ------
    ConfigError
        If the profile does not exist; the message suggests the nearest known name.
    """
    for folder in (Path(name), run_directory / "profiles" / name, PROFILES / name):
        if folder.is_file():
            return folder.resolve()
        if folder.is_dir():
            files = sorted(folder.glob("profile*.yaml")) or sorted(folder.glob("config*.yaml"))
            if files:
                return files[-1].resolve()
    known = sorted({path.name for root in (PROFILES, run_directory / "profiles") for path in root.glob("*")})
    near = get_close_matches(name, known, n=1)
    raise ConfigError(
        f"profile {name!r}",
        found="no such profile",
        expected=f"one of {', '.join(known)}, or the path of a profile",
        todo=f"did you mean {near[0]}?" if near else "correct --profile; without it the workstation profile is used",
    )


def snakemake_command(
    run_directory: Path, profile: Path, *, cores: int | None, dry_run: bool, extra: Sequence[str] = ()
) -> list[str]:
    """Command line that runs the workflow on a run directory."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")]
    command += ["--directory", str(run_directory)]
    if not dry_run and _is_local(profile) and "--resources" not in extra:
        command += ["--resources", f"mem_mb={usable_memory_mb()}"]  # takes several values: a target must not follow it
    command += ["--profile", str(profile), "--workflow-profile", "none"]
    if cores is not None:
        command += ["--cores", str(cores)]
    elif _is_local(profile):
        command += ["--cores", str(len(os.sched_getaffinity(0)))]
    if dry_run:
        command.append("--dry-run")
    return [*command, *extra]


def _settings(profile: Path) -> dict[str, object]:
    """Options that a profile sets."""
    values = read_yaml(profile, ConfigError, expected="a Snakemake profile", if_missing="correct --profile").data
    return values if isinstance(values, dict) else {}


def _executor(profile: Path) -> str:
    """Name of the executor plugin that a profile sets."""
    return str(_settings(profile).get("executor", "local"))


def _is_local(profile: Path) -> bool:
    """Whether jobs run on this machine."""
    return _executor(profile) == "local"


def _remove_left_over_parts(run_directory: Path, older_than: float) -> None:
    """Remove unfinished files of killed jobs; on a cluster only old ones, since a job of an earlier run may still be
    alive.
    """
    now = time.time()
    for part in (run_directory / "results").rglob(".*.part"):
        with suppress(FileNotFoundError):
            if now - part.stat().st_mtime >= older_than:
                part.unlink()


def usable_memory_mb() -> int:
    """Memory in MB that jobs on this machine may share: nine tenths of the memory that is free now."""
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(int(line.split()[1]) / 1024 * 0.9)
    return int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**20 * 0.5)


def launch(
    run_directory: Path,
    *,
    cores: int | None = None,
    profile: str = "workstation",
    dry_run: bool = False,
    verbose: bool = False,
    unlock: bool = False,
    extra: Sequence[str] = (),
) -> int:
    """Run the workflow and print its outcome.

    Returns
    -------
    int
        0 if everything has a result, 2 if some input was wrong, 1 if something failed that should not have failed.
    """
    run_directory = run_directory.resolve()
    profile_file = find_profile(profile, run_directory)
    began = time.time_ns()
    with run_lock(run_directory, unlock=unlock, dry_run=dry_run):
        if unlock:
            return 0
        local = _is_local(profile_file)
        if not dry_run:
            _leave_no_earlier_jobs(run_directory, local=local)
        plan = plan_run(run_directory)
        print_plan(plan)
        submits = _executor(profile_file) == "slurm"
        seconds = seconds_between_polls(len(plan.samples))
        command = snakemake_command(run_directory, profile_file, cores=cores, dry_run=dry_run, extra=extra)
        if submits:
            command += _polling(profile_file, extra, seconds)
        environment = {
            **os.environ,
            **writable_cache(run_directory),
            "FLOWMRD_COMMAND": shlex.join(["flowmrd", *sys.argv[1:]]),
            "FLOWMRD_STARTED": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        if dry_run:
            return _dry_run(command, environment, plan, submits=submits)
        _remove_left_over_parts(run_directory, older_than=0 if local else DAY)
        forget_failures(run_directory, plan.samples)
        code, forced = 1, any(word.startswith(("--force", "-F", "-f", "-R")) for word in extra)
        fresh = not (run_directory / "results" / "samples").is_dir()
        names = {*plan.samples, *(row.patient for row in plan.samples.values())}
        queue = (QueueWatch(lambda: jobs_in_queue(run_directory, names)), seconds) if submits else None
        for _ in range(MAX_PASSES):
            state = _present_state(run_directory)
            code, steps = _one_pass(command, environment, run_directory, local=local, verbose=verbose, queue=queue)
            if code == 0 and steps and not fresh and not forced:
                continue  # Snakemake does not look at the parameters of what comes after a job that runs: look again
            fresh = False
            if code == 0 and missing_results(plan, began):
                continue  # something removed a result after Snakemake had seen it
            if code in (0, 128 + signal.SIGINT, 128 + signal.SIGTERM):
                break
            try:
                again = _plan_again(run_directory, plan, changed=state != _present_state(run_directory))
            except InputError:
                break  # every tube failed: there is nothing left to go on with
            if again is None:
                break
            environment["FLOWMRD_SETTLED"] = "1"
            plan = again
    ended = print_summary(plan, code, began)
    if ended == 128 + signal.SIGTERM:  # the whole command was to end, also where it would go on to another run
        raise SystemExit(ended)
    return ended


def writable_cache(run_directory: Path) -> dict[str, str]:
    """Environment with a cache folder in the run directory, where the user's own cannot be written.

    Snakemake makes a folder there before anything else, and ends in a traceback where the home folder is read-only, as
    on some clusters and in containers.
    """
    with suppress(RuntimeError):  # no home folder at all
        place = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
        while not place.exists() and place != place.parent:
            place = place.parent
        if place.is_dir() and os.access(place, os.W_OK):
            return {}
    return {"XDG_CACHE_HOME": str(run_directory / STATE / "cache")}


def _polling(profile: Path, extra: Sequence[str], seconds: int) -> list[str]:
    """Option with the seconds between two queries of the executor plugin; empty where user or profile sets them."""
    given = POLLING in extra or POLLING.removeprefix("--") in _settings(profile)
    return [] if given else [POLLING, str(seconds)]


def _leave_no_earlier_jobs(run_directory: Path, *, local: bool) -> None:
    """Wait for jobs of an earlier run to end, and refuse to start beside those in a cluster's queue."""
    wait_for_orphans(run_directory)
    if not local:
        refuse_jobs_in_queue(run_directory)
        wait_for_cancelled_jobs(run_directory)


def _present_state(run_directory: Path) -> str:
    """Digest of the present configuration and code."""
    package_digest.cache_clear()
    return state_of(run_directory / CONFIG)


def _plan_again(run_directory: Path, plan: RunPlan, *, changed: bool) -> RunPlan | None:
    """Plan of another pass after one that failed; None where another pass would end in the same way."""
    if changed:
        print("Configuration or code was changed during the run; the run continues with the present ones.")  # noqa: T201
        plan = plan_run(run_directory)
        forget_failures(run_directory, plan.samples)
        return plan
    if set_back_future_times(run_directory / "results"):
        print("The clock was set back during the run; the run continues.")  # noqa: T201
        return plan
    again = plan_run(run_directory, include_failed=False)
    return again if again.samples.keys() != plan.samples.keys() else None


def _dry_run(command: Sequence[str], environment: dict[str, str], plan: RunPlan, *, submits: bool) -> int:
    """Print the planned work, and Snakemake's own output only if planning failed."""
    code, events, said = planned_events(command, environment, cwd=REPOSITORY)
    if code != 0:
        print(said, end="")  # noqa: T201
        return code
    print("\n".join(work_lines(events)))  # noqa: T201
    if submits:
        print("\n".join(lines(batch_jobs(events, plan))))  # noqa: T201
    return code


def _one_pass(
    command: Sequence[str],
    environment: dict[str, str],
    run_directory: Path,
    *,
    local: bool,
    verbose: bool,
    queue: tuple[QueueWatch, float] | None,
) -> tuple[int, int]:
    """Run Snakemake once; return its exit code and the number of finished jobs."""
    log = run_directory / LOGS / "snakemake.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _own_processes(environment) if local else nullcontext(environment) as variables:
            command = ends_with_the_launcher(command, variables)
            return run_and_follow(command, variables, cwd=REPOSITORY, log=log, verbose=verbose, queue=queue)
    except Terminated:
        return 128 + signal.SIGTERM, 0
    except KeyboardInterrupt:
        return 128 + signal.SIGINT, 0


@contextmanager
def _own_processes(environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """The environment for Snakemake and jobs on this machine. They end with this process, however it ends.

    SIGTERM would kill this process at once, and with it the jobs. Instead it is passed on, and Snakemake ends after the
    jobs that are at work.
    """

    def terminated(*_: object) -> NoReturn:
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminated)
    try:
        with ready_interpreter(environment, cwd=REPOSITORY) as variables:
            yield variables
    finally:
        signal.signal(signal.SIGTERM, before)
