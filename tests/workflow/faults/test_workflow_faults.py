"""What breaks around a run: each fault has a clear outcome, and nothing that is there afterwards is wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from workflow.runs import digests, flowmrd, planned

pytestmark = [pytest.mark.workflow, pytest.mark.timeout(1800)]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own that is soon full."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2500k", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small disk is not allowed here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_is_told_and_leaves_nothing_half_written(
    small_disk: Path, few: Callable[[Sequence[str]], Path]
) -> None:
    run = small_disk / "run"
    shutil.copytree(few(["CTRL01"]), run)
    (run / "results/work/CTRL01").mkdir(parents=True)
    with (small_disk / "other-data").open("wb") as ballast:
        free = shutil.disk_usage(small_disk).free
        ballast.write(b"x" * max(0, free - 200_000))
    done = flowmrd("run", run, "--cores", 1)
    assert done.returncode != 0
    assert "disk is full" in done.stdout or "No space left" in done.stdout + done.stderr
    assert not list(run.glob("results/**/*.arrow"))
    assert not list(run.glob("results/**/*.part"))
    (small_disk / "other-data").unlink()


def test_a_replaced_fcs_file_redoes_that_tube(finished: Path, tmp_path: Path) -> None:
    run = tmp_path / "copy"
    shutil.copytree(finished, run)
    shutil.copyfile(run / "fcs/P01-day21.fcs", run / "fcs/P02-day21.fcs")
    jobs = planned(run)
    assert any(job.startswith("P02-day21: reading") for job in jobs)
    assert [job for job in jobs if not job.startswith(("P02-day21:", "cohort:", "provenance:"))] == []


def test_a_clock_that_goes_back_redoes_nothing(finished: Path, tmp_path: Path) -> None:
    """Files whose time lies in the future are not newer than what was made of them."""
    run = tmp_path / "copy"
    shutil.copytree(finished, run)
    for path in (run / "results").rglob("*"):
        if path.is_file():
            stat = path.stat()
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns - 10 * 365 * 86400 * 10**9))
    assert planned(run) == []


def test_a_fault_in_one_place_does_not_change_the_bytes_of_the_rest(finished: Path, tmp_path: Path) -> None:
    run = tmp_path / "copy"
    shutil.copytree(finished, run)
    (run / "results/samples/P01-day21/mrd.json").write_text('{"half": ')
    (run / "results/samples/P01-day21/mrd.json").unlink()
    done = flowmrd("run", run, "--cores", 2)
    assert done.returncode == 0, done.stdout + done.stderr
    assert digests(run) == digests(finished)
