"""Which events of a tube lie in each of an expert's gates, and which gates could not be evaluated and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from flowmrd.errors import GateError, UnknownTubeError

__all__ = ["LEUKAEMIC_NAMES", "ExpertGates", "GateBorder", "GatePath", "Mask", "in_pieces", "other_tube", "spelled"]

Mask = npt.NDArray[np.bool_]
GatePath = tuple[str, ...]
"""Names of a gate's parents, from the outermost on, and its own."""

LEUKAEMIC_NAMES: Final = frozenset(
    {"blast", "blasts", "mrd", "laip", "leukaemia", "leukemia", "leukaemic", "leukemic", "leukaemic cells"}
)
"""Names of a gate that holds the leukaemic cells, where nobody says which one does; case does not count."""
TOLERANCE: Final = (0.05, 10)
"""Share and number of events by which a count may differ from the one that the expert's software wrote down. FACSDiva
counts on a display grid of 256 steps, which moves counts by up to 3 %."""


@dataclass(frozen=True)
class GateBorder:
    """Border of a gate in values of the data, after compensation.

    Attributes
    ----------
    positions
        Channels of the file, one for each axis.
    ranges
        Of a rectangle: least and greatest value along each axis, None where there is no border.
    corners
        Of a polygon: corners so close to each other that the border between them is straight on any scale.
    """

    positions: tuple[int, ...]
    ranges: tuple[tuple[float | None, float | None], ...] = ()
    corners: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class ExpertGates:
    """Gates of one tube.

    Attributes
    ----------
    where
        The file of the gates, for messages.
    kind
        What kind of file it is.
    masks
        Gate to its events, shape (n_events,).
    stated
        Gate to the count that the expert's software wrote into the file, where it did.
    refused
        Gate to the reason why it cannot be evaluated.
    outlines
        Gate to its border, for gates whose border can be put on another scale: rectangles and polygons.
    """

    where: str
    kind: str
    masks: Mapping[GatePath, Mask]
    stated: Mapping[GatePath, int] = field(default_factory=dict)
    refused: Mapping[GatePath, str] = field(default_factory=dict)
    outlines: Mapping[GatePath, GateBorder] = field(default_factory=dict)

    def path_of(self, name: str) -> GatePath:
        """The gate of a name, or of a path with ``/`` between names.

        Raises
        ------
        GateError
            If there is none, several, or one that cannot be evaluated.
        """
        wanted = name.strip().strip("/").casefold()
        known = [*self.masks, *self.refused]
        found = [path for path in known if spelled(path).casefold() == wanted]
        found = found or [path for path in known if path[-1].casefold() == wanted]
        if len(found) != 1:
            raise GateError(
                self.where,
                found=f"{len(found)} gates {name[:60]!r}" if found else f"no gate {name[:60]!r}",
                expected=f"one of {self._names()}",
                todo="give the whole path of one gate" if found else "correct the name of the gate",
            )
        if found[0] in self.refused:
            raise GateError(
                self.where,
                found=f"the gate {spelled(found[0])}: {self.refused[found[0]]}",
                expected="a gate that can be evaluated",
                todo="draw the gate in another way, or export its events as a table with the columns event and blast",
            )
        return found[0]

    def members(self, name: str) -> Mask:
        """Events of a gate, shape (n_events,).

        Raises
        ------
        GateError
            As :meth:`path_of`, or if the expert's software counted other events.
        """
        path = self.path_of(name)
        found, stated = int(np.count_nonzero(self.masks[path])), self.stated.get(path)
        if stated is not None and abs(found - stated) > max(TOLERANCE[0] * stated, TOLERANCE[1]):
            raise GateError(
                self.where,
                found=f"{found} events in the gate {spelled(path)}, of which the file says {stated}",
                expected=f"the same count within {TOLERANCE[0]:.0%} or {TOLERANCE[1]} events",
                todo="check that the gates are those of this tube and were saved after the last change; else export "
                "the events of the gate as a table with the columns event and blast",
            )
        return self.masks[path]

    def leukaemic(self) -> Mask:
        """Events of the one gate that is named after leukaemic cells (:data:`LEUKAEMIC_NAMES`), shape (n_events,).

        Raises
        ------
        GateError
            If no gate has such a name, or several have.
        """
        named = [path for path in (*self.masks, *self.refused) if path[-1].strip().casefold() in LEUKAEMIC_NAMES]
        if len(named) != 1:
            raise GateError(
                self.where,
                found=f"{len(named)} gates with the name of leukaemic cells among {self._names()}",
                expected=f"one gate called {', '.join(sorted(LEUKAEMIC_NAMES))}",
                todo="make a table of the right gate with "
                "'flowmrd labels TUBE.fcs GATES --gate NAME -o labels.parquet'",
            )
        return self.members(spelled(named[0]))

    def rows(self) -> list[dict[str, object]]:
        """Every gate with its count, the count of the file and why it was refused, in the order of the names."""
        return [
            {
                "gate": spelled(path),
                "events": int(np.count_nonzero(self.masks[path])) if path in self.masks else None,
                "stated": self.stated.get(path),
                "refused": self.refused.get(path, ""),
            }
            for path in sorted({*self.masks, *self.refused})
        ]

    def _names(self) -> str:
        names = sorted(spelled(path) for path in {*self.masks, *self.refused})
        return ", ".join(names[:30]) + (f" and {len(names) - 30} more" if len(names) > 30 else "") or "no gate at all"


PIECES: Final = 24
"""Pieces of a polygon's edge when it is put on another scale. A decade of an edge is then bent by less than a 500th."""


def in_pieces(corners: Sequence[tuple[float, float]]) -> npt.NDArray[np.float64]:
    """Corners of a polygon with further ones on each edge, shape (n, 2)."""
    points = np.asarray(corners, dtype=np.float64)
    steps = np.arange(PIECES)[:, None] / PIECES
    following = np.roll(points, -1, axis=0)
    return np.concatenate([one + steps * (other - one) for one, other in zip(points, following, strict=True)])


def other_tube(where: str, events: int, expected: int) -> UnknownTubeError:
    """The error for gates of a tube with another number of events."""
    return UnknownTubeError(
        where,
        found=f"a tube of {events} events",
        expected=f"{expected} events, as in the FCS file",
        todo="take the gates of this very file",
    )


def spelled(path: GatePath) -> str:
    """A gate's path as people write it."""
    return "/".join(path)
