"""The simulated instrument: dyes, spillover, noise, pulse shape, time.

Spillover of the Vienna dyes is that of a real eight-colour tube (rounded; optional shared data, file A). The values of
the other dyes are those of a usual three-laser 10-colour instrument (general knowledge).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from flowmrd.errors import PanelError
from flowmrd.panel.model import Channel, ChannelKind, PanelModel
from flowmrd.preprocess.transform.logicle import inverse_logicle, logicle
from flowmrd.simulate.populations import SIGNALS
from flowmrd.units import LOGICLE_M, LOGICLE_T

Floats = npt.NDArray[np.float64]

RANGE: Final = 262144.0
SATURATED: Final = RANGE - 1
TIMESTEP: Final = 0.01

ANTIBODY_W: Final = 0.75
"""Logicle width to which the decades of antibody signals refer (laboratories: 0.5-1.5, median near 0.75)."""

SCATTER_SIGNALS: Final = ("FSC-A", "FSC-H", "FSC-W", "SSC-A", "SSC-H", "SSC-W")

_SPILL: Final[dict[str, dict[str, float]]] = {
    "FITC": {"PE": 0.18, "PE-CF594": 0.05, "PerCP": 0.028, "PerCP-Cy5.5": 0.02, "PE-Cy7": 0.0004, "V500": 0.03},
    "PE": {"FITC": 0.012, "PE-CF594": 0.26, "PerCP": 0.196, "PerCP-Cy5.5": 0.12, "PE-Cy7": 0.012, "APC": 0.0005},
    "PE-CF594": {"PE": 0.11, "PerCP-Cy5.5": 0.36, "PerCP": 0.4, "PE-Cy7": 0.03, "APC": 0.006, "AF700": 0.004},
    "PerCP": {"PE-Cy7": 0.027, "APC": 0.01, "AF700": 0.049, "APC-H7": 0.004},
    "PerCP-Cy5.5": {"PE-Cy7": 0.12, "APC": 0.02, "AF700": 0.14, "APC-H7": 0.03},
    "PE-Cy7": {"FITC": 0.0015, "PE": 0.015, "PE-CF594": 0.006, "PerCP": 0.006, "PerCP-Cy5.5": 0.012, "AF700": 0.027,
               "APC-H7": 0.077},
    "APC": {"PerCP": 0.015, "PerCP-Cy5.5": 0.02, "AF700": 0.42, "APC-H7": 0.08, "PE-Cy7": 0.0005},
    "AF700": {"APC": 0.002, "APC-H7": 0.10, "PE-Cy7": 0.0018, "PerCP-Cy5.5": 0.004},
    "APC-H7": {"APC": 0.035, "AF700": 0.04, "PE-Cy7": 0.02},
    "BV421": {"V500": 0.09},
    "PacificBlue": {"V500": 0.2, "PacificOrange": 0.06, "FITC": 0.002, "PE": 0.0009},
    "PacificOrange": {"PacificBlue": 0.01, "PE": 0.02, "FITC": 0.01, "BV605": 0.4},
    "BV605": {"BV711": 0.12, "PE": 0.03, "BV786": 0.04, "PerCP-Cy5.5": 0.02, "PacificOrange": 0.05},
    "BV711": {"BV786": 0.3, "APC-R700": 0.05, "PerCP-Cy5.5": 0.04, "APC-H7": 0.01},
    "BV786": {"APC-H7": 0.05, "BV711": 0.04, "PE-Cy7": 0.02},
    "APC-R700": {"APC-H7": 0.12, "APC": 0.02, "BV711": 0.04, "PerCP-Cy5.5": 0.005},
    "V500": {"FITC": 0.04, "PE": 0.01, "BV421": 0.02, "PacificBlue": 0.05, "PE-CF594": 0.004},
}  # fmt: skip
"""``_SPILL[dye][other]``: share of a dye's signal seen in the detector of another dye."""

_NOISE: Final[dict[str, tuple[float, float]]] = {
    "AF700": (70.0, 14.0),
    "APC-H7": (70.0, 14.0),
    "V500": (60.0, 12.0),
    "PacificOrange": (60.0, 12.0),
    "PerCP": (50.0, 7.0),
    "PerCP-Cy5.5": (50.0, 7.0),
}
_DEFAULT_NOISE: Final = (45.0, 5.0)
"""Electronic noise (standard deviation, raw units) and variance per raw unit of signal (photon statistics)."""


@dataclass(frozen=True)
class Detector:
    """One channel of the simulated file.

    Attributes
    ----------
    index
        Position of the marker in ``SIGNALS``; -1 for time and for scatter that is derived.
    """

    marker: str
    pnn: str
    dye: str | None
    kind: ChannelKind
    index: int
    width: float
    voltage: float


