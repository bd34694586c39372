"""State of a run's jobs on SLURM: waiting (and why), running (and on which node), failed (and why).

Jobs are recognised by their log files, which the executor plugin writes into the run directory. One ``squeue`` call
covers all of them; if the controller does not answer, the next call tries again.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

__all__ = ["QueueWatch", "QueuedJob", "jobs_in_queue", "seconds_between_polls"]

_COLUMNS: Final = {"JobID": 20, "State": 20, "Reason": 60, "NodeList": 60, "Comment": 300, "STDOUT": 1000}
_WAITING: Final = {
    "Resources": "no node has enough free processors or memory",
    "Priority": "jobs of higher priority come first",
    "Dependency": "another job must end first",
    "BeginTime": "SLURM tries it again shortly",
    "None": "SLURM has not looked at it yet",
    "JobHeldUser": "held: it starts after 'scontrol release' with its number",
    "JobHeldAdmin": "held by an administrator",
    "ReqNodeNotAvail": "the nodes that it may use are down or reserved",
    "Nodes required for job are DOWN": "the nodes that it may use are down or reserved",
    "PartitionDown": "its partition starts no jobs now",
    "PartitionInactive": "its partition starts no jobs now",
    "PartitionTimeLimit": "it asks for more time than its partition allows, and never starts there",
    "PartitionNodeLimit": "it asks for more than its partition allows, and never starts there",
    "PartitionConfig": "it asks for more than its partition allows, and never starts there",
    "BadConstraints": "no node has what it asks for, and it never starts: look at memory, partition and constraints",
    "MaxMemPerLimit": "it asks for more memory than the cluster allows, and never starts",
    "InvalidAccount": "the account is not valid, and it never starts: correct slurm_account in the profile",
    "InvalidQOS": "the quality of service is not valid, and it never starts: correct it in the profile",
    "launch failed requeued held": "its start failed, and it is held: ask who looks after the node",
    "Licenses": "no licence is free that it asks for",
}
_LIMITS: Final = {"QOS": "a limit of its quality of service is reached", "Assoc": "a limit of the account is reached"}
"""Beginnings of the reasons that name a limit."""
_ENDED: Final = {
    "CANCELLED": "cancelled by somebody or by the cluster",
    "FAILED": "failed",
    "OUT_OF_MEMORY": "failed: it needed more memory than it had asked for",
    "TIMEOUT": "failed: it took longer than it had asked for",
    "DEADLINE": "failed: its deadline passed",
    "NODE_FAIL": "failed: its node went down",
    "BOOT_FAIL": "failed: its node did not start",
    "PREEMPTED": "put aside for a job of higher priority",
}
"""SLURM's states and reasons in words; others are shown as SLURM names them."""


@dataclass(frozen=True)
class QueuedJob:
    """One line of ``squeue``.

    Attributes
    ----------
    name
        Tube, patient or panel of the job; otherwise its rule.
    """

    number: str
    name: str
    state: str
    reason: str = ""
    node: str = ""


def jobs_in_queue(run_directory: Path, names: Collection[str]) -> list[QueuedJob] | None:
    """Jobs of a run directory, including those that ended a short time ago; None where ``squeue`` fails.

    Parameters
    ----------
    names
        Tubes and patients of the run.
    """
    squeue = shutil.which("squeue")
    if squeue is None:
        return None
    columns = ",".join(f"{name}:{width}" for name, width in _COLUMNS.items())
    try:
        done = subprocess.run(  # noqa: S603
            [squeue, "--me", "--states=all", "--noheader", f"--Format={columns}"],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return jobs_of(done.stdout.splitlines(), f"{run_directory.resolve()}/.snakemake/slurm_logs/", names)


def jobs_of(lines: Iterable[str], logs: str, names: Collection[str]) -> list[QueuedJob]:
    """Jobs in the lines of ``squeue`` whose log lies below ``logs``."""
    found = []
    for line in lines:
        values, start = [], 0
        for width in _COLUMNS.values():
            values.append(line[start : start + width].strip())
            start += width
        number, state, reason, node, comment, log = values
        if log.startswith(logs):
            found.append(QueuedJob(number, _name_of(comment, names), state, reason, node))
    return found


def _name_of(comment: str, names: Collection[str]) -> str:
    """Name of a job from its comment, such as ``rule_laip_wildcards_P01`` or, for a group,
    ``rule_P01-dx_prepare_laip``.
    """
    rule, _, of = comment.removeprefix("rule_").partition("_wildcards_")
    begun = [name for name in names if rule == name or rule.startswith(f"{name}_")]
    return max(begun, key=len, default=of or rule)


def seconds_between_polls(tubes: int) -> int:
    """Seconds between two ``squeue`` calls: few for a small cohort, more for a large one, to spare the controller."""
    return min(max(tubes // 5, 5), 40)


@dataclass
class QueueWatch:
    """Reports changes of the queue since the last call."""

    ask: Callable[[], list[QueuedJob] | None]
    _known: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Take note of jobs of an earlier run, so that they are not reported."""
        self._known = {job.number: self._said(job) or "" for job in self.ask() or ()}

    def lines(self) -> list[str]:
        """One line for every job that started waiting, started running or failed since the last call."""
        told = []
        for job in self.ask() or ():
            said = self._said(job)
            if said is not None and self._known.get(job.number) != said:
                told.append(f"  {job.name}: {said} (SLURM job {job.number})")
                self._known[job.number] = said
        return told

    @staticmethod
    def _said(job: QueuedJob) -> str | None:
        if job.state == "PENDING":
            return f"waiting in the queue: {_why_waiting(job.reason)}"
        if job.state == "RUNNING":
            return f"running on {job.node}"
        if job.state in _ENDED:
            why = job.reason if job.reason not in ("", "None", job.state) else ""
            return _ENDED[job.state] + (f" ({why})" if why else "")
        return None  # completed, or on its way from one state to the next


def _why_waiting(reason: str) -> str:
    """SLURM's reason in words, as SLURM names it where there are none. It may go on with names of nodes."""
    first = reason.partition(",")[0]
    limit = next((said for word, said in _LIMITS.items() if first.startswith(word)), None)
    return _WAITING.get(first) or (f"{limit} ({reason})" if limit else reason)
