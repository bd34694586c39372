"""Faults of one tube that other programs, other instruments and the bench make, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks.fuzz_runs.written_tube import Rng, Tube
from flowmrd.preprocess.transform.logicle import logicle

Change = Callable[[Tube, Rng], None]
TOP: Final = 262_143.0


def _rows(choose: Callable[[int, Rng], npt.NDArray[np.int64]]) -> Change:
    """The tube with these rows, in this order, some of them more than once."""
    return lambda tube, rng: tube.keep(choose(tube.n, rng))


def _another_order(tube: Tube, rng: Rng) -> None:
    order = rng.permutation(len(tube.channels))
    tube.columns = [tube.columns[place] for place in order]
    tube.channels = [tube.channels[place] for place in order]


def _values_moved(tube: Tube, rng: Rng) -> None:
    places = tube.stained()
    values = [tube.columns[place] for place in places]
    for place, column in zip(places, [*values[1:], values[0]], strict=True):
        tube.columns[place] = column


def _values_exchanged(first: str, second: str) -> Change:
    def change(tube: Tube, rng: Rng) -> None:
        a, b = tube.place(first), tube.place(second)
        tube.columns[a], tube.columns[b] = tube.columns[b], tube.columns[a]

    return change


def compensate(tube: Tube) -> None:
    """Replace the dyes' values by the compensated ones."""
    names, matrix = tube.matrix()
    places = [tube.place(name) for name in names]
    light = np.linalg.inv(matrix).T @ np.stack([tube.columns[place] for place in places])
    for place, values in zip(places, light, strict=True):
        tube.columns[place] = values


def _exported(values: Callable[[npt.NDArray[Any]], npt.NDArray[Any]], *, mark: str, matrix: bool, top: int) -> Change:
    """Compensated and scaled values, as an analysis program exports them."""

    def change(tube: Tube, rng: Rng) -> None:
        compensate(tube)
        for place in tube.stained():
            tube.columns[place] = values(tube.columns[place])
            channel = tube.channels[place]
            tube.rename(place, pnn=f"{mark}{channel.pnn}" if mark != "<>" else f"<{channel.pnn}>", range=top)
        if not matrix:
            tube.keywords.pop("$SPILLOVER", None)

    return change


def _scaled(factor: float) -> Callable[[npt.NDArray[Any]], npt.NDArray[Any]]:
    return lambda values: factor * logicle(values, T=262_144.0, W=0.75, M=4.5, A=0.0)


DETECTORS: Final = ("B525", "B610", "Y585", "Y690", "Y780", "R660", "R712", "R780", "V450", "V525", "V610", "V660")


def _another_instrument(tube: Tube, rng: Rng) -> None:
    """Detectors and scatter as another maker calls them, 20 bits; the matrix names them too."""
    names, matrix = tube.matrix()
    new = dict(zip(names, (f"{word}-A" for word in DETECTORS), strict=False))
    for place, channel in enumerate(tube.channels):
        name = new.get(channel.pnn, channel.pnn.replace("FSC-", "FS-").replace("SSC-", "SS-"))
        tube.rename(place, pnn=name)
        if channel.pnn != "Time" and not channel.pnn.endswith("-W"):
            tube.columns[place] = tube.columns[place] * 4
            tube.rename(place, range=1_048_576)
    tube.set_matrix([new[name] for name in names], matrix)


def _other_voltages(tube: Tube, rng: Rng) -> None:
    for place in tube.stained():
        tube.columns[place] = np.minimum(tube.columns[place] * float(np.exp(rng.normal(0.0, 0.5))), TOP)


def _labels(say: Callable[[str], str]) -> Change:
    def change(tube: Tube, rng: Rng) -> None:
        for place in tube.stained():
            tube.rename(place, pns=say(tube.channels[place].pns))

    return change


def _one_label(say: Callable[[str], str]) -> Change:
    def change(tube: Tube, rng: Rng) -> None:
        place = int(rng.choice(tube.stained()))
        tube.rename(place, pns=say(tube.channels[place].pns))

    return change


def _without_stain(tube: Tube, rng: Rng) -> None:
    names, matrix = tube.matrix()
    light = rng.normal(60.0, 40.0, (len(names), tube.n))
    for name, values in zip(names, matrix.T @ light, strict=True):
        tube.columns[tube.place(name)] = values


def _beads(tube: Tube, rng: Rng) -> None:
    for place, channel in enumerate(tube.channels):
        if channel.pnn != "Time":
            level = float(np.exp(rng.uniform(5.0, 11.0)))
            tube.columns[place] = np.minimum(rng.normal(level, 0.03 * level, tube.n), TOP)


