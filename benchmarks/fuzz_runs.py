"""Put one fault at random into small run directories, and see what ``check`` and the run make of it.

    python -m benchmarks.fuzz_runs [--runs 200] [--seed 1] [--faults WORD ...] [--panel ino10] [--work FOLDER]

Every run directory holds a few controls, a diagnosis tube and a follow-up tube of one patient, a few thousand cells
each; one in fifty cells of the follow-up tube is leukaemic, and the target is set so high that a negative is possible.
The fault goes into the sheet, the configuration, or the FCS file of one tube. Then ``check`` looks at the directory,
and the stages of a run do, in this process and by the same commands. Promises:

crash
    Whatever is wrong, no exception but a refusal with a reason. Must be 0.
disagree
    What the run refuses ``check`` refuses, and the reverse. Must be 0.
missed
    No negative for a follow-up tube that holds at least 20 leukaemic cells. Must be 0.

Every fault is a function in :data:`FAULTS`; ``--list`` names them.
"""

from __future__ import annotations

import argparse
import io
import re
import shutil
import sys
import tempfile
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from flowmrd.cli.app import call
from flowmrd.cli.check import check_run
from flowmrd.engine.plan import plan_run
from flowmrd.engine.run_plan import RunPlan
from flowmrd.errors import InputError
from flowmrd.fcs import ChannelSpec, read_fcs, write_fcs
from flowmrd.home import PANELS
from flowmrd.panel import load_panel
from flowmrd.simulate.cohort import simulate_cohort
from flowmrd.simulate.design import FollowUp, controls, patients
from flowmrd.store import open_columns, read_json

Rng = np.random.Generator
Values = list[npt.NDArray[Any]]
ROLES: Final = {"control": "CTRL02", "diagnosis": "P01-dx", "followup": "P01-day21"}
"""Role to the tube that gets the fault."""
LEAST: Final = 20
"""Leukaemic cells from which a negative is a miss."""
SETTINGS: Final = "mrd: {target: 0.01, spike_in_replicates: 1}\nreport: {plotly: shared}\n"


@dataclass
class Tube:
    """One FCS file as its parts, to be written again with a fault.

    Attributes
    ----------
    columns
        One array per channel.
    after
        What is done to the bytes of the written file.
    """

    columns: Values
    channels: list[ChannelSpec]
    keywords: dict[str, str]
    datatype: Literal["F", "D", "I"] = "F"
    big_endian: bool = False
    after: list[Callable[[bytes], bytes]] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> Tube:
        """Take a sound file apart."""
        data = read_fcs(path)[0]
        kept = ("$SPILLOVER", "$CYT", "$TIMESTEP", "$DATE", "$BTIM", "$ETIM")
        keywords = {key: data.keywords[key] for key in kept if key in data.keywords}
        specs = [ChannelSpec(str(one.pnn), str(one.pns or ""), 262_144) for one in data.channels]
        return cls([np.array(column, dtype=np.float64) for column in data.scaled()], specs, keywords)

    def write(self, path: Path) -> None:
        """Write the file with its fault."""
        kind = {"F": np.float32, "D": np.float64, "I": np.uint32}[self.datatype]
        columns = [column.astype(kind) for column in self.columns]
        write_fcs(path, columns, self.channels, self.keywords, datatype=self.datatype, big_endian=self.big_endian)
        data = path.read_bytes()
        for change in self.after:
            data = change(data)
        path.write_bytes(data)

    @property
    def n(self) -> int:
        """Number of events."""
        return len(self.columns[0])

    def place(self, name: str) -> int:
        """Index of a channel by detector or marker."""
        return next(i for i, one in enumerate(self.channels) if name in (one.pnn, one.pns))

    def stained(self) -> list[int]:
        """Indices of the channels that have a marker."""
        return [i for i, one in enumerate(self.channels) if one.pns]

    def keep(self, rows: Any) -> None:
        """Keep these events alone."""
        self.columns = [column[rows] for column in self.columns]

    def rename(self, index: int, **facts: Any) -> None:
        """Describe a channel otherwise; the matrix keeps naming what it named."""
        self.channels[index] = replace(self.channels[index], **facts)

    def matrix(self) -> tuple[list[str], npt.NDArray[np.float64]]:
        """Names and coefficients of the spillover keyword."""
        parts = self.keywords["$SPILLOVER"].split(",")
        n = int(parts[0])
        return parts[1 : n + 1], np.array(parts[n + 1 :], dtype=float).reshape(n, n)

    def set_matrix(self, names: Sequence[str], matrix: npt.NDArray[np.float64]) -> None:
        """State another matrix."""
        numbers = [format(value, ".6g") for value in matrix.ravel()]
        self.keywords["$SPILLOVER"] = ",".join([str(len(names)), *names, *numbers])


