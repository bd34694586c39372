"""A tube as another centre acquires it: other gains, spillover, background, debris, dead cells, faults of the run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.accuracy.acquire import DETECTORS, DOUBLET, JUNK, Codes, Spillover, linear, off_scale
from benchmarks.accuracy.mixtures import FEATURES
from flowmrd.fcs.writer import ChannelSpec, write_fcs
from flowmrd.units import LOGICLE_T

Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]

CARRIED, DEAD = -5, -6
"""Codes of a cell that the tube before left in the line, and of a dead cell."""
DYES = FEATURES[2:]
OFFSET_MOST = 0.6
"""Largest offset of a marker, decades: a laboratory sets its voltages."""
BRIGHT_ROOM = 0.6
"""The brightest cells of the controls (0.999 quantile) stay below this share of the range."""


@dataclass(frozen=True)
class Centre:
    """How a centre's tubes differ from those of ours; the defaults are ours.

    Attributes
    ----------
    offset_sd, staining_sd
        Brightness of a marker against ours, the same in all tubes of the centre, and of one tube against the others;
        standard deviations, decades.
    background
        Autofluorescence that is added to every cell, median, raw units of an 18-bit instrument.
    largest_spill
        Largest coefficient of a matrix of its own; 0 for the measured matrix.
    spill_error
        Relative standard deviation of the true spillover around the matrix, per tube.
    in_percents
        Whether coefficients in the file are rounded to whole percents.
    doublets, debris, dead
        Shares of the single living cells; of debris and dead cells a range, drawn per tube.
    dim_dye
        Decades by which nucleic acid dye is dimmer in every third pair's follow-ups.
    run_faults
        Whether follow-ups have a clog, an air bubble and cells of the tube before.
    range
        Range of the detectors.
    gain
        Raw values against an 18-bit instrument.
    integers
        Whether values are stored as integers, none below 0.
    forward, side
        Factor of forward and side scatter.
    """

    offset_sd: float = 0.0
    staining_sd: float = 0.0
    background: float = 0.0
    largest_spill: float = 0.0
    spill_error: float = 0.01
    in_percents: bool = False
    doublets: float = 0.03
    debris: tuple[float, float] = (0.03, 0.03)
    dead: tuple[float, float] = (0.0, 0.0)
    dim_dye: float = 0.0
    run_faults: bool = False
    range: int = round(LOGICLE_T)
    gain: float = 1.0
    integers: bool = False
    forward: float = 1.0
    side: float = 1.0


@dataclass(frozen=True)
class Instrument:
    """A centre with its numbers drawn.

    Attributes
    ----------
    offset
        Shape (dyes,), decades.
    matrix
        Shape (dyes, dyes): row = dye, column = detector; as the files state it.
    """

    centre: Centre
    offset: Floats
    matrix: Floats


def draw_instrument(centre: Centre, measured: Spillover, bright: Floats, rng: np.random.Generator) -> Instrument:
    """Draw offsets and matrix of a centre.

    Parameters
    ----------
    bright
        Shape (dyes,): how bright the brightest cells of its marrows are at our gains, raw units.
    """
    offset = np.clip(rng.normal(0.0, centre.offset_sd, len(DYES)), -OFFSET_MOST, OFFSET_MOST)
    offset = np.minimum(offset, np.log10(BRIGHT_ROOM * LOGICLE_T / np.maximum(bright, 1.0)))
    matrix = measured.matrix
    if centre.largest_spill:
        strength = rng.random(matrix.shape) ** 4 * centre.largest_spill
        matrix = np.where(np.eye(len(DYES), dtype=bool), 1.0, strength)
    if centre.in_percents:
        matrix = np.round(matrix, 2)
    return Instrument(centre, offset if centre.offset_sd else np.zeros(len(DYES)), matrix)


@dataclass(frozen=True)
class Faults:
    """What is wrong with one tube.

    Attributes
    ----------
    drift
        By how much its dyes are brighter or dimmer beside the usual scatter of the centre, SD, decades. The light is
        multiplied: cells without an antigen stay at zero.
    dye
        Decades by which its nucleic acid dye is dimmer; infinity for a tube without.
    clog, bubble
        Whether the run was slow with moved signals for 3 % of its events, and without signal for 1 %.
    carried
        Cells of the tube before, shape (n, 9), decades, and their codes.
    """

    drift: float = 0.0
    dye: float = 0.0
    clog: bool = False
    bubble: bool = False
    carried: Floats32 | None = None


def acquire_elsewhere(
    path: Path, cells: Floats32, codes: Codes, instrument: Instrument, faults: Faults, rng: np.random.Generator
) -> Codes:
    """Write a tube of the centre and return the code of every event in file order.

    Parameters
    ----------
    cells, codes
        Shape (n, 9), decades, and (n,), as of :func:`benchmarks.accuracy.acquire.acquire`.
    """
    centre, n_dyes = instrument.centre, len(DYES)
    carried = np.empty((0, cells.shape[1]), dtype=np.float32) if faults.carried is None else faults.carried
    signal = linear(np.concatenate([cells, carried])).astype(np.float64)
    n = len(cells)
    truth = np.r_[codes, np.full(len(carried), CARRIED)].astype(np.int8)
    own = rng.normal(0.0, float(np.hypot(centre.staining_sd, faults.drift)), n_dyes)
    signal[:, 2:] *= 10.0 ** (instrument.offset + own)
    signal[:, :2] *= np.exp(rng.normal(0.0, faults.drift, 2))
    dye = 2 + DYES.index("SYTO41")
    signal[:, dye] = signal[:, dye] * 10.0**-faults.dye + (rng.normal(0.0, 60.0, len(signal)) if faults.dye else 0.0)
    dying = rng.choice(n, size=round(rng.uniform(*centre.dead) * n), replace=False)
    dying = dying[codes[dying] < 0]
    _kill(signal, dying, instrument, rng)
    truth[dying] = DEAD
    pairs = round(centre.doublets * n)
    first, second = rng.integers(n, size=pairs), rng.integers(n, size=pairs)
    two = (signal[first] + signal[second]) * np.r_[[0.97, 0.97], np.ones(n_dyes)]
    debris = _debris(round(rng.uniform(*centre.debris) * n), n_dyes, rng)
    everything = np.concatenate([signal, two, debris]).astype(np.float32)
    truth = np.r_[truth, np.full(pairs, DOUBLET), np.full(len(debris), JUNK)].astype(np.int8)
    if centre.background:
        glow = centre.background * 10.0 ** rng.normal(0.0, 0.2, (len(everything), 1))
        everything[:, 2:] += (glow * rng.uniform(0.3, 1.0, n_dyes)).astype(np.float32)
    error = 1.0 + centre.spill_error * rng.standard_normal(instrument.matrix.shape) * (1 - np.eye(n_dyes))
    bright = off_scale(everything, rng)
    everything[:, 2:] = everything[:, 2:] @ (instrument.matrix * error).astype(np.float32)
    for row, column, beyond in bright:
        everything[row, column] = beyond
    width = 60_000 * (1.0 + 0.035 * rng.standard_normal(len(everything)))
    width[len(signal) : len(signal) + pairs] *= rng.normal(1.5, 0.18, pairs)
    order = rng.permutation(len(everything))
    order = np.r_[_early(order, truth == CARRIED, rng)]
    everything, width, truth = everything[order], width[order], truth[order]
    everything[:, 0] *= centre.forward
    everything[:, 1] *= centre.side
    time = _run(everything, faults, rng)
    _write(path, everything, width, time, instrument)
    stored: Codes = truth
    return stored


def _kill(signal: Floats, rows: npt.NDArray[np.intp], instrument: Instrument, rng: np.random.Generator) -> None:
    """Cells that shrink, turn granular, bind every antibody a little and lose most of the dye; in place."""
    sticky = 10.0 ** rng.normal(0.0, 0.25, len(rows))
    for place, marker in enumerate(DYES):
        level = (3.0 if marker == "SYTO41" else 2.6) + instrument.offset[place]
        signal[rows, 2 + place] = sticky * 10.0 ** rng.normal(level, 0.25, len(rows))
    for column, centre in ((0, 38_000.0), (1, 70_000.0)):
        signal[rows, column] = centre * np.exp(rng.normal(0.0, 0.4, len(rows)))


def _debris(n: int, dyes: int, rng: np.random.Generator) -> Floats:
    """Particles without dye, shape (n, 2 + dyes)."""
    out = rng.normal(0.0, 60.0, (n, 2 + dyes))
    out[:, 0] = np.exp(rng.normal(np.log(17_000), 0.3, n))
    out[:, 1] = np.exp(rng.normal(np.log(14_000), 0.6, n))
    return out


def _early(
    order: npt.NDArray[np.intp], carried: npt.NDArray[np.bool_], rng: np.random.Generator
) -> npt.NDArray[np.intp]:
    """The order of acquisition with the cells of the tube before in the first hundredth of the run."""
    if not carried.any():
        return order
    place = np.empty(len(order))
    place[order] = np.arange(len(order))
    place[carried] = rng.uniform(0, 0.01 * len(order), int(carried.sum()))
    return np.argsort(place, kind="stable")


def _run(values: Floats32, faults: Faults, rng: np.random.Generator) -> Floats32:
    """Seconds of every event, shape (n,); signals of a disturbed stretch are changed in place."""
    n = len(values)
    gaps = rng.exponential(1.0 / 2000.0, n)
    if faults.clog:
        start = int(n * rng.uniform(0.2, 0.6))
        where = slice(start, start + round(0.03 * n))
        gaps[where] *= 6.0
        values[where] *= np.float32(1.6)
    if faults.bubble:
        start = int(n * rng.uniform(0.7, 0.9))
        where = slice(start, start + round(0.01 * n))
        values[where] *= np.float32(0.25)
        gaps[start] += 3.0
    return np.cumsum(gaps).astype(np.float32)


def _write(path: Path, values: Floats32, width: Floats, time: Floats32, instrument: Instrument) -> None:
    centre = instrument.centre
    top = np.float32(centre.range - 1)
    scaled = np.minimum(values * np.float32(centre.gain), top)
    if centre.integers:
        scaled = np.maximum(np.round(scaled), 0)
    markers = {detector: marker for marker, detector in DETECTORS.items()}
    names = ("FSC-A", "SSC-A", "FSC-W", *(DETECTORS[marker] for marker in DYES), "Time")
    columns = [scaled[:, 0], scaled[:, 1], width.astype(np.float32), *scaled[:, 2:].T, time * np.float32(100)]
    if centre.integers:
        columns = [np.round(column).astype(np.uint32) for column in columns]
    channels = [ChannelSpec(name, markers.get(name, ""), centre.range) for name in names[:-1]]
    channels.append(ChannelSpec("Time", "", 1 << 24 if centre.integers else centre.range))
    keywords = {
        "$CYT": "mixtures",
        "$TIMESTEP": "0.01",
        "$SPILLOVER": Spillover(instrument.matrix).keyword,
    }
    write_fcs(path, columns, channels, keywords, datatype="I" if centre.integers else "F")