def _noise(tube: Tube, rng: Rng) -> None:
    for place, channel in enumerate(tube.channels):
        if channel.pnn != "Time":
            tube.columns[place] = np.abs(rng.normal(0.0, 800.0, tube.n))


def _low_side_scatter_alone(tube: Tube, rng: Rng) -> None:
    side = tube.columns[tube.place("SSC-A")]
    tube.keep(np.flatnonzero(side < np.quantile(side, 0.3)))


def _sorted(tube: Tube, rng: Rng) -> None:
    tube.keep(np.argsort(tube.columns[int(rng.choice(tube.stained()))], kind="stable"))


def _each(change: Callable[[npt.NDArray[Any]], npt.NDArray[Any]], *, dyes: bool) -> Change:
    def do(tube: Tube, rng: Rng) -> None:
        for place, channel in enumerate(tube.channels):
            if bool(channel.pns) is dyes and channel.pnn != "Time":
                tube.columns[place] = change(tube.columns[place])

    return do


def _twenty_markers(tube: Tube, rng: Rng) -> None:
    for number in range(10):
        tube.channels.append(replace(tube.channels[tube.stained()[0]], pnn=f"X{number}-A", pns=f"CD{200 + number}"))
        tube.columns.append(rng.normal(100.0, 50.0, tube.n))


EXPORTS: Final[dict[str, Change]] = {
    "every event twice": _rows(lambda n, rng: np.repeat(np.arange(n), 2)),
    "all events twice": _rows(lambda n, rng: np.tile(np.arange(n), 2)),
    "all events three times": _rows(lambda n, rng: np.tile(np.arange(n), 3)),
    "the second half twice": _rows(lambda n, rng: np.concatenate([np.arange(n), np.arange(n // 2, n)])),
    "every event twice, mixed": _rows(lambda n, rng: rng.permutation(np.repeat(np.arange(n), 2))),
    "channels in another order": _another_order,
    "values of the dyes moved by one": _values_moved,
    "values of CD19 and CD45 exchanged": _values_exchanged("CD19", "CD45"),
    "values of CD19 and CD22 exchanged": _values_exchanged("CD19", "CD22"),
    "forward and side scatter exchanged": _values_exchanged("FSC-A", "SSC-A"),
    "forward scatter and CD45 exchanged": _values_exchanged("FSC-A", "CD45"),
    "compensated, marked": _exported(lambda v: v, mark="Comp-", matrix=False, top=262_144),
    "compensated, marked, with matrix": _exported(lambda v: v, mark="FJComp-", matrix=True, top=262_144),
    "compensated, in brackets": _exported(lambda v: v, mark="<>", matrix=True, top=262_144),
    "compensated, no matrix, no mark": _exported(lambda v: v, mark="", matrix=False, top=262_144),
    "channel values of 1024": _exported(_scaled(1023.0), mark="", matrix=False, top=1024),
    "channel values, with matrix": _exported(_scaled(1023.0), mark="", matrix=True, top=1024),
    "scale values of 1": _exported(_scaled(1.0), mark="", matrix=False, top=1),
    "scale values of 262144": _exported(_scaled(262_143.0), mark="", matrix=True, top=262_144),
    "asinh by 5": _exported(lambda v: np.arcsinh(v / 5.0), mark="", matrix=False, top=262_144),
    "linear values over 256": _each(lambda v: v / 256.0, dyes=True),
    "linear values in steps of 256": _each(lambda v: np.rint(v / 256.0) * 256.0, dyes=True),
    "no value below zero": _each(lambda v: np.maximum(v, 0.0), dyes=True),
    "scatter on a logarithmic scale": _each(lambda v: 50_000.0 * np.log10(np.maximum(v, 1.0)), dyes=False),
    "another instrument": _another_instrument,
    "other voltages": _other_voltages,
    "labels in small letters": _labels(str.lower),
    "labels with clones": _labels(lambda name: f"{name} (clone 4G7)"),
    "labels with an umlaut": _labels(lambda name: f"{name} 5 \u00b5l f\u00fcr"),
    "labels with an isotype": _one_label(lambda name: f"{name} isotype"),
    "a label with a look-alike": _one_label(lambda name: name.replace("C", "\u0421")),
    "no label at all": _labels(lambda name: ""),
    "ten further markers": _twenty_markers,
    "no antibody at all": _without_stain,
    "beads": _beads,
    "noise": _noise,
    "cells of low side scatter alone": _low_side_scatter_alone,
    "events sorted by a marker": _sorted,
}