@dataclass(frozen=True)
class Fault:
    """What is changed, and where: ``sheet`` and ``config`` change a text, ``tube`` a file, ``file`` its bytes."""

    name: str
    kind: Literal["sheet", "config", "tube"]
    change: Callable[[Any, Rng], Any]
    roles: tuple[str, ...] = ("followup", "control", "diagnosis")


FAULTS: dict[str, Fault] = {}


def _add(name: str, kind: Literal["sheet", "config", "tube"], change: Callable[[Any, Rng], Any], *roles: str) -> None:
    FAULTS[name] = Fault(name, kind, change, roles or ("followup", "control", "diagnosis"))


# --- sheets ---------------------------------------------------------------------------------------------------------
def _line(text: str, change: Callable[[list[str]], list[str]], rng: Rng) -> bytes:
    """A sheet with one of its rows changed."""
    lines = text.splitlines()
    at = int(rng.integers(1, len(lines)))
    lines[at : at + 1] = ["\t".join(cells) for cells in [change(lines[at].split("\t"))]]
    return ("\n".join(lines) + "\n").encode()


def _cell(name: str, value: str) -> Callable[[str, Rng], bytes]:
    def change(text: str, rng: Rng) -> bytes:
        at = text.splitlines()[0].split("\t").index(name)
        return _line(text, lambda cells: [*cells[:at], value, *cells[at + 1 :]], rng)

    return change


def _without_column(text: str, rng: Rng) -> bytes:
    at = int(rng.integers(len(text.splitlines()[0].split("\t"))))
    rows = [line.split("\t") for line in text.splitlines()]
    return ("\n".join("\t".join(cells[:at] + cells[at + 1 :]) for cells in rows) + "\n").encode()


def _exchanged_files(text: str, rng: Rng) -> bytes:
    lines = [line.split("\t") for line in text.splitlines()]
    a, b = rng.choice(np.arange(1, len(lines)), 2, replace=False)
    lines[a][3], lines[b][3] = lines[b][3], lines[a][3]
    return ("\n".join("\t".join(cells) for cells in lines) + "\n").encode()


