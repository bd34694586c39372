"""``make soak``: kill runs at random moments, many times, and compare what comes out with an undisturbed run.

    python -m benchmarks.soak [--kills 40] [--slurm-kills 20] [--inputs 40000] [--seed 1] [--folder F] [--page PAGE]
    python -m benchmarks.soak --stages    # only the kills at every stage's start, middle and end

Killed with SIGKILL, in turn, on this machine: the whole run (launcher, Snakemake and jobs), the launcher alone,
Snakemake alone (its jobs live on), one job; and on a one-node SLURM that the campaign starts itself: the run on the
login node (its jobs stay in the queue), a job on the node, the node's daemon (started again after a while). Besides
these random moments the whole run is killed at the start, in the middle and at the end of every stage, one after the
other. After each kill the same command is given again, and what its message says is done, until the run ends well.
Then every result file is compared by digest. After that all other input files are damaged at random
(``benchmarks.fuzz_inputs``) and the readers of other packages get the faults of ``benchmarks.peers``.
The tables go into docs/reliability.md.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from benchmarks import fuzz_inputs, peers
from benchmarks.pages import put_between_marks
from flowmrd.engine.stage_table import STAGES
from flowmrd.home import PANELS, REPOSITORY
from flowmrd.panel import load_panel
from flowmrd.stages.simulate import simulate
from workflow.runs import ENVIRONMENT, digests, session_members
from workflow.slurm_cluster import Cluster, missing_programs, one_node_slurm

HERE = ("run", "launcher", "Snakemake", "job")
ON_SLURM = ("run on the login node", "job on the node", "node daemon")
SURVIVED = ("job", "job on the node", "node daemon")
"""Victims whose death the run itself survives."""

MOMENTS = {"start": 0.0, "middle": 0.5, "end": 0.95}
"""Share of a stage's undisturbed time after which the run is killed."""
KILLS_A_RUN = 6
MAX_STARTS = 15
FAST = ("--slurm-init-seconds-before-status-checks", "2", "--seconds-between-status-checks", "2", "--latency-wait", "5")


