"""The same faults for flowmrd and for the packages that people read FCS files with in Python.

    python -m benchmarks.peers

Each file is wrong in one way and given to each reader in a process of its own, with 2 GB of memory. An answer is
*right* where number of events and sums of all channels are those that were put into the file. The last line looks at
what stays behind when a disk becomes full while a result is written.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "fcs"))

from fcs_builder import build, keywords

READERS = ("flowmrd", "FlowKit", "FlowIO", "fcsparser")
PACKAGES = {"FlowKit": "flowkit", "FlowIO": "flowio", "fcsparser": "fcsparser"}
MEMORY = 2 << 30
SECONDS = 300
CHANNELS = 4
EVENTS = 5000
Values = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Fault:
    """A file that is wrong in one way; ``whole`` where a reader can know all values nevertheless."""

    name: str
    content: bytes
    whole: bool = True


def faults() -> list[Fault]:
    """Files to read, the sound one first."""
    values = values_of_all()
    data = values.astype("<f4").tobytes()
    bits = [32] * CHANNELS

    def words(events: int | None = EVENTS, **extra: str) -> dict[str, str]:
        return dict(keywords(events, bits, datatype="F", extra={**extra}))

    sound = build(words(), data)
    holed = values.copy()
    holed[7, 2] = np.nan
    text_end = sound.index(b"/$BEGINDATA") + 20
    return [
        Fault("nothing wrong", sound),
        Fault("big-endian floats", build(words(EVENTS, **{"$BYTEORD": "4,3,2,1"}), values.astype(">f4").tobytes())),
        Fault("a keyword with an empty value", build(words(OPERATOR=""), data)),
        Fault("cut in the middle", sound[: len(sound) // 2], whole=False),
        Fault("the last event is missing", sound[: -CHANNELS * 4], whole=False),
        Fault("$TOT promises an event too many", build(words(EVENTS + 1), data), whole=False),
        Fault("the header promises 10⁹ events", build(words(1_000_000_000), data), whole=False),
        Fault("line ends changed in transfer", sound[:text_end] + b"\r" + sound[text_end:], whole=False),
        Fault("a value is no number", build(words(), holed.astype("<f4").tobytes())),
        Fault("another file under the name", b"patient,percent\n" * 2000, whole=False),
    ]


def values_of_all() -> Values:
    """Values of shape (n_events, n_channels), exact in float32."""
    return np.random.default_rng(5).integers(0, 100_000, (EVENTS, CHANNELS)).astype(np.float32)


def read(reader: str, path: Path) -> tuple[int, list[float]]:
    """Number of events and sums of all channels."""
    if reader == "flowmrd":
        from flowmrd.stages.inspect import inspect

        one = inspect(path, sums=True)["data_sets"][0]
        for finding in one["findings"]:
            if finding["code"] != "no_clock":  # of every file here
                warnings.warn(finding["message"], stacklevel=2)
        return one["events"], [float(value) for value in one["sums"]]
    if reader == "FlowKit":
        import flowkit

        values = flowkit.Sample(path, preprocess=False, subsample=1).get_events("raw")
    elif reader == "FlowIO":
        import flowio

        data = flowio.FlowData(path)
        values = np.reshape(data.events, (-1, data.channel_count))
    else:
        import fcsparser

        values = fcsparser.parse(str(path))[1].to_numpy()
    return len(values), np.sum(np.asarray(values, dtype=np.float64), axis=0).tolist()


def outcome(reader: str, fault: Fault, folder: Path) -> str:
    """One cell of the table."""
    path = folder / "file.fcs"
    path.write_bytes(fault.content)
    try:
        done = subprocess.run(  # noqa: S603
            [sys.executable, __file__, reader, str(path)], capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"no answer in {SECONDS} s"
    if done.returncode < 0:
        return f"died ({signal.Signals(-done.returncode).name})"
    if done.returncode:
        return "died"
    answer = json.loads(done.stdout.splitlines()[-1])
    if "error" in answer:
        return f"{'refused' if answer['meant'] else 'crash'}: {answer['error']}"
    expected = np.nansum(values_of_all(), axis=0, dtype=np.float64)
    if "no number" in fault.name:
        right = answer["events"] == EVENTS and np.isnan(answer["sums"][2])
        return "given as NaN" if right else "**wrong values**"
    right = answer["events"] == EVENTS and np.allclose(answer["sums"], expected, rtol=1e-9)
    if right and fault.whole:
        return "right"
    if right:
        return "right, and says what is wrong" if answer["warned"] else "right, without a word"
    return "wrong values, with a warning" if answer["warned"] else "**wrong values, without a word**"


def answer_one(reader: str, path: Path) -> None:
    """Child process: read one file and print what came out."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    meant = {"InputError", "FCSParsingError", "FCSFileFormatError", "FlowIOException", "FlowKitException"}
    meant |= {"ParserFeatureNotImplementedError"}  # the name of fcsparser's own exception
    try:
        with redirect_stdout(StringIO()), warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            events, sums = read(reader, path)
        answer: dict[str, object] = {"events": events, "sums": sums, "warned": bool(said)}
    except BaseException as error:  # every way of failing is an answer here
        names = {kind.__name__ for kind in type(error).__mro__}
        answer = {"error": type(error).__name__, "meant": bool(names & meant)}
    print(json.dumps(answer))  # noqa: T201


