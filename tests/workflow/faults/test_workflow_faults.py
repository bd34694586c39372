"""What breaks around a run: each fault has a clear outcome, and nothing that is there afterwards is wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from workflow.runs import digests, flowmrd, planned, snakemake

pytestmark = [pytest.mark.workflow, pytest.mark.timeout(1800)]

DAY = 86400 * 10**9


def mount(folder: Path, *options: str) -> None:
    if subprocess.run(["mount", *options, str(folder)], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")


def unmount(folder: Path) -> None:
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own that is soon full."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount(folder, "-t", "tmpfs", "-o", "size=60m", "tmpfs")
    try:
        yield folder
    finally:
        unmount(folder)


def test_a_full_disk_is_reported_and_once_there_is_space_the_same_command_continues(
    small_disk: Path, pair: Path, finished_pair: Path
) -> None:
    run = Path(shutil.copytree(pair, small_disk / "run"))
    (run / "results").mkdir()
    ballast = small_disk / "other-data"
    with ballast.open("wb") as file:
        file.write(b"x" * (shutil.disk_usage(small_disk).free - 400_000))
    done = flowmrd("run", run, "--cores", 1)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "the disk is full" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert not list(run.glob("results/**/*.part"))
    ballast.unlink()
    again = flowmrd("run", run, "--cores", 2)
    assert again.returncode == 0, again.stdout + again.stderr
    assert digests(run) == digests(finished_pair)


@pytest.mark.parametrize("what", ["results", "."])
def test_a_folder_that_cannot_be_written_is_reported(pair: Path, tmp_path: Path, what: str) -> None:
    run = Path(shutil.copytree(pair, tmp_path / "run"))
    (run / "results").mkdir()
    folder = (run / what).resolve()
    mount(folder, "--bind", str(folder))
    try:
        mount(folder, "-o", "remount,bind,ro")
        done = flowmrd("run", run, "--cores", 1)
    finally:
        unmount(folder)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Read-only file system" in done.stdout + done.stderr
    assert str(run) in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_replaced_fcs_file_redoes_that_tube(finished: Path, drawn_again: Path, tmp_path: Path) -> None:
    run = tmp_path / "copy"
    shutil.copytree(finished, run)
    shutil.copyfile(drawn_again / "P02-day21.fcs", run / "fcs/P02-day21.fcs")
    jobs = planned(run)
    assert any(job.startswith("P02-day21: ") for job in jobs)
    assert [job for job in jobs if not job.startswith(("P02-day21:", "cohort:", "provenance:"))] == []


def shift_times(folder: Path, nanoseconds: int) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            stat = path.stat()
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + nanoseconds))


def test_a_clock_that_went_ahead_redoes_nothing(finished: Path, tmp_path: Path) -> None:
    """Results that are older than everything else are still the results."""
    run = Path(shutil.copytree(finished, tmp_path / "copy"))
    shift_times(run / "results", -3650 * DAY)
    assert planned(run) == []


def test_a_clock_that_goes_back_stops_nothing_and_redoes_nothing(
    pair: Path, finished_pair: Path, tmp_path: Path
) -> None:
    """Files of an instrument whose clock is ahead, and results from before the clock was put right."""
    run = Path(shutil.copytree(finished_pair, tmp_path / "run"))
    for file in (run / "fcs").iterdir():
        os.utime(file, ns=(time.time_ns() + 400 * DAY,) * 2)
    shift_times(run / "results", 30 * DAY)
    shutil.rmtree(run / "results/samples/P01-day21")
    done = flowmrd("run", run, "--cores", 2)
    assert done.returncode == 0, done.stdout + done.stderr
    assert digests(run) == digests(finished_pair)
    assert "Nothing to be done" in (again := snakemake(run, "--dry-run")).stdout + again.stderr


def test_a_fault_in_one_place_does_not_change_the_bytes_of_the_rest(finished_pair: Path, tmp_path: Path) -> None:
    run = tmp_path / "copy"
    shutil.copytree(finished_pair, run)
    (run / "results/samples/P01-day21/mrd.json").unlink()
    done = flowmrd("run", run, "--cores", 2)
    assert done.returncode == 0, done.stdout + done.stderr
    assert digests(run) == digests(finished_pair)


def test_results_of_a_file_replaced_by_a_broken_one_are_moved_away(finished_pair: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(finished_pair, tmp_path / "copy"))
    (run / "fcs/P01-day21.fcs").write_bytes(b"no FCS any more")
    done = flowmrd("run", run, "--cores", 2)
    assert done.returncode == 2, done.stdout + done.stderr
    assert not (run / "results/samples/P01-day21").exists()
    assert (run / "results/superseded/P01-day21/report.html").is_file()
    assert "P01-day21" in (run / "results/cohort/mrd.tsv").read_text()
    assert flowmrd("verify", run).returncode == 0


def test_a_drive_that_is_away_for_a_moment_takes_no_result_away(finished_pair: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(finished_pair, tmp_path / "copy"))
    (run / "fcs/P01-day21.fcs").rename(run / "away.fcs")
    assert flowmrd("run", run, "--cores", 2).returncode == 2
    assert (run / "results/samples/P01-day21/report.html").is_file()
    (run / "away.fcs").rename(run / "fcs/P01-day21.fcs")
    assert not [job for job in planned(run) if job.startswith(("P01-day21:", "CTRL01:"))]
