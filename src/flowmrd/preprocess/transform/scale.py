"""Transform of one channel to the 0..1 scale and back: logicle, asinh or linear, with its parameters.

asinh: ``asinh(v / cofactor) / asinh(T / cofactor)``, so that T gives 1. This is GatingML 2.0's ``fasinh`` with A = 0
and M = asinh(T / cofactor) / ln 10. Linear: ``v / T``, GatingML's ``flin`` with A = 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from flowmrd.errors import TransformError
from flowmrd.preprocess.transform.logicle import inverse_logicle, logicle_parameters, logicle_table
from flowmrd.records.quality import ScaleEntry

__all__ = ["ChannelScale"]

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ChannelScale:
    """Transform of one channel with all parameters.

    Attributes
    ----------
    kind
        ``logicle``, ``asinh`` or ``linear``.
    T, M, W, A, cofactor
        Parameters; those that a kind does not use keep their defaults.
    T_source, W_source
        Where T and W came from: ``panel``, ``file``, ``ladder``, ``controls``, ``sample``, ``default`` or ``fixed``.
    """

    kind: Literal["logicle", "asinh", "linear"]
    T: float
    M: float = 4.5
    W: float = 0.5
    A: float = 0.0
    cofactor: float = 150.0
    T_source: str = "panel"
    W_source: str = "panel"

    def __post_init__(self) -> None:
        if self.kind == "logicle":
            logicle_parameters(float(self.T), float(self.M), float(self.W), float(self.A))
        elif not (self.T > 0 and np.isfinite(self.T) and self.cofactor > 0):
            raise TransformError(
                f"{self.kind} parameters",
                found=f"T={self.T:g}, cofactor={self.cofactor:g}",
                expected="T > 0 and cofactor > 0",
                todo="correct 'transform' of the channel in the panel file",
            )

    def apply(self, raw: Float32, out: Float32 | None = None) -> Float32:
        """Raw float32 values, shape (n,), to 0..1; ``out`` may be ``raw`` itself. NaN for non-finite values."""
        if self.kind == "logicle":
            return logicle_table(float(self.T), float(self.M), float(self.W), float(self.A)).apply(raw, out)
        result = np.empty_like(raw) if out is None else out
        if self.kind == "linear":
            np.multiply(raw, np.float32(1.0 / self.T), out=result)
        else:
            np.divide(raw, np.float32(self.cofactor), out=result)
            np.arcsinh(result, out=result)
            np.multiply(result, np.float32(1.0 / np.arcsinh(self.T / self.cofactor)), out=result)
        result[~np.isfinite(result)] = np.nan
        return result

    def inverse(self, scale: npt.ArrayLike) -> npt.NDArray[np.floating[Any]]:
        """Raw units of values on the 0..1 scale, any shape, for axis ticks and medians shown to people."""
        if self.kind == "logicle":
            return inverse_logicle(scale, self.T, self.M, self.W, self.A)
        values = np.asarray(scale, dtype=np.float64)
        if self.kind == "linear":
            return values * self.T
        return np.asarray(np.sinh(values * np.arcsinh(self.T / self.cofactor)) * self.cofactor)

    def as_record(self) -> ScaleEntry:
        """The scale as artefacts hold it."""
        return ScaleEntry(
            kind=self.kind,
            T=self.T,
            M=self.M,
            W=self.W,
            A=self.A,
            cofactor=self.cofactor,
            T_source=self.T_source,
            W_source=self.W_source,
        )

    @classmethod
    def from_record(cls, entry: ScaleEntry) -> ChannelScale:
        """Rebuild from :meth:`as_record`."""
        return cls(entry.kind, entry.T, entry.M, entry.W, entry.A, entry.cofactor, entry.T_source, entry.W_source)
