"""Tubes in which one thing is wrong that no reader stumbles over: how they are made from a sound one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from flowmrd.fcs.reader import DataSet, read_fcs
from flowmrd.fcs.writer import ChannelSpec, write_fcs

Values = np.ndarray
Change = Callable[[DataSet, Values, dict[str, str], list[ChannelSpec]], Values]


def rewrite(path: Path, change: Change, to: Path | None = None) -> None:
    """Write a tube anew with other values, keywords or names, in its place or to another file."""
    data = read_fcs(path)[0]
    keywords = {key: data.keywords[key] for key in ("$SPILLOVER", "$CYT", "$TIMESTEP", "$DATE")}
    specs = [ChannelSpec(str(one.pnn), str(one.pns or ""), 262144) for one in data.channels]
    values = change(data, data.scaled().astype(np.float64), keywords, specs)
    write_fcs(to or path, list(values.astype(np.float32)), specs, keywords)


def matrix_of(keywords: dict[str, str]) -> tuple[list[str], Values]:
    parts = keywords["$SPILLOVER"].split(",")
    n = int(parts[0])
    return parts[1 : n + 1], np.array(parts[n + 1 :], dtype=float).reshape(n, n)


def keyword_of(names: list[str], matrix: Values) -> str:
    return ",".join([str(len(names)), *names, *(f"{value:.6g}" for value in matrix.ravel())])


def compensated(data: DataSet, values: Values, keywords: dict[str, str], specs: list[ChannelSpec]) -> Values:
    names, matrix = matrix_of(keywords)
    rows = [next(i for i, one in enumerate(data.channels) if one.pnn == name) for name in names]
    values[rows] = np.linalg.inv(matrix).T @ values[rows]
    return values


def inverse(data: DataSet, values: Values, keywords: dict[str, str], specs: list[ChannelSpec]) -> Values:
    names, matrix = matrix_of(keywords)
    keywords["$SPILLOVER"] = keyword_of(names, np.linalg.inv(matrix))
    return values


def other_channels(data: DataSet, values: Values, keywords: dict[str, str], specs: list[ChannelSpec]) -> Values:
    keywords["$SPILLOVER"] = "2,FSC-A,SSC-A,1,0,0,1"
    return values


def second_matrix(data: DataSet, values: Values, keywords: dict[str, str], specs: list[ChannelSpec]) -> Values:
    names, _matrix = matrix_of(keywords)
    keywords["SPILL"], keywords["$SPILLOVER"] = keywords["$SPILLOVER"], keyword_of(names, np.eye(len(names)))
    return values


def transformed(data: DataSet, values: Values, keywords: dict[str, str], specs: list[ChannelSpec]) -> Values:
    return np.arcsinh(values / 150)


def exchanged(data: DataSet, values: Values, keywords: dict[str, str], specs: list[ChannelSpec]) -> Values:
    places = {one.pns: index for index, one in enumerate(specs)}
    first, second = places["CD22"], places["CD24"]
    specs[first] = ChannelSpec(specs[first].pnn, "CD24", 262144)
    specs[second] = ChannelSpec(specs[second].pnn, "CD22", 262144)
    return values


def cytoplasmic(data: DataSet, values: Values, keywords: dict[str, str], specs: list[ChannelSpec]) -> Values:
    place = next(index for index, one in enumerate(specs) if one.pns == "CD22")
    specs[place] = ChannelSpec(specs[place].pnn, "cyCD22", 262144)
    return values


FAULTS = [compensated, inverse, other_channels, second_matrix, transformed, exchanged, cytoplasmic]
TURNING = [compensated, inverse, other_channels, second_matrix]
"""The four faults that once turned a verdict round."""
