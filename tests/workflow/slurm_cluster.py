"""A real one-node SLURM of the test's own: free ports, own state, own munge; only what was started is stopped."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "sinfo", "srun")
SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"


def missing_programs() -> list[str]:
    """Programs that a test needs and this machine lacks."""
    path = f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}"
    return [name for name in PROGRAMS if shutil.which(name, path=path) is None]


@dataclass
class Cluster:
    """A running cluster."""

    folder: Path
    environment: dict[str, str]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, *command: str) -> None:
        """Start a daemon in the foreground, as a child."""
        log = (self.folder / f"{name}.out").open("ab")
        self.processes[name] = subprocess.Popen(
            command, env=self.environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
        )
        log.close()

    def start_slurmd(self) -> None:
        """Start the node."""
        self.start("slurmd", "slurmd", "-D", "-f", str(self.folder / "slurm.conf"), "-N", node_name())

    def call(self, *command: str) -> str:
        """Run a client command."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60)
        return done.stdout + done.stderr

    def wait_until_idle(self, seconds: float = 60) -> None:
        """Wait for the node to take jobs."""
        end = time.monotonic() + seconds
        while "idle" not in (state := self.call("sinfo", "--noheader", "--format=%t")):
            if time.monotonic() > end:
                logs = "\n".join(path.read_text(errors="replace")[-2000:] for path in self.folder.glob("*.out"))
                raise RuntimeError(f"SLURM did not come up: {state}\n{logs}")
            time.sleep(0.5)

    def stop(self) -> None:
        """Stop what was started, last first."""
        for process in reversed(self.processes.values()):
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def node_name() -> str:
    """Short host name."""
    return socket.gethostname().split(".")[0]


def _free_ports(count: int) -> list[int]:
    listeners = [socket.socket() for _ in range(count)]
    for listener in listeners:
        listener.bind(("127.0.0.1", 0))
    ports = [int(listener.getsockname()[1]) for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def _memory_mb() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20


@contextmanager
def one_node_slurm(folder: Path) -> Iterator[Cluster]:
    """Run a cluster in a folder with a short path (Unix sockets allow 100 characters)."""
    for name in ("state", "spool", "munge"):
        (folder / name).mkdir(parents=True)
    (folder / "munge").chmod(0o755)
    folder.chmod(0o755)
    controller, node = _free_ports(2)
    key, munge_socket = folder / "munge/key", folder / "munge/socket"
    key.write_bytes(secrets.token_bytes(1024))
    key.chmod(0o400)
    user = "root" if os.geteuid() == 0 else str(os.geteuid())
    (folder / "slurm.conf").write_text(
        f"""ClusterName=test
SlurmctldHost={node_name()}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={munge_socket}
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
ReturnToService=2
JobAcctGatherType=jobacct_gather/none
SlurmctldTimeout=30
SlurmdTimeout=30
MessageTimeout=60
MinJobAge=300
NodeName={node_name()} NodeAddr=127.0.0.1 CPUs={os.cpu_count()} RealMemory={_memory_mb() - 100} State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
    )
    # the plugin takes SLURM's variables out of a job's environment, and the configuration is not in /etc here
    (folder / "bin").mkdir()
    wrapper = folder / "bin/srun"
    wrapper.write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {shutil.which("srun")} "$@"\n')
    wrapper.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{folder}/bin:{os.environ.get('PATH', '')}:{SYSTEM_PATH}",
        "SLURM_CONF": str(folder / "slurm.conf"),
        "OMP_NUM_THREADS": "1",
    }
    cluster = Cluster(folder, environment)
    try:
        cluster.start(
            "munged",
            "munged",
            "--foreground",
            "--force",
            f"--socket={munge_socket}",
            f"--key-file={key}",
            f"--log-file={folder}/munge/log",
            f"--pid-file={folder}/munge/pid",
            f"--seed-file={folder}/munge/seed",
            "--num-threads=2",
        )
        end = time.monotonic() + 20
        while not munge_socket.exists() and time.monotonic() < end:
            time.sleep(0.1)
        cluster.start("slurmctld", "slurmctld", "-D", "-f", str(folder / "slurm.conf"))
        cluster.start_slurmd()
        cluster.wait_until_idle()
        yield cluster
    finally:
        cluster.stop()
