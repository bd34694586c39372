"""Faults of one FCS file, by name."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks.fuzz_runs.written_tube import Rng, Tube


def _replace_keyword(name: str, value: str) -> Callable[[bytes], bytes]:
    """Write another value of the same length into TEXT; a longer one is cut, a shorter one filled with blanks."""

    def change(data: bytes) -> bytes:
        found = re.search(re.escape(name.encode()) + b"\x0c([^\x0c]*)\x0c", data)
        if found is None:
            return data
        length = len(found.group(1))
        return data[: found.start(1)] + value.encode()[:length].ljust(length) + data[found.end(1) :]

    return change


def _cut(share: float) -> Callable[[Tube, Rng], None]:
    def change(tube: Tube, rng: Rng) -> None:
        tube.after.append(lambda data: data[: int(len(data) * share)])

    return change


def _events(n: int) -> Callable[[Tube, Rng], None]:
    return lambda tube, rng: tube.keep(slice(0, n))


def _total(by: int) -> Callable[[Tube, Rng], None]:
    return lambda tube, rng: tube.after.append(_replace_keyword("$TOT", str(tube.n + by)))


def _with_value(value: float, share: float) -> Callable[[Tube, Rng], None]:
    """This value in one channel, at random."""

    def change(tube: Tube, rng: Rng) -> None:
        at = int(rng.choice(tube.stained()))
        tube.columns[at][rng.random(tube.n) < share] = value

    return change


def _on_channel(do: Callable[[npt.NDArray[Any]], npt.NDArray[Any]], *names: str) -> Callable[[Tube, Rng], None]:
    """One channel's values changed: one of these, or any with a marker."""

    def change(tube: Tube, rng: Rng) -> None:
        at = tube.place(str(rng.choice(names))) if names else int(rng.choice(tube.stained()))
        tube.columns[at] = do(tube.columns[at])

    return change


def _integers(big: bool = False) -> Callable[[Tube, Rng], None]:
    def change(tube: Tube, rng: Rng) -> None:
        tube.datatype, tube.big_endian = "I", big
        tube.columns = [np.clip(np.rint(column), 0, 262_143) for column in tube.columns]

    return change


def _log_amplified(tube: Tube, rng: Rng) -> None:
    tube.datatype = "I"
    for at, channel in enumerate(tube.channels):
        column = tube.columns[at]
        if channel.pns:
            place = np.log10(np.maximum(column, 1.0)) / 5.42 * 1023
            tube.columns[at] = np.clip(np.rint(place), 0, 1023)
            tube.rename(at, log=(5.42, 1.0), range=1024)
        else:
            tube.columns[at] = np.clip(np.rint(column), 0, 262_143)


def _text_values(tube: Tube, rng: Rng) -> None:
    tube.after.append(_replace_keyword("$DATATYPE", "A"))


def _two_data_sets(tube: Tube, rng: Rng) -> None:
    def change(data: bytes) -> bytes:
        wide = str(len(data)).encode()
        first = data.replace(b"$NEXTDATA\x0c0\x0c", b"$NEXTDATA\x0c" + wide + b"\x0c", 1)
        grown = len(first) - len(data)
        numbers = [int(first[10 + 8 * i : 18 + 8 * i]) for i in range(6)]
        numbers[1:4] = [numbers[1] + grown, numbers[2] + grown, numbers[3] + grown]
        for old, new in zip((b"$BEGINDATA", b"$ENDDATA"), numbers[2:4], strict=True):
            first = re.sub(old + rb"\x0c\d+\x0c", old + b"\x0c" + str(new).encode() + b"\x0c", first, count=1)
        first = first.replace(b"$NEXTDATA\x0c" + wide, b"$NEXTDATA\x0c" + str(len(first)).encode(), 1)
        head = first[:10] + b"".join(b"%8d" % number for number in numbers) + first[58:]
        return head + data

    tube.after.append(change)


def _matrix(do: Callable[[npt.NDArray[np.float64], Rng], npt.NDArray[Any]]) -> Callable[[Tube, Rng], None]:
    def change(tube: Tube, rng: Rng) -> None:
        names, matrix = tube.matrix()
        tube.set_matrix(names, do(matrix, rng))

    return change


def _singular(matrix: npt.NDArray[np.float64], rng: Rng) -> npt.NDArray[np.float64]:
    matrix[1] = matrix[0]
    return matrix


def _named(do: Callable[[list[str], Tube], list[str]]) -> Callable[[Tube, Rng], None]:
    def change(tube: Tube, rng: Rng) -> None:
        names, matrix = tube.matrix()
        tube.set_matrix(do(names, tube), matrix)

    return change


def _keyword(name: str, value: str | None) -> Callable[[Tube, Rng], None]:
    def change(tube: Tube, rng: Rng) -> None:
        tube.keywords.pop(name, None)
        if value is not None:
            tube.keywords[name] = value

    return change


def _wide(tube: Tube, rng: Rng) -> None:
    for at, channel in enumerate(tube.channels):
        if channel.pnn != "Time" and not channel.pnn.endswith("-W"):
            tube.columns[at] = tube.columns[at] * 4
            tube.rename(at, range=1_048_576)