def full_disk(write: Callable[[Path], None], folder: Path) -> str:
    """What stays of a result when the disk is full halfway (a limit on the size of files stands for it)."""
    target = folder / "result.fcs"
    pid = os.fork()
    if pid == 0:
        os.close(2)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
        code = 1
        try:
            write(target)
            code = 0
        finally:
            os._exit(code)
    os.waitpid(pid, 0)
    left = target.stat().st_size if target.is_file() else 0
    target.unlink(missing_ok=True)
    return f"**{left:,} bytes of {EVENTS * CHANNELS * 4:,} under the result's name**" if left else "nothing is left"


def writers() -> dict[str, Callable[[Path], None]]:
    """Ways to write the values of all events as an FCS file."""
    values = values_of_all()
    names = [f"FL{number}-A" for number in range(1, CHANNELS + 1)]

    def flowmrd(path: Path) -> None:
        from flowmrd.fcs.writer import ChannelSpec, write_fcs
        from flowmrd.store import atomic_path

        with atomic_path(path) as temporary:
            write_fcs(temporary, list(values.T), [ChannelSpec(name, "", 262144) for name in names])

    import flowkit as kit

    sample = kit.Sample(values, sample_id="x", channel_labels=names)

    def flowkit(path: Path) -> None:
        sample.export(path.name, source="raw", directory=str(path.parent))

    def flowio(path: Path) -> None:
        from flowio import create_fcs

        with path.open("wb") as stream:
            create_fcs(stream, values.flatten().tolist(), names)

    return {"flowmrd": flowmrd, "FlowKit": flowkit, "FlowIO": flowio}


def table() -> str:
    """Table for docs/reliability.md."""
    from importlib.metadata import version

    titles = [name if name == "flowmrd" else f"{name} {version(PACKAGES[name])}" for name in READERS]
    lines = ["| fault | " + " | ".join(titles) + " |", "|---|" + "---|" * len(READERS)]
    with tempfile.TemporaryDirectory(prefix="peers") as name:
        folder = Path(name)
        for fault in faults():
            cells = [outcome(reader, fault, folder) for reader in READERS]
            lines.append(f"| {fault.name} | " + " | ".join(cells) + " |")
        kept = {reader: full_disk(write, folder) for reader, write in writers().items()}
    lines.append(
        "| the disk becomes full while a result is written | "
        + " | ".join(kept.get(reader, "does not write") for reader in READERS)
        + " |"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        answer_one(sys.argv[1], Path(sys.argv[2]))
    else:
        print(table())  # noqa: T201
