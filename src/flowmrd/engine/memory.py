"""Refusing work that does not fit into the granted memory, with the amount to request.

The grant is the smallest of four limits: ``--mem-mb`` (the rule's ``mem_mb``), SLURM's variables, the control groups of
the process, and the shell's limit (``ulimit -v``). An immediate refusal with a number is better than a job that is
killed after an hour without a message.
"""

from __future__ import annotations

import math
import os
import resource
from collections.abc import Iterable
from pathlib import Path

from flowmrd.errors import ResourceError

_GRANT_VARIABLE = "FLOWMRD_MEM_MB"
BASE_MB = 250
"""Interpreter with numpy, pyarrow and scikit-learn loaded; measured 150 to 230 MB."""

SNAKEMAKE_MB = 350
"""Memory of Snakemake's own two processes in a cluster job, which counts towards the job's grant."""
CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")


def grant(mem_mb: int) -> None:
    """Store the memory granted to the rule, for this process and its children."""
    os.environ[_GRANT_VARIABLE] = str(mem_mb)


def granted_mb() -> int | None:
    """Memory granted to this process in MB; ``None`` where there is no limit."""
    limits: list[int] = []
    for name in (_GRANT_VARIABLE, "SLURM_MEM_PER_NODE"):
        if os.environ.get(name, "").isdigit():
            limits.append(int(os.environ[name]))
    per_cpu, cpus = os.environ.get("SLURM_MEM_PER_CPU", ""), os.environ.get("SLURM_CPUS_ON_NODE", "")
    if per_cpu.isdigit() and cpus.isdigit():
        limits.append(int(per_cpu) * int(cpus))
    limits += _limits_of_control_groups()
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        limits.append(soft // 2**20)
    positive = [limit for limit in limits if limit > 0]
    return min(positive, default=None)


def _limits_of_control_groups() -> list[int]:
    """Limits in MB of the control groups of this process, its own and those above (versions 1 and 2)."""
    try:
        lines = OWN_CGROUPS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    files = []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, inside = rest.partition(":")
        if controllers == "":
            root, name = CGROUPS, "memory.max"
        elif "memory" in controllers.split(","):
            root, name = CGROUPS / "memory", "memory.limit_in_bytes"
        else:
            continue
        group = Path(inside.lstrip("/"))
        # inside a container the path may be that of the host, so missing files are ignored
        files += [root / part / name for part in (group, *group.parents)]
    limits = []
    for file in files:
        try:
            text = file.read_text().strip()
        except OSError:
            continue
        if text.isdigit() and int(text) < 2**60:
            limits.append(int(text) // 2**20)
    return limits


def require(need_mb: float, where: str) -> None:
    """Raise unless ``need_mb`` fits into the granted memory.

    Raises
    ------
    ResourceError
        If it does not; the message gives the amount to request.
    """
    limit = granted_mb()
    if limit is not None and need_mb > limit:
        ask = int(math.ceil(need_mb / 100) * 100)
        raise ResourceError(
            where,
            found=f"{limit} MB of memory granted",
            expected=f"at least {math.ceil(need_mb)} MB for a file of this size",
            todo=f"grant mem_mb={ask} (snakemake --set-resources RULE:mem_mb={ask}, or more memory for the job)",
        )


def require_for_files(paths: Iterable[Path], *, factor: float, where: str) -> None:
    """Check the memory of a stage that needs ``BASE_MB`` plus ``factor`` times the size of its inputs."""
    total = sum(path.stat().st_size for path in paths if path.is_file())
    others = SNAKEMAKE_MB if "SLURM_JOB_ID" in os.environ else 0
    require(BASE_MB + others + factor * total / 2**20, where)