SHEETS: Final[dict[str, Callable[[str, Rng], bytes]]] = {
    "as it is": lambda text, rng: text.encode(),
    "UTF-8 with BOM": lambda text, rng: text.encode("utf-8-sig"),
    "UTF-16": lambda text, rng: text.encode("utf-16"),
    "Windows-1252": lambda text, rng: text.replace("day21", "Tag 21 f\xfcr").encode("cp1252"),
    "CRLF": lambda text, rng: text.replace("\n", "\r\n").encode(),
    "CR alone": lambda text, rng: text.replace("\n", "\r").encode(),
    "commas": lambda text, rng: text.replace("\t", ",").encode(),
    "semicolons": lambda text, rng: text.replace("\t", ";").encode(),
    "blanks for tabs": lambda text, rng: text.replace("\t", "  ").encode(),
    "blanks around cells": lambda text, rng: text.replace("\t", " \t ").encode(),
    "empty lines": lambda text, rng: text.replace("\n", "\n\n\t\t\n").encode(),
    "quoted cells": lambda text, rng: "\n".join(
        "\t".join(f'"{cell}"' for cell in line.split("\t")) for line in text.splitlines()
    ).encode(),
    "an open quote": lambda text, rng: text.replace("control", '"control', 1).encode(),
    "a row twice": lambda text, rng: (text + text.splitlines()[int(rng.integers(1, 6))] + "\n").encode(),
    "a file twice": lambda text, rng: (text + text.splitlines()[-1].replace("P01-day21", "P02-x", 1) + "\n").encode(),
    "role misspelt": _cell("role", "kontrol"),
    "role control": _cell("role", "control"),
    "role followup": _cell("role", "followup"),
    "role diagnosis": _cell("role", "diagnosis"),
    "role compensation": _cell("role", "compensation"),
    "no patient": _cell("patient", ""),
    "patient with blanks": _cell("patient", "A. N. Other"),
    "another patient": _cell("patient", "P77"),
    "an odd sample name": _cell("sample", "../../etc/passwd"),
    "a long sample name": _cell("sample", "x" * 300),
    "no such file": _cell("fcs", "../fcs/none.fcs"),
    "a folder as file": _cell("fcs", "../fcs"),
    "the sheet as file": _cell("fcs", "samples.tsv"),
    "a null byte in a path": _cell("fcs", "../fcs/a\0b.fcs"),
    "a therapy nobody gives": _cell("prior_therapy", "cd33"),
    "header alone": lambda text, rng: (text.splitlines()[0] + "\n").encode(),
    "empty": lambda text, rng: b"",
    "bytes": lambda text, rng: rng.bytes(400),
    "a column less": _without_column,
    "a row too long": lambda text, rng: _line(text, lambda cells: [*cells, "x", "y"], rng),
    "a row too short": lambda text, rng: _line(text, lambda cells: cells[:2], rng),
    "two files exchanged": _exchanged_files,
    "header in capitals": lambda text, rng: (text.split("\n", 1)[0].upper() + "\n" + text.split("\n", 1)[1]).encode(),
    "a column misspelt": lambda text, rng: text.replace("prior_therapy", "prior_terapy").encode(),
    "an unknown panel": lambda text, rng: "\n".join(
        line + "\t" + ("panel" if i == 0 else "lab77" if i == 3 else "") for i, line in enumerate(text.splitlines())
    ).encode(),
    "another panel": lambda text, rng: "\n".join(
        line + "\t" + ("panel" if i == 0 else "vienna_b8" if i == 3 else "") for i, line in enumerate(text.splitlines())
    ).encode(),
}
CONFIGS: Final[dict[str, str]] = {
    "an unknown key": "qualiti: {min_events: 100}\n",
    "an unknown key inside": "quality: {minevents: 100}\n",
    "a text for a number": "quality: {min_events: many}\n",
    "a list for a section": "quality: [1, 2]\n",
    "a number for a section": "laip: 3\n",
    "nothing in a section": "gating:\n",
    "a tab": "quality:\n\tmin_events: 100\n",
    "a bracket left open": "quality: {min_events: 100\n",
    "a key twice": "panel: ino10\n",
    "a share above one": "quality: {nonfinite_max: 3}\n",
    "an infinite number": "gating: {max_shift_decades: .inf}\n",
    "not a number": "gating: {max_shift_decades: .nan}\n",
    "a huge number": "quality: {min_events: 1000000000000000000000000000}\n",
    "huge shift": "gating: {max_shift_decades: 1.0e+30}\n",
    "all events to be plotted": "report: {max_plot_events: 100000000000}\n",
    "one control is enough": "reference: {min_controls: 1}\n",
    "more controls than there are": "reference: {min_controls: 40}\n",
    "a reference that is not there": "reference: stored/reference\n",
    "an empty reference": 'reference: ""\n',
    "no compensation": "compensation: none\n",
    "a matrix that is not there": "compensation: {source: csv, csv: {default: none.csv}}\n",
    "a batch without matrix": "compensation: {source: csv, csv: {other: none.csv}}\n",
    "csv without a table": "compensation: {source: csv}\n",
    "single stains that are not there": "compensation: {source: controls}\n",
    "a keyword that no file has": "compensation: {source: SPILL}\n",
    "a tube without matrix": "compensation: {tubes: {P01-day21: none}}\n",
    "a condition of one": "compensation: {max_condition: 1.0001}\n",
    "all controls excluded": "controls: {excluded: {CTRL01: a, CTRL02: b, CTRL03: c, CTRL04: d}}\n",
    "a control excluded": "controls: {excluded: {CTRL01: clotted}}\n",
    "a width": "transform: {width: fixed, default_width: 0}\n",
    "a width per tube": "transform: {width: sample}\n",
    "a background of nothing": "laip: {background_per_million: 1.0e-300}\n",
    "a background of everything": "laip: {background_per_million: 1.0e+300}\n",
    "a seed of 2^70": "laip: {seed: 1180591620717411303424}\n",
    "few cells at diagnosis": "laip: {min_diagnosis_cells: 100000000}\n",
    "no spike-in for hours": "mrd: {target: 0.01, spike_in_replicates: 100000}\n",
    "a target of nothing": "mrd: {target: 1.0e-300}\n",
    "power almost one": "mrd: {target: 0.01, power: 0.9999999999999999}\n",
    "alpha almost nothing": "mrd: {target: 0.01, alpha: 1.0e-300}\n",
    "detection from 10^9 events": "mrd: {target: 0.01, min_detect_events: 1000000000}\n",
    "few cells of a control": "reference: {max_events_per_control: 1000}\n",
    "many anchors": "gating: {min_anchor_events: 100000000}\n",
    "a library that is not there": "laip: {library: nowhere}\n",
    "decisions that are not there": "review: {decisions: nowhere.json}\n",
    "limits that are not there": "report: {control_limits: nowhere.json}\n",
    "a language nobody speaks": "report: {language: xx}\n",
    "another denominator": "mrd: {target: 0.01, denominator: mononuclear}\n",
    "time is not looked at": "quality: {time_mask: false}\n",
    "a panel that is a folder": "panel: panels\n",
    "a panel of another tube": "panel: vienna_b8\n",
    "a sheet that is a folder": "samples: config\n",
    "a date that is none": "trial: {cutoff: 2024-13-45}\n",
    "yes for a text": "report: {laboratory: yes}\n",
}