@dataclass
class Campaign:
    """Runs of one template on one kind of machine, what was killed, and what came of it."""

    folder: Path
    template: Path
    victims: tuple[str, ...]
    draw: random.Random
    cluster: Cluster | None = None
    expected: dict[str, str] = field(default_factory=dict)
    length: float = 0.0
    jobs: int = 1
    seconds: dict[str, float] = field(default_factory=dict)
    """Length of a job of every stage, undisturbed."""

    killed: Counter[str] = field(default_factory=Counter)
    starts: int = 0
    runs: int = 0
    lost: int = 0
    sessions: list[int] = field(default_factory=list)

    def start(self, run: Path) -> subprocess.Popen[bytes]:
        """Give the command, in a session of its own; what it says goes to a file beside the run."""
        arguments = ("--cores", "2") if self.cluster is None else ("--profile", "slurm", "--", *FAST)
        environment = ENVIRONMENT if self.cluster is None else self.cluster.environment
        with self.said(run).open("wb") as stream:
            process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "flowmrd", "run", str(run), *arguments],
                env=environment,
                cwd=REPOSITORY,
                start_new_session=True,
                stdout=stream,
                stderr=stream,
            )
        self.starts += 1
        self.sessions.append(process.pid)
        return process

    def said(self, run: Path) -> Path:
        """File with the words of the last start of a run."""
        return self.folder / f"{run.name}.said"

    def undisturbed(self) -> Path:
        """Run once in peace: its results and its length are the measure."""
        run = Path(shutil.copytree(self.template, self.folder / "undisturbed"))
        began = time.monotonic()
        if self.start(run).wait() != 0:
            raise SystemExit(f"the undisturbed run failed:\n{self.said(run).read_text()}")
        self.length, self.expected = time.monotonic() - began, digests(run)
        used = sorted(run.glob("results/benchmarks/**/*.tsv"))
        self.jobs = len(used)
        for path in used:
            stage = path.stem if path.stem in STAGES else path.parent.name
            self.seconds[stage] = float(path.read_text(encoding="utf-8").split()[3])
        return run

    def at_every_stage(self, tell: Callable[[], object]) -> None:
        """Kill the whole run at one moment of every stage, in the order of the stages, and go on; a run a moment."""
        for moment, share in MOMENTS.items():
            run = Path(shutil.copytree(self.template, self.folder / f"at-{moment}"))
            for stage in STAGES:
                if stage in self.seconds and self._kill_in_stage(run, stage, share * self.seconds[stage]):
                    self.killed[f"run, at the {moment} of a stage"] += 1
            self._compare(run, tell)

    def _kill_in_stage(self, run: Path, stage: str, seconds: float) -> bool:
        """Start, and kill everything so long after a job of the stage has begun; False if none began any more."""
        process = self.start(run)
        while process.poll() is None:
            time.sleep(0.02)
            if jobs_in(run, stage):
                time.sleep(seconds)
                self._kill("run", self._choose("run", process.pid, run))
                process.wait()
                return True
        self._obey(run)
        return False

    def go(self, kills: int, tell: Callable[[], object]) -> None:
        """Run the campaign; tell after each run."""
        while self.killed.total() < kills:
            run = Path(shutil.copytree(self.template, self.folder / f"run{self.runs}"))
            for _ in range(min(KILLS_A_RUN, kills - self.killed.total())):
                if not self._kill_once(run):
                    break
            self._compare(run, tell)

    def _compare(self, run: Path, tell: Callable[[], object]) -> None:
        """Bring a run to its end, and compare it with the undisturbed one."""
        code = self._finish(run)
        same = code == 0 and digests(run) == self.expected and not list(run.rglob("*.part"))
        self.runs += 1
        self.lost += not same
        outcome = "identical" if same else f"DIFFERENT (exit code {code}): {run}"
        print(f"run {self.runs}: {outcome}, {self.killed.total()} kills so far", flush=True)  # noqa: T201
        tell()
        if same:
            shutil.rmtree(run)

    def _kill_once(self, run: Path) -> bool:
        """Start, and kill the next victim at a random moment; False if the run was finished first."""
        victim = self.victims[self.killed.total() % len(self.victims)]
        for _ in range(MAX_STARTS):
            process = self.start(run)
            moment = time.monotonic() + self.draw.uniform(0.02, 0.7) * self.length * self._left(run)
            while process.poll() is None:
                time.sleep(0.05)
                if time.monotonic() > moment and (chosen := self._choose(victim, process.pid, run)):
                    self._kill(victim, chosen)
                    self.killed[victim] += 1
                    process.wait()
                    return True
            if process.returncode == 0:
                return False
            self._obey(run)
        return False

    def _left(self, run: Path) -> float:
        """Share of the jobs of a run that are still to be done, so that the moment of a kill lies within them."""
        done = sum(1 for _ in run.glob("results/benchmarks/**/*.tsv"))
        return max(0.1, 1 - done / self.jobs)

    def _choose(self, victim: str, session: int, run: Path) -> list[int]:
        """Processes to kill; none where the victim is not there at this moment."""
        members = session_members(session)
        if victim == "launcher":
            return [session]
        if victim == "Snakemake":
            return [pid for pid, command in members.items() if b"snakemake" in command and b"--mem-mb" not in command]
        if victim in ("job", "job on the node"):
            return jobs_in(run)
        if victim == "node daemon" and self.cluster is not None:
            return [self.cluster.processes["slurmd"].pid]
        return list(members)

    def _kill(self, victim: str, processes: list[int]) -> None:
        for pid in processes:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if victim == "node daemon" and self.cluster is not None:
            self.cluster.processes["slurmd"].wait()
            time.sleep(self.draw.uniform(0, 20))
            self.cluster.start_slurmd()

    def _obey(self, run: Path) -> None:
        """Do what the message of a start that was refused says."""
        said = self.said(run).read_text(errors="replace")
        if (command := re.search(r"scancel [\d ]+", said)) and self.cluster is not None:
            self.cluster.call(*command[0].split())
            self.cluster.wait_until_idle()
        elif command := re.search(r"stop it first: kill ([\d ]+)", said):
            for pid in map(int, command[1].split()):
                with suppress(OSError):
                    if Path(f"/proc/{pid}/cwd").resolve() == run.resolve():  # one of ours
                        os.kill(pid, signal.SIGKILL)
            time.sleep(0.5)

    def _finish(self, run: Path) -> int:
        """Give the command, and do what it says, until it ends well; the last exit code."""
        code = 1
        for _ in range(MAX_STARTS):
            code = self.start(run).wait()
            if code == 0:
                break
            self._obey(run)
        return code

    def end(self) -> None:
        """End what is left of what was started."""
        for session in self.sessions:
            for pid in session_members(session):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def rows(self) -> list[str]:
        """Lines of the table."""
        victims = dict.fromkeys([*self.victims, *self.killed])
        return [f"| {victim} | {self.killed[victim]} |" for victim in victims]


