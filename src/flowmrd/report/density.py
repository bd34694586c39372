"""Density of all events on two axes: counts on a fixed grid, and their image.

Both axes are on the 0..1 scale. The grid reaches a little beyond it, and what lies outside is counted in the outermost
bins, as cytometry software does, so that no event disappears from a plot.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any, Final

import numpy as np
import numpy.typing as npt

BINS: Final = 128
LOW: Final = -0.05
HIGH: Final = 1.05
_LEVELS: Final = 48

Counts = npt.NDArray[np.uint32]
Bins = npt.NDArray[np.uint8]


def bin_axis(values: npt.NDArray[Any]) -> Bins:
    """Bin number of every event on one axis.

    Parameters
    ----------
    values
        Shape (n_events,), 0..1 scale. NaN, which preprocessing masks, falls into the first bin.
    """
    scaled = (values.astype(np.float32, copy=False) - np.float32(LOW)) * np.float32(BINS / (HIGH - LOW))
    np.nan_to_num(scaled, copy=False, nan=0.0, posinf=BINS, neginf=0.0)
    np.clip(scaled, 0, BINS - 1, out=scaled)
    return scaled.astype(np.uint8)


def count_grid(x: Bins, y: Bins) -> Counts:
    """Events per cell, shape (BINS, BINS), row = y bin from the bottom, column = x bin."""
    flat = y.astype(np.int64) * BINS
    flat += x
    return np.bincount(flat, minlength=BINS * BINS).astype(np.uint32).reshape(BINS, BINS)


def _palette() -> bytes:
    """Palette of the picture: entry 0 is seen through, then light to dark slate blue in even steps of lightness."""
    light, dark = np.array([205, 214, 224.0]), np.array([10, 32, 62.0])
    steps = np.linspace(0, 1, _LEVELS - 1)[:, None]
    colours = light + (dark - light) * steps
    return bytes([255, 255, 255, *np.rint(colours).astype(np.uint8).ravel().tolist()])


def picture(counts: Counts) -> bytes:
    """PNG of log counts, top row = highest y. The same counts give the same bytes."""
    highest = int(counts.max(initial=0))
    levels = np.zeros(counts.shape, dtype=np.uint8)
    if highest:
        shade = np.log1p(counts) / np.log1p(highest)
        levels = np.where(counts > 0, 1 + np.rint(shade * (_LEVELS - 2)), 0).astype(np.uint8)
    rows = np.zeros((BINS, BINS + 1), dtype=np.uint8)  # every PNG row starts with its filter type, 0
    rows[:, 1:] = levels[::-1]
    header = struct.pack(">IIBBBBB", BINS, BINS, 8, 3, 0, 0, 0)
    parts = [(b"IHDR", header), (b"PLTE", _palette()), (b"tRNS", b"\0"), (b"IDAT", zlib.compress(rows.tobytes(), 6))]
    chunks = [_chunk(kind, body) for kind, body in [*parts, (b"IEND", b"")]]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