def _config(lines: str) -> Callable[[str, Rng], bytes]:
    """The configuration with more lines, which replace the keys that they set."""

    def change(text: str, rng: Rng) -> bytes:
        key = lines.split(":", 1)[0]
        kept = [line for line in text.splitlines() if key == "panel" or not line.startswith(f"{key}:")]
        if key == "panel" and "twice" not in lines and lines != "panel: ino10\n":
            kept = [line for line in kept if not line.startswith("panel:")]
        return ("\n".join([*kept, lines]) + "\n").encode()

    return change


CONFIG_BYTES: Final[dict[str, Callable[[str, Rng], bytes]]] = {
    "BOM": lambda text, rng: text.encode("utf-8-sig"),
    "CRLF": lambda text, rng: text.replace("\n", "\r\n").encode(),
    "UTF-16": lambda text, rng: text.encode("utf-16"),
    "Windows-1252": lambda text, rng: (text + "# f\xfcr\n").encode("cp1252"),
    "empty": lambda text, rng: b"",
    "bytes": lambda text, rng: rng.bytes(300),
    "two documents": lambda text, rng: (text + "---\npanel: ino10\n").encode(),
}


# --- tubes ----------------------------------------------------------------------------------------------------------
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
for _name, _sheet in SHEETS.items():
    _add(f"sheet: {_name}", "sheet", _sheet)
for _name, _lines in CONFIGS.items():
    _add(f"config: {_name}", "config", _config(_lines))
for _name, _bytes in CONFIG_BYTES.items():
    _add(f"config: {_name}", "config", _bytes)
for _name, _tube in TUBES.items():
    _add(f"tube: {_name}", "tube", _tube)


# --- runs -----------------------------------------------------------------------------------------------------------
def make_base(folder: Path, *, panel: str, cells: int, n_controls: int, seed: int) -> Path:
    """Write a sound run directory and take it through every stage."""
    model = load_panel(PANELS / f"{panel}.yaml")
    row = FollowUp("P01", 0.02, nucleated=cells, diagnosis_nucleated=cells)
    simulate_cohort(
        folder, [*controls(n_controls, cells, seed), *patients([row], seed)], seed, model, settings=SETTINGS
    )
    return folder


def everything(run: Path, plan: RunPlan, changed: str) -> None:
    """The stages of a run, as far as a changed tube (empty: everything) makes them necessary.

    Raises
    ------
    CommandError
        Where a command does not end well.
    """
    all_anew = not changed or changed in plan.kept_raw
    for panel in plan.panels if all_anew else ():
        learn(run, plan, panel)
    for name in plan.diagnosis_tubes:
        if all_anew or changed == name:
            command("prepare", "--sample", name, *options(run, plan, name), "--run", run)
    for patient, panel in plan.patients_with_laip.items():
        if all_anew or changed in plan.diagnoses(patient, panel):
            tubes = named("--tube", plan.diagnoses(patient, panel))
            command("laip", "--patient", patient, *tubes, "--reference", model_of(plan, run, panel), "--run", run)
    judged = plan.followups if all_anew or changed in plan.diagnosis_tubes else ()
    for name in dict.fromkeys([*judged, *((changed,) if changed else ())]):
        row, panel = plan.samples[name], plan.panel_of[name]
        phenotype = ["--laip", run / "results/laip" / row.patient / "laip.json"]
        own = phenotype if plan.patients_with_laip.get(row.patient) == panel else []
        start = ["--gated"] if name in plan.kept else options(run, plan, name)
        words = [*start, "--reference", model_of(plan, run, panel), *own, *named("--control", plan.controls_of(panel))]
        command("judge", "--sample", name, *words, "--run", run)


