"""Names of the units and scales used throughout.

Three scales are in use and a column is always on exactly one of them:

``raw``
    What the FCS file stores after gain, log amplification and ``$TIMESTEP`` (float32), before compensation.
``scale``
    0..1 as FlowKit and GatingML use it. Fluorescence: logicle of the compensated value. Scatter: value / range.
    Gates, stored columns and models use this scale.
``decades``
    ``scale * 4.5`` (logicle M). Only for numbers shown to people: marker shifts, drift.
"""

from __future__ import annotations

from typing import Final

LOGICLE_T: Final = 262144.0
"""Top of the logicle scale in raw units (BD 18-bit instruments; Moore & Parks 2012)."""

LOGICLE_M: Final = 4.5
"""Width of the logicle display in decades."""

TARGET_MRD: Final = 1e-4
"""The trial's threshold: one leukaemic cell in 10,000 nucleated cells (ChiCTR2400093987)."""


def percent(fraction: float, digits: int = 2) -> str:
    """Fraction as a percentage with so many significant digits: ``0.012 %``.

    Parameters
    ----------
    fraction
        Finite; at least seven decimals are shown where it is very small.
    """
    if fraction == 0:
        return "0 %"
    value = fraction * 100
    return f"{value:.{min(7, decimals(value, digits))}f} %"


def decimals(value: float, digits: int) -> int:
    """Decimals that show so many significant digits of a number, which is not 0, after rounding: 0.0998 is ``0.10``."""
    return max(0, digits - 1 - int(f"{value:.{digits - 1}e}".partition("e")[2]))


_SUPERSCRIPTS: Final = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def scientific(value: float, digits: int = 2, *, zeros: bool = False) -> str:
    """Positive number as a power of ten for people: ``1.2 × 10⁻⁴``, ``6 × 10⁻⁵``, ``10⁻⁴``.

    Parameters
    ----------
    zeros
        Write zeros at the end too, since they are significant digits: ``6.0 × 10⁻⁵``.
    """
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    power = "10" + str(int(exponent)).translate(_SUPERSCRIPTS)
    whole = mantissa if zeros or "." not in mantissa else mantissa.rstrip("0").rstrip(".")
    return power if whole == "1" else f"{whole} × {power}"


def level(fraction: float, digits: int = 2) -> str:
    """A level as pages and messages write it: per cent, below 0.1 % with the power of ten in brackets.

    Both have the same digits: ``0.0083 % (8.3 × 10⁻⁵)``, ``0.0060 % (6.0 × 10⁻⁵)``; zero is ``0 %``.
    """
    said = percent(fraction, digits)
    return said if fraction >= 1e-3 or fraction <= 0 else f"{said} ({scientific(fraction, digits, zeros=True)})"


def ends(interval: tuple[float, float]) -> tuple[str, str]:
    """Both ends of an interval of fractions as percentages, with digits enough to tell one from the other."""
    low = high = ""
    for digits in (2, 3, 4):
        low, high = (percent(end, digits) for end in interval)
        if low != high:
            break
    return low, high


def to_decades(scale: float) -> float:
    """Convert a distance on the 0..1 scale to decades."""
    return scale * LOGICLE_M