@dataclass(frozen=True)
class Cytometer:
    """Detectors of a panel with spillover and noise.

    Attributes
    ----------
    spill
        Shape (k, k) over ``fluorescence``; row = dye, column = detector.
    electronic, photon
        Noise parameters per fluorescence detector, shape (k,).
    """

    detectors: tuple[Detector, ...]
    spill: Floats
    electronic: Floats
    photon: Floats

    @property
    def fluorescence(self) -> tuple[Detector, ...]:
        """Detectors that carry a dye."""
        return tuple(detector for detector in self.detectors if detector.dye is not None)

    def to_raw(self, decades: npt.ArrayLike, detector: Detector) -> npt.NDArray[np.floating[Any]]:
        """Linear signal of one dye from decades, any shape."""
        return inverse_logicle(np.asarray(decades) / np.float32(LOGICLE_M), LOGICLE_T, LOGICLE_M, detector.width, 0.0)

    def to_decades(self, raw: npt.ArrayLike, detector: Detector) -> npt.NDArray[np.floating[Any]]:
        """Decades of a compensated linear signal, any shape."""
        return logicle(raw, LOGICLE_T, LOGICLE_M, detector.width, 0.0) * np.float32(LOGICLE_M)

    def noise_decades(self, mean: Floats) -> Floats:
        """Spread in decades that the instrument adds to a population after compensation.

        Parameters
        ----------
        mean
            Decades of the fluorescence detectors, shape (k,).

        Returns
        -------
        numpy.ndarray
            Standard deviations, shape (k,): first-order propagation of detector noise through the inverse spillover
            matrix and the slope of the logicle.
        """
        dyes = self.fluorescence
        widths = np.array([detector.width for detector in dyes])
        raw = np.empty(len(dyes))
        for width in set(widths.tolist()):
            at = widths == width
            raw[at] = inverse_logicle(mean[at] / LOGICLE_M, LOGICLE_T, LOGICLE_M, width, 0.0)
        seen = np.maximum(raw @ self.spill, 0.0)
        variance = self.electronic**2 + self.photon * seen
        inverse = np.linalg.inv(self.spill)
        sd = np.sqrt(np.einsum("ij,i->j", inverse**2, variance))
        spread = np.empty(len(dyes))
        for width in set(widths.tolist()):
            at = widths == width
            low, high = (logicle(raw[at] + side * sd[at], LOGICLE_T, LOGICLE_M, width, 0.0) for side in (-1, 1))
            spread[at] = (high - low) * (LOGICLE_M / 2)
        return spread


def is_simulated(channel: Channel) -> bool:
    """Whether the simulator knows a channel's signal."""
    if channel.kind is ChannelKind.TIME:
        return True
    return channel.marker in (SCATTER_SIGNALS if channel.kind is ChannelKind.SCATTER else SIGNALS)


def build_cytometer(panel: PanelModel) -> Cytometer:
    """Detectors for a panel's channels.

    Optional channels that carry no dye and are not scatter are left out, because they have no detector.

    Raises
    ------
    PanelError
        If the panel has a marker that the simulator does not know.
    """
    detectors = [detector for channel in panel.channels if (detector := _detector(channel, panel)) is not None]
    dyes = [detector for detector in detectors if detector.dye is not None]
    spill = np.eye(len(dyes))
    for i, row in enumerate(dyes):
        for j, column in enumerate(dyes):
            if i != j:
                spill[i, j] = _SPILL.get(row.dye or "", {}).get(column.dye or "", 0.0)
    noise = np.array([_NOISE.get(detector.dye or "", _DEFAULT_NOISE) for detector in dyes]).reshape(-1, 2)
    return Cytometer(tuple(detectors), spill, noise[:, 0], noise[:, 1])


def _detector(channel: Channel, panel: PanelModel) -> Detector | None:
    marker = channel.marker
    index = SIGNALS.index(marker) if marker in SIGNALS else -1
    if channel.kind is ChannelKind.TIME:
        return Detector(marker, "Time", None, channel.kind, -1, 0.0, 0.0)
    if channel.kind is ChannelKind.SCATTER and marker in SCATTER_SIGNALS:
        return Detector(marker, marker, None, channel.kind, index, 0.0, 350.0 if marker.startswith("F") else 420.0)
    if channel.kind is ChannelKind.EMPTY:
        return None
    if index < 0 or channel.kind is ChannelKind.SCATTER:
        raise PanelError(
            f"panel {panel.name}, channel {marker}",
            found=f"marker {marker} of kind {channel.kind.value}",
            expected=f"a marker the simulator knows: {', '.join(SIGNALS)}, scatter or time",
            todo="simulate with another panel, or describe the marker in flowmrd/simulate/populations.py",
        )
    dye = channel.fluorochrome or ("PacificBlue" if channel.kind is ChannelKind.NUCLEIC_ACID else None)
    if dye is None:
        if not channel.required:
            return None
        dye = marker
    width = 0.0 if channel.kind is ChannelKind.NUCLEIC_ACID else ANTIBODY_W
    return Detector(marker, f"{dye}-A", dye, channel.kind, index, width, 450.0 + 10.0 * index)