def learn(run: Path, plan: RunPlan, panel: str) -> None:
    """Everything that is learned from the controls and single stains of a panel."""
    folder, names = run / "results" / "reference" / panel, plan.controls_of(panel)
    tubes = named("--tube", names)
    stored = plan.stored_reference(panel) is not None
    learned: list[object] = []
    for name in (*names, *plan.stains_of(panel)):
        command("ingest", "--sample", name, "--run", run)
    spill: list[object] = []
    if plan.makes_spillover(panel):
        command("spillover-reference", "--panel", panel, *named("--tube", plan.stains_of(panel)), "--run", run)
        spill = ["--spillover", folder / "spillover.csv"]
    if names and not stored:
        command("transform-reference", "--panel", panel, *tubes, *spill, "--run", run)
        learned = ["--transforms", folder / "transform.json"]
    for name in names:
        command("preprocess", "--sample", name, *learned, *spill, "--run", run)
    if learned:
        command("gate-reference", "--panel", panel, *tubes, "--run", run)
    for name in names:
        placed = ["--thresholds", folder / "gates.json"] if learned else []
        command("gate", "--sample", name, *placed, "--run", run)
    if not stored:
        command("reference", "build", "--panel", panel, *tubes, "--run", run)


def named(option: str, values: Sequence[str]) -> list[str]:
    """An option of the command line, once for each value."""
    return [word for value in values for word in (option, value)]


def model_of(plan: RunPlan, run: Path, panel: str) -> Path:
    """The normal reference of a panel, stored or made here."""
    return (plan.stored_reference(panel) or run / "results/reference" / panel) / "reference.json"


def options(run: Path, plan: RunPlan, name: str) -> list[str | Path]:
    """What a tube's stages are given of its panel's controls."""
    panel = plan.panel_of[name]
    folder = plan.stored_reference(panel) or run / "results/reference" / panel
    found: list[str | Path] = []
    if plan.controls_of(panel) or plan.stored_reference(panel):
        found = ["--transforms", folder / "transform.json", "--thresholds", folder / "gates.json"]
    if plan.makes_spillover(panel):
        found += ["--spillover", run / "results/reference" / panel / "spillover.csv"]
    return found


class CommandError(Exception):
    """A command that did not end with 0."""

    def __init__(self, words: Sequence[object], code: int, said: str) -> None:
        self.words, self.code, self.said = words, code, said
        super().__init__(f"{' '.join(str(word) for word in words[:3])} ended with {code}: {said[-1500:]}")


def command(*words: object) -> None:
    """Run one command of the command line.

    Raises
    ------
    CommandError
        Where it does not end with 0.
    """
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(out):
        code = call([str(word) for word in words])
    if code:
        raise CommandError(words, code, out.getvalue())


@dataclass(frozen=True)
class Outcome:
    """What came of a run directory: a word of the table, and more where it is no good."""

    word: str
    detail: str = ""

    @property
    def bad(self) -> bool:
        """Whether a promise is broken."""
        return self.word in ("crash", "disagree", "missed")


def judge(base: Path, fault: Fault, role: str, seed: int, folder: Path) -> Outcome:
    """Put a fault into a copy of the sound run directory, and look at what comes of it."""
    rng = np.random.default_rng([seed, sum(map(ord, fault.name))])
    run = folder / "run"
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(base, run)
    changed = ""
    if fault.kind == "tube":
        changed = ROLES[role]
        path = run / "fcs" / f"{changed}.fcs"
        tube = Tube.read(path)
        fault.change(tube, rng)
        tube.write(path)
    else:
        path = run / "config" / ("samples.tsv" if fault.kind == "sheet" else "config.yaml")
        path.write_bytes(fault.change(path.read_text(encoding="utf-8"), rng))
    try:
        problems, _ = check_run(run)
    except Exception:
        return Outcome("crash", f"check: {traceback.format_exc()[-1500:]}")
    errors = [one for one in problems if one.level == "error"]
    told = "; ".join(f"{one.where.split('/')[-1]}: {one.found}" for one in errors)[:600]
    try:
        plan = plan_run(run)
    except InputError as error:
        return Outcome("refused" if errors else "disagree", f"run: {error}"[:700])
    except Exception:
        return Outcome("crash", f"plan: {traceback.format_exc()[-1500:]}")
    refused = {refusal.sample for refusal in plan.refusals}
    if refused and not errors:
        return Outcome("disagree", f"check: nothing; run refuses {sorted(refused)}")
    if refused and fault.kind == "tube":
        return Outcome("refused", told)
    try:
        everything(run, plan, changed)
    except CommandError as error:
        if error.code == 1 or "Traceback" in error.said:
            return Outcome("crash", str(error)[-1800:])
        return Outcome("refused" if errors else "disagree", f"refused late: {error}"[:900])
    except Exception:
        return Outcome("crash", traceback.format_exc()[-1500:])
    if errors and not refused:
        # An error that no refusal stands for: the tube must have no answer.
        given = {name: class_of(run, name) for name in ([changed] if changed else plan.followups)}
        if any(kind not in ("NOT_EVALUABLE", "") for kind in given.values()):
            return Outcome("disagree", f"check: {told}; run: {given}")
    return answer(run, plan, told)