def _range(value: int) -> Callable[[Tube, Rng], None]:
    def change(tube: Tube, rng: Rng) -> None:
        tube.rename(int(rng.choice(tube.stained())), range=value)

    return change


def _rename_any(**facts: Any) -> Callable[[Tube, Rng], None]:
    return lambda tube, rng: tube.rename(int(rng.choice(tube.stained())), **facts)


def _same_name(what: str) -> Callable[[Tube, Rng], None]:
    def change(tube: Tube, rng: Rng) -> None:
        a, b = rng.choice(tube.stained(), 2, replace=False)
        tube.rename(int(a), **{what: getattr(tube.channels[int(b)], what)})

    return change


def _exchanged(what: str) -> Callable[[Tube, Rng], None]:
    def change(tube: Tube, rng: Rng) -> None:
        a, b = (int(one) for one in rng.choice(tube.stained(), 2, replace=False))
        first, second = (getattr(tube.channels[one], what) for one in (a, b))
        tube.rename(a, **{what: second})
        tube.rename(b, **{what: first})

    return change


def _renamed(old: str, new: str) -> Callable[[Tube, Rng], None]:
    return lambda tube, rng: tube.rename(tube.place(old), pnn=new)


def _drop(*names: str) -> Callable[[Tube, Rng], None]:
    """Without one of these channels, or any with a marker."""

    def change(tube: Tube, rng: Rng) -> None:
        at = tube.place(str(rng.choice(names))) if names else int(rng.choice(tube.stained()))
        detector = tube.channels[at].pnn
        del tube.columns[at], tube.channels[at]
        kept, matrix = tube.matrix()
        if detector in kept:
            place = kept.index(detector)
            smaller = np.delete(np.delete(matrix, place, axis=0), place, axis=1)
            tube.set_matrix([name for name in kept if name != detector], smaller)

    return change


def _pulses_exchanged(tube: Tube, rng: Rng) -> None:
    high, wide = tube.place("FSC-H"), tube.place("FSC-W")
    tube.columns[high], tube.columns[wide] = tube.columns[wide], tube.columns[high]


def _time(do: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]) -> Callable[[Tube, Rng], None]:
    return _on_channel(do, "Time")


def _compensated(tube: Tube, rng: Rng) -> None:
    names, matrix = tube.matrix()
    at = [tube.place(name) for name in names]
    light = np.linalg.inv(matrix).T @ np.stack([tube.columns[place] for place in at])
    for place, values in zip(at, light, strict=True):
        tube.columns[place] = values


def _compensated_with_identity(tube: Tube, rng: Rng) -> None:
    _compensated(tube, rng)
    names, matrix = tube.matrix()
    tube.set_matrix(names, np.eye(len(matrix)))


def _unstained(tube: Tube, rng: Rng) -> None:
    """An antibody was forgotten: its light is that of cells without the antigen."""
    names, matrix = tube.matrix()
    at = [tube.place(name) for name in names]
    light = np.linalg.inv(matrix).T @ np.stack([tube.columns[place] for place in at])
    light[int(rng.integers(len(names)))] = rng.normal(60.0, 40.0, tube.n)
    for place, values in zip(at, matrix.T @ light, strict=True):
        tube.columns[place] = np.minimum(values, 262_143.0)


def _transformed(tube: Tube, rng: Rng) -> None:
    for at in tube.stained():
        tube.columns[at] = np.arcsinh(tube.columns[at] / 150.0)


def _shuffled(tube: Tube, rng: Rng) -> None:
    tube.keep(rng.permutation(tube.n))


