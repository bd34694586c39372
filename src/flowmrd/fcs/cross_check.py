"""Second reader: fcsparser or FlowIO reads the same file, and the sum of every channel must agree.

fcsparser 0.2.4 is used only where its values have the same meaning as ours. It fails on big-endian files under numpy 2
(eyurtsev/fcsparser issue 74), does not know the data types of FCS 3.2, and needs list mode with one byte order. FlowIO
is used for floats in a plain layout that fcsparser cannot read, such as the big-endian files of FACSDiva. A file that
neither can read is recorded as ``cannot_read`` with the reason. Sums that differ are an error.
"""

from __future__ import annotations

import contextlib
import io
import logging
import math
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from flowmrd.fcs.findings import refuse
from flowmrd.fcs.reader import DataSet

__all__ = ["SecondReading", "second_reading"]

_TOLERANCE = 1e-9


@dataclass(frozen=True)
class SecondReading:
    """Outcome of the second reader: ``agree`` or ``cannot_read``, and why."""

    status: str
    reason: str


def second_reading(data_set: DataSet, *, n_sets: int = 1) -> SecondReading:
    """Read the data set with fcsparser or FlowIO and compare the sum of every channel.

    Raises
    ------
    FcsError
        If the second reader finds other values.
    """
    reason = _out_of_reach(data_set, n_sets)
    reader, values = "fcsparser", reason or _read(data_set)
    if isinstance(values, str) and _plain_floats(data_set, n_sets):
        reason, (reader, values) = values, ("FlowIO", _read_flowio(data_set))
        values = f"{reason}; {values}" if isinstance(values, str) else values
    if isinstance(values, str):
        return SecondReading("cannot_read", values)
    if values.shape != (data_set.n_events, len(data_set.channels)):
        found = f"{values.shape[0]} events of {values.shape[1]} parameters by the second reader"
        raise refuse(
            data_set.path,
            found,
            f"{data_set.n_events} events of {len(data_set.channels)} parameters, as the first reader found",
            "check the file with the instrument's software; two readers disagree about it",
        )
    ours = data_set.raw_sums()
    theirs = _sums(values)
    for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        if not (
            one == other or (math.isnan(one) and math.isnan(other)) or math.isclose(one, other, rel_tol=_TOLERANCE)
        ):
            raise refuse(
                data_set.path,
                f"sums of parameter {index + 1} that differ between two readers",
                "the same values from both",
                "check the file with the instrument's software; two readers disagree about it",
            )
    return SecondReading("agree", f"sums of {len(ours)} channels equal by {reader}")


def _out_of_reach(data_set: DataSet, n_sets: int) -> str:
    layout = data_set.segment.layout
    keywords = data_set.keywords
    if data_set.n_events == 0:
        return "no events to compare"
    if n_sets > 1 or data_set.index:
        return "several data sets in one file"
    if keywords.get("$BYTEORD", "").strip() not in {"1,2,3,4", "1,2"}:
        return "not little-endian: fcsparser 0.2.4 fails under numpy 2"
    if layout.packing != "bytes":
        return "data that are not on whole bytes"
    if any(f"$P{p.number}DATATYPE" in keywords for p in data_set.channels):
        return "data types by parameter (FCS 3.2)"
    if any(p.kind == "I" and (p.bits not in (8, 16, 32) or p.range is None) for p in data_set.channels):
        return "integers of a width that it does not know"
    if any(p.kind == "I" and p.range is not None and p.range > 1 << 31 for p in data_set.channels):
        return "ranges beyond 31 bits, for which it computes no mask"
    if any(f.code in {"empty_values", "unescaped_delimiter", "float_width", "padded_words"} for f in data_set.findings):
        return "a TEXT or a width that it reads in another way"
    return ""


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Another reader's warnings and prints are not shown."""
    hidden = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(hidden), contextlib.redirect_stderr(hidden):
        warnings.simplefilter("ignore")
        yield


def _read(data_set: DataSet) -> npt.NDArray[Any] | str:
    """Values of shape (n_events, n_parameters) or, as text, why there are none. Nothing is printed or logged."""
    logger = logging.getLogger("fcsparser")
    disabled = logger.disabled
    logger.disabled = True
    logging.disable(logging.CRITICAL)
    try:
        with _silent():
            parser = _fcsparser().FCSParser(str(data_set.path), read_data=True)
            header = parser.annotation["__header__"]
            begin = int(header["data start"]) or int(parser.annotation["$BEGINDATA"])
            if begin != data_set.segment.begin:  # the reader chose other offsets, which says nothing about the values
                return "it takes another offset for DATA"
            values: npt.NDArray[Any] = np.asarray(parser.data)
    except Exception as error:  # whatever goes wrong inside the other reader is its inability
        return f"fcsparser stopped with {type(error).__name__}"
    finally:
        logging.disable(logging.NOTSET)
        logger.disabled = disabled
    if values.dtype.names:
        return "mixed types, which it gives back by name"
    return values if values.ndim == 2 else "values without the shape of a table"


def _fcsparser() -> ModuleType:
    """Import fcsparser without pandas, which it does not need to read values.

    Importing pandas takes longer than reading a tube. During the import a substitute stands in its place, which fetches
    the real pandas as soon as anything of it is used.
    """
    if "fcsparser.api" in sys.modules or "pandas" in sys.modules:
        return import_module("fcsparser.api")
    held = ModuleType("pandas")
    held.__dict__["__getattr__"] = lambda name: getattr(import_module("pandas"), name)
    sys.modules["pandas"] = held
    try:
        return import_module("fcsparser.api")
    finally:
        if sys.modules.get("pandas") is held:
            del sys.modules["pandas"]


_PLAIN_FINDINGS = frozenset({"no_clock", "several_clocks", "timestep_missing", "timestep_unreadable", "name_missing"})
"""Oddities that do not touch what FlowIO reads."""


def _plain_floats(data_set: DataSet, n_sets: int) -> bool:
    """Whether a data set is one that FlowIO reads as we do: floats of one width, offsets and TEXT beyond doubt."""
    codes = {finding.code for finding in data_set.findings}
    codes -= {code for code in codes if code.startswith(("gain_", "amplification_"))}
    return (
        data_set.n_events > 0
        and n_sets == 1
        and data_set.index == 0
        and data_set.segment.layout.packing == "bytes"
        and data_set.segment.layout.order in ("little", "big")
        and len({(parameter.kind, parameter.bits) for parameter in data_set.channels}) == 1
        and (data_set.channels[0].kind, data_set.channels[0].bits) in {("F", 32), ("D", 64)}
        and not any(f"$P{parameter.number}DATATYPE" in data_set.keywords for parameter in data_set.channels)
        and codes <= _PLAIN_FINDINGS
    )


def _read_flowio(data_set: DataSet) -> npt.NDArray[Any] | str:
    """As :func:`_read`, by FlowIO."""
    try:
        with _silent():
            from flowio import FlowData

            read = FlowData(str(data_set.path))
            values = np.frombuffer(read.events, dtype=f"f{data_set.channels[0].bits // 8}")
            return values.reshape(-1, read.channel_count)
    except Exception as error:  # whatever goes wrong inside the other reader is its inability
        return f"FlowIO stopped with {type(error).__name__}"


def _sums(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    with np.errstate(over="ignore", invalid="ignore"):
        sums: npt.NDArray[np.float64] = np.zeros(values.shape[1])
        for first in range(0, len(values), 65_536):
            sums += np.sum(values[first : first + 65_536], axis=0, dtype=np.float64)
    return sums