def class_of(run: Path, name: str) -> str:
    """Class of a tube's answer; empty where it has none."""
    path = run / "results/samples" / name / "mrd.json"
    return str(read_json(path)["verdict"]["class"]) if path.is_file() else ""


def answer(run: Path, plan: RunPlan, told: str) -> Outcome:
    """Compare the follow-up tube's answer with its truth."""
    name = ROLES["followup"]
    path = run / "results/samples" / name / "mrd.json"
    if name not in plan.followups or not path.is_file():
        return Outcome("refused" if told else "no follow-up", told)
    result = read_json(path)
    kind = result["verdict"]["class"]
    reasons = ",".join(reason["code"] for reason in result["verdict"]["reasons"][:6])
    with open_columns(run / "fcs" / f"{name}.truth.arrow") as truth:
        leukaemic = int(truth["mrd"][: result["counts"]["total"]].sum())
    missed = result["verdict"]["mrd_negative"] is True and leukaemic >= LEAST
    return Outcome("missed" if missed else kind, f"{leukaemic} cells; {reasons}")


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=0, help="faults drawn at random; 0 tries every fault once")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", nargs="*", default=[], help="faults whose name contains one of these words")
    parser.add_argument("--roles", nargs="*", default=list(ROLES), choices=ROLES, help="tubes that get a fault")
    parser.add_argument("--panel", default="ino10")
    parser.add_argument("--cells", type=int, default=6_000, help="nucleated cells of a tube")
    parser.add_argument("--controls", type=int, default=4)
    parser.add_argument("--work", type=Path, help="folder for the sound run, kept for the next campaign")
    parser.add_argument("--list", action="store_true", help="name the faults and end")
    arguments = parser.parse_args()
    chosen = [one for one in FAULTS.values() if not arguments.faults or any(w in one.name for w in arguments.faults)]
    if arguments.list:
        sys.stdout.writelines(f"{one.name}\n" for one in chosen)
        return 0
    with tempfile.TemporaryDirectory(prefix="fuzz-runs-") as name:
        return campaign(arguments, chosen, Path(name))


def campaign(arguments: argparse.Namespace, chosen: list[Fault], folder: Path) -> int:
    """Try the faults and print a table and every broken promise; the exit code."""
    made = partial(
        make_base,
        panel=arguments.panel,
        cells=arguments.cells,
        n_controls=arguments.controls,
        seed=arguments.seed,
    )
    base = arguments.work or folder / "base"
    made(base)
    if not (base / "results").is_dir():
        everything(base, plan_run(base), "")
    rng = np.random.default_rng(arguments.seed)
    wanted = [(one, role) for one in chosen for role in (one.roles if one.kind == "tube" else one.roles[:1])]
    wanted = [(one, role) for one, role in wanted if role in arguments.roles]
    if arguments.runs:
        wanted = [wanted[int(i)] for i in rng.integers(len(wanted), size=arguments.runs)]
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    bad = 0
    for number, (fault, role) in enumerate(wanted):
        outcome = judge(base, fault, role, arguments.seed + number * bool(arguments.runs), folder)
        counts[fault.kind][outcome.word] += 1
        bad += outcome.bad
        of = f" of the {role} tube" if fault.kind == "tube" else ""
        sys.stdout.write(f"{'!! ' if outcome.bad else ''}{fault.name}{of}: {outcome.word}: {outcome.detail}\n")
        sys.stdout.flush()
    for kind, words in counts.items():
        sys.stdout.write(f"{kind}: {', '.join(f'{n} {word}' for word, n in words.most_common())}\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