def _wraps(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    wrapped: npt.NDArray[Any] = np.mod(values, max(float(values.max()) / 3.0, 1.0))
    return wrapped


TUBES: Final[dict[str, Callable[[Tube, Rng], None]]] = {
    "as it is": lambda tube, rng: None,
    "cut in DATA": _cut(0.7),
    "cut in TEXT": _cut(0.001),
    "cut by a byte": lambda tube, rng: tube.after.append(lambda data: data[:-9]),
    "empty file": _cut(0.0),
    "no event": _events(0),
    "one event": _events(1),
    "two events": _events(2),
    "ninety events": _events(90),
    "$TOT one more": _total(1),
    "$TOT one less": _total(-1),
    "$TOT far less": lambda tube, rng: tube.after.append(_replace_keyword("$TOT", "12")),
    "big-endian": lambda tube, rng: setattr(tube, "big_endian", True),
    "doubles": lambda tube, rng: setattr(tube, "datatype", "D"),
    "integers": _integers(),
    "integers, big-endian": _integers(big=True),
    "log-amplified": _log_amplified,
    "$DATATYPE A": _text_values,
    "wrong $BYTEORD": lambda tube, rng: tube.after.append(_replace_keyword("$BYTEORD", "4,3,2,1")),
    "$BYTEORD of an old machine": lambda tube, rng: tube.after.append(_replace_keyword("$BYTEORD", "3,4,1,2")),
    "$MODE C": lambda tube, rng: tube.after.append(_replace_keyword("$MODE", "C")),
    "$PAR one less": lambda tube, rng: tube.after.append(_replace_keyword("$PAR", str(len(tube.channels) - 1))),
    "two data sets": _two_data_sets,
    "a few NaN": _with_value(np.nan, 0.0005),
    "many NaN": _with_value(np.nan, 0.2),
    "NaN in one channel": _with_value(np.nan, 2.0),
    "infinity": _with_value(np.inf, 0.0005),
    "huge values": _with_value(3e38, 0.0005),
    "one channel zero": _on_channel(lambda values: 0 * values),
    "one channel constant": _on_channel(lambda values: 0 * values + 500.0),
    "one channel at its top": _on_channel(lambda values: 0 * values + 262_143.0),
    "one channel negative": _on_channel(lambda values: -values),
    "one channel times 3": _on_channel(lambda values: np.minimum(values * 3, 262_143.0)),
    "one channel / 3": _on_channel(lambda values: values / 3),
    "one channel noise": lambda tube, rng: tube.columns.__setitem__(
        int(rng.choice(tube.stained())), rng.normal(200.0, 300.0, tube.n)
    ),
    "scatter zero": _on_channel(lambda values: 0 * values, "FSC-A", "SSC-A"),
    "scatter negative": _on_channel(lambda values: -values, "FSC-A", "SSC-A"),
    "scatter / 1000": _on_channel(lambda values: values / 1000, "FSC-A", "SSC-A"),
    "height constant": _on_channel(lambda values: 0 * values + 1000.0, "FSC-H"),
    "height and width exchanged": _pulses_exchanged,
    "no matrix": _keyword("$SPILLOVER", None),
    "a matrix of words": _keyword("$SPILLOVER", "2,a,b,one,two,three,four"),
    "an unfinished matrix": lambda tube, rng: tube.keywords.__setitem__(
        "$SPILLOVER", tube.keywords["$SPILLOVER"].rsplit(",", 3)[0]
    ),
    "a singular matrix": _matrix(_singular),
    "a matrix of zeros": _matrix(lambda matrix, rng: 0 * matrix),
    "a matrix of NaN": _matrix(lambda matrix, rng: matrix * np.nan),
    "a matrix in percent": _matrix(lambda matrix, rng: matrix * 100),
    "the inverse matrix": _matrix(lambda matrix, rng: np.linalg.inv(matrix)),
    "the identity": _matrix(lambda matrix, rng: np.eye(len(matrix))),
    "a matrix turned": _matrix(lambda matrix, rng: matrix.T.copy()),
    "a matrix of noise": _matrix(lambda matrix, rng: np.eye(len(matrix)) + 0.05 * rng.random(matrix.shape)),
    "names of a matrix turned": _named(lambda names, tube: [*names[1:], names[0]]),
    "markers in a matrix": _named(lambda names, tube: [tube.channels[tube.place(name)].pns for name in names]),
    "numbers in a matrix": _named(lambda names, tube: [str(tube.place(name) + 1) for name in names]),
    "unknown names in a matrix": _named(lambda names, tube: [f"X{i}" for i in range(len(names))]),
    "scatter in a matrix": _named(lambda names, tube: ["FSC-A", *names[1:]]),
    "compensated already": _compensated,
    "compensated, identity": _compensated_with_identity,
    "transformed": _transformed,
    "twenty bits": _wide,
    "a range of 1024": _range(1024),
    "a range of 1": _range(1),
    "a range of 0": _range(0),
    "a range of 10^9": _range(1_000_000_000),
    "no marker": _rename_any(pns=""),
    "an unknown marker": _rename_any(pns="CD999"),
    "two equal markers": _same_name("pns"),
    "two equal detectors": _same_name("pnn"),
    "two labels exchanged": _exchanged("pns"),
    "an empty channel name": _rename_any(pnn=" "),
    "forward scatter renamed": _renamed("FSC-A", "FS INT"),
    "side scatter renamed": _renamed("SSC-A", "SS-INT-LIN"),
    "scatter with an odd name": _renamed("FSC-A", "Forward"),
    "time renamed": _renamed("Time", "TIME"),
    "time called otherwise": _renamed("Time", "HDR-T"),
    "no marker's channel": _drop(),
    "no time": _drop("Time"),
    "no scatter": _drop("FSC-A", "SSC-A"),
    "no height": _drop("FSC-H"),
    "no width": _drop("FSC-W"),
    "time constant": _time(lambda values: 0 * values),
    "time wraps": _time(_wraps),
    "time backwards": _time(lambda values: values[::-1].copy()),
    "time in leaps": _time(lambda values: np.where(np.arange(len(values)) > len(values) // 2, values + 1e6, values)),
    "no $TIMESTEP": _keyword("$TIMESTEP", None),
    "$TIMESTEP 0": _keyword("$TIMESTEP", "0"),
    "$TIMESTEP of words": _keyword("$TIMESTEP", "fast"),
    "$DATE of words": _keyword("$DATE", "yesterday"),
    "events in another order": _shuffled,
    "half of the events": lambda tube, rng: tube.keep(slice(0, tube.n // 2)),
    "one antibody forgotten": _unstained,
}
