"""From drawn cells to an FCS file as a cytometer writes it, with the truth of every event."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.accuracy.mixtures import FEATURES
from flowmrd.fcs.writer import ChannelSpec, write_fcs
from flowmrd.preprocess.transform import inverse_logicle
from flowmrd.units import LOGICLE_M, LOGICLE_T

Floats32 = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int8]

WIDTHS = {"SYTO41": 0.0}
"""Logicle W by which drawn decades become linear; the laboratories' own are not known (0.5 to 1.5, SYTO 41 about 0)."""
DEFAULT_WIDTH = 0.75
DOUBLETS, DEBRIS = 0.03, 0.03
"""Shares of the singlets, as in two real marrows (2.5-3.5 % and 2.4-3.9 %)."""
SPILL_ERROR = 0.01
"""Relative standard deviation of the true spillover around the matrix in the file, per tube."""
OFF_SCALE = (0.0015, 0.0045)
"""Share of the events that are off scale in one detector, drawn per tube; real tubes hold as many."""
BEYOND_RANGE = (1.0, 8.0)
"""How many times the detector's range such an event is bright, log-uniform; the file holds the end of the range."""
NORMAL, DOUBLET, JUNK = -1, -2, -3
"""Codes of events that are not a single leukaemic cell; those are 0 and more."""

DETECTORS = {
    "CD20": "FITC-A",
    "CD10": "PE-A",
    "CD45": "PerCP-A",
    "CD34": "PE-Cy7-A",
    "SYTO41": "PacificBlue-A",
    "CD19": "APC-A",
    "CD38": "Alexa700-A",
}


@dataclass(frozen=True)
class Spillover:
    """Matrix over the fluorescence features, in their order: row = dye, column = detector."""

    matrix: npt.NDArray[np.float64]

    @property
    def keyword(self) -> str:
        """Text of ``$SPILLOVER``."""
        names = [DETECTORS[marker] for marker in FEATURES[2:]]
        return ",".join([str(len(names)), *names, *(f"{value:.6g}" for value in self.matrix.ravel())])


def measured_spillover(statistics: Path) -> Spillover:
    """The matrix of a real tube of this panel (optional shared data)."""
    stored = json.loads(statistics.read_text(encoding="utf-8"))["real_events"]["ball_d15_A"]["spill_matrix"]
    index = np.array([stored["markers"].index(marker) for marker in FEATURES[2:]])
    return Spillover(np.asarray(stored["matrix"])[index[:, None], index[None, :]])


def linear(values: Floats32) -> Floats32:
    """Linear signals (n, d) of cells in decades."""
    out = np.empty_like(values)
    out[:, :2] = values[:, :2] / LOGICLE_M * LOGICLE_T
    for j, marker in enumerate(FEATURES[2:], start=2):
        width = WIDTHS.get(marker, DEFAULT_WIDTH)
        out[:, j] = inverse_logicle(values[:, j] / np.float32(LOGICLE_M), LOGICLE_T, LOGICLE_M, width, 0.0)
    return out


def off_scale(signal: Floats32, rng: np.random.Generator) -> list[tuple[int, int, float]]:
    """Make a share of the events too bright for one detector, in place; half of them for that detector alone.

    Parameters
    ----------
    signal
        Shape (n, 2 + dyes), linear, before the light of a dye is spread over the detectors.

    Returns
    -------
    list of (row, column, signal)
        Events whose brightness reaches the one detector only; they are set after the light was spread.
    """
    n, d = signal.shape
    rows = rng.choice(n, size=round(rng.uniform(*OFF_SCALE) * n), replace=False)
    columns = rng.integers(2, d, size=len(rows))
    least, most = (float(bound) for bound in np.log(BEYOND_RANGE))
    beyond = LOGICLE_T * np.exp(rng.uniform(least, most, size=len(rows)))
    alone = rng.random(len(rows)) < 0.5
    signal[rows[~alone], columns[~alone]] = beyond[~alone]
    return [(int(r), int(c), float(b)) for r, c, b in zip(rows[alone], columns[alone], beyond[alone], strict=True)]


def acquire(path: Path, cells: Floats32, codes: Codes, spill: Spillover, rng: np.random.Generator) -> Codes:
    """Write a tube and return the code of every event in file order.

    Parameters
    ----------
    cells
        Shape (n, 9), decades.
    codes
        Shape (n,): :data:`NORMAL`, or 0 and more for leukaemic cells.
    """
    columns, truth = measure(cells, codes, spill, rng)
    write(path, columns, spill)
    return truth


def measure(
    cells: Floats32, codes: Codes, spill: Spillover, rng: np.random.Generator, *, top: float = LOGICLE_T - 1
) -> tuple[dict[str, Floats32], Codes]:
    """Detector name to the values that the instrument stores, in file order, and the code of every event.

    Parameters
    ----------
    top
        Largest value that is stored; infinity for what the detectors would see without a ceiling.
    """
    n, d = cells.shape
    n_doublets, n_debris = round(DOUBLETS * n), round(DEBRIS * n)
    signal = linear(cells)
    first, second = rng.integers(n, size=n_doublets), rng.integers(n, size=n_doublets)
    pairs = (signal[first] + signal[second]) * np.r_[[0.97, 0.97], np.ones(d - 2)]
    debris = rng.normal(0.0, 60.0, (n_debris, d))
    debris[:, 0] = np.exp(rng.normal(np.log(17_000), 0.3, n_debris))
    debris[:, 1] = np.exp(rng.normal(np.log(14_000), 0.6, n_debris))
    everything = np.concatenate([signal, pairs, debris]).astype(np.float32)
    error = 1.0 + SPILL_ERROR * rng.standard_normal(spill.matrix.shape) * (1 - np.eye(d - 2))
    bright = off_scale(everything, rng)
    everything[:, 2:] = everything[:, 2:] @ (spill.matrix * error).astype(np.float32)
    # Of half of them the neighbours do not see the light: what compensation takes off them is then too much.
    for row, column, signal_beyond in bright:
        everything[row, column] = signal_beyond
    width = 60_000 * (1.0 + 0.035 * rng.standard_normal(len(everything)))
    # Doublet over singlet pulse width in two real marrows: median about 1.5.
    width[n : n + n_doublets] *= rng.normal(1.5, 0.18, n_doublets)
    truth = np.full(len(everything), JUNK, dtype=np.int8)
    truth[:n], truth[n : n + n_doublets] = codes, DOUBLET
    order = rng.permutation(len(everything))
    everything, width, truth = everything[order], width[order], truth[order]
    time = np.sort(rng.uniform(0, len(everything) / 20.0, len(everything)))
    names = ("FSC-A", "SSC-A", "FSC-W", *(DETECTORS[marker] for marker in FEATURES[2:]), "Time")
    columns = [everything[:, 0], everything[:, 1], width, *everything[:, 2:].T, time]
    stored = [np.minimum(np.asarray(column, dtype=np.float32), np.float32(top)) for column in columns]
    return dict(zip(names, stored, strict=True)), truth


def write(path: Path, columns: Mapping[str, Floats32], spill: Spillover) -> None:
    """Write stored values as an FCS file of this panel."""
    markers = {detector: marker for marker, detector in DETECTORS.items()}
    channels = [ChannelSpec(name, markers.get(name, ""), round(LOGICLE_T)) for name in columns]
    keywords = {"$CYT": "mixtures", "$TIMESTEP": "0.01", "$SPILLOVER": spill.keyword}
    write_fcs(path, list(columns.values()), channels, keywords)