def jobs_in(run: Path, stage: str = "") -> list[int]:
    """Stage processes that work in a run directory, in whatever session; of one stage if it is named."""
    word = stage.replace("_", "-").encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (folder / "cmdline").read_bytes()
            if b"--mem-mb" not in command or b"bash" in command or (folder / "cwd").resolve() != run.resolve():
                continue
            if not stage or word in command.split(b"\0"):
                found.append(int(folder.name))
    return found


def make_run(folder: Path) -> Path:
    """A small run directory: one control, one patient at diagnosis and follow-up."""
    simulate(folder, preset="small", panel=load_panel(PANELS / "ino10.yaml"), nucleated=3000)
    sheet = folder / "config/samples.tsv"
    lines = sheet.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines[1:] if line.split("\t")[0] in ("CTRL01", "P02-dx", "P02-day21")]
    sheet.write_text("\n".join([lines[0], *kept]) + "\n", encoding="utf-8")
    config = folder / "config/config.yaml"
    config.write_text(config.read_text(encoding="utf-8") + "reference: {min_controls: 1}\n", encoding="utf-8")
    return folder


def on_slurm(there: Campaign, kills: int, expected: dict[str, str], tell: Callable[[], object]) -> None:
    """The campaign on a cluster that is there for it alone."""
    with tempfile.TemporaryDirectory(prefix="slurm") as short, one_node_slurm(Path(short)) as cluster:
        there.cluster = cluster
        there.folder.mkdir()
        there.undisturbed()
        if there.expected != expected:
            raise SystemExit("the undisturbed run on SLURM has other results than the one on this machine")
        there.go(kills, tell)


def kill_stages(folder: Path) -> int:
    """The kills at every stage alone, their table printed; number of runs with a lost or different file."""
    campaign = Campaign(folder, make_run(folder / "template"), (), random.Random(0))  # noqa: S311
    try:
        campaign.undisturbed()
        campaign.at_every_stage(lambda: None)
        print(kill_table([campaign]))  # noqa: T201
    finally:
        campaign.end()
    return campaign.lost


def kill_campaigns(folder: Path, kills: int, slurm_kills: int, seed: int, page: Path) -> int:
    """Both campaigns at the same time, the page told after each run; number of runs with a lost or different file."""
    template = make_run(folder / "template")
    # moments of kills, not secrets
    here = Campaign(folder, template, HERE, random.Random(seed))  # noqa: S311
    campaigns = [here]
    writing = Lock()

    def tell() -> None:
        with writing:
            put_between_marks(page, "kills", kill_table(campaigns))

    try:
        here.undisturbed()
        with ThreadPoolExecutor(2) as pool:
            work = [pool.submit(here.go, kills, tell)]
            if slurm_kills and not missing_programs():
                there = Campaign(folder / "slurm", template, ON_SLURM, random.Random(seed + 1))  # noqa: S311
                campaigns.append(there)
                work.append(pool.submit(on_slurm, there, slurm_kills, here.expected, tell))
            for done in work:
                done.result()
        here.at_every_stage(tell)
    finally:
        for campaign in campaigns:
            campaign.end()
    return sum(campaign.lost for campaign in campaigns)


def kill_table(campaigns: list[Campaign]) -> str:
    """What was killed how often, and what came of it."""
    rows = [row for campaign in campaigns for row in campaign.rows()]
    total = sum(campaign.killed.total() for campaign in campaigns)
    text = (
        f"{total} kills in {sum(campaign.runs for campaign in campaigns)} runs, the command given "
        f"{sum(campaign.starts for campaign in campaigns)} times in all; {len(campaigns[0].expected)} result files of "
        f"each run compared with those of an undisturbed one; runs with a lost or different file: "
        f"{sum(campaign.lost for campaign in campaigns)}."
    )
    return "\n".join(["| killed | times |", "|---|---|", *rows, "", text])


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--slurm-kills", type=int, default=20)
    parser.add_argument("--inputs", type=int, default=40_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stages", action="store_true", help="only the kills at every stage; no page is written")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--page", type=Path, default=REPOSITORY / "docs" / "reliability.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak") as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if options.stages:
            return int(kill_stages(folder) > 0)
        lost = kill_campaigns(folder, options.kills, options.slurm_kills, options.seed, options.page)
        outcomes, bad = fuzz_inputs.campaign(folder / "undisturbed", options.inputs, options.seed)
        print("\n".join(bad))  # noqa: T201
        put_between_marks(options.page, "inputs", fuzz_inputs.table(outcomes))
        put_between_marks(options.page, "peers", peers.table())
    return int(lost > 0 or bool(bad))


if __name__ == "__main__":
    sys.exit(main())
