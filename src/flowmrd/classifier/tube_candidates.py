"""From one gated tube to the cells that the classifier judges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flowmrd.classifier.candidate_cells import CandidateCells, OffscaleCells
from flowmrd.classifier.doublet_model import simulated_doublets
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.errors import GateError
from flowmrd.flags import Effect
from flowmrd.panel.gates import window_gate
from flowmrd.tube import Tube
from flowmrd.tube.tube import require_tube
from flowmrd.units import LOGICLE_M

__all__ = ["TubeCandidates", "candidates"]


@dataclass(frozen=True)
class TubeCandidates:
    """Candidate cells of a tube with the row of each.

    Attributes
    ----------
    cells
        The candidates in decades.
    rows
        Shape (cells.n,): row of each candidate in the tube.
    offscale_rows
        Shape (m,): rows of the candidates that are off scale in a detector (``cells.offscale``).
    """

    cells: CandidateCells
    rows: npt.NDArray[np.intp]
    offscale_rows: npt.NDArray[np.intp]


def candidates(tube: Tube, parameters: ClassifierParameters | None = None) -> TubeCandidates:
    """Candidate cells: nucleated singlets with finite signals.

    Masked events are kept as candidates, so that the result can be given with and without a mask. The denominator of
    rates does not include them: it is the number of analysable nucleated events (:meth:`Tube.analysable`).

    Parameters
    ----------
    tube
        A gated tube.
    parameters
        Numbers by which doublets are simulated; the defaults where absent.

    Returns
    -------
    TubeCandidates
        ``cells`` with values in decades, shape (n, d), and ``rows``, the row of each in the tube, shape (n,).

    Raises
    ------
    GateError
        If the tube has not been gated, or lacks the gates that every panel must define.
    """
    require_tube(tube, "the classifier")
    if not tube.gate_names:
        raise GateError(
            f"tube {tube.name}",
            found="a tube that has not been gated",
            expected="the gates of its panel",
            todo="gate it first (gate_tube)",
        )
    searched = window_gate(tube.gate_names)
    missing = [name for name in ("nucleated", searched) if name not in tube.gate_names]
    if missing:
        raise GateError(
            f"tube {tube.name}",
            found=f"no gate {' or '.join(missing)}",
            expected="both, as every panel's tree must define",
            todo="correct the panel's gate tree and rerun the gate stage",
        )
    nucleated, window = _inside(tube, "nucleated"), _inside(tube, searched)
    denominator = int(np.count_nonzero(nucleated & tube.analysable()))
    usable = nucleated & ~tube.masks["nonfinite"] if "nonfinite" in tube.masks else nucleated
    if "singlets" in tube.gate_names:
        usable = usable & _inside(tube, "singlets")
    features = tuple(name for name in tube.panel.features if name in tube.columns)
    censored = tube.masks.get("offscale", np.zeros(tube.n_events, dtype=np.bool_))
    rows, values = _values(tube, usable & ~censored, features)
    offscale_rows, offscale = _offscale(tube, usable & censored, features)
    codes = {int(code): str(name) for name, code in tube.populations.items()}
    window = window[rows]
    doublets = None
    if all(name in tube.scales for name in features):
        doublets = simulated_doublets(
            values, window, [tube.scales[name] for name in features], parameters or ClassifierParameters()
        )
    cells = CandidateCells(
        name=tube.name,
        features=features,
        values=values,
        window=window,
        denominator=denominator,
        population=None if tube.population is None else tube.population[rows].astype(np.int16),
        populations=tuple(codes.get(code, "") for code in range(max(codes, default=-1) + 1)),
        doublets=doublets,
        offscale=offscale,
        events=tube.n_events,
        doubts=()
        if tube.qc is None
        else tuple(one.flag for one in tube.qc.flags if one.flag.kind.effect is Effect.DOUBT),
    )
    return TubeCandidates(cells, rows, offscale_rows)


def _values(
    tube: Tube, chosen: npt.NDArray[np.bool_], features: tuple[str, ...]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """Rows of the chosen events with finite signals and their values in decades."""
    rows = np.flatnonzero(chosen)
    values = np.empty((len(rows), len(features)), dtype=np.float32)
    for j, name in enumerate(features):
        np.multiply(tube.columns[name][rows], np.float32(LOGICLE_M), out=values[:, j])
    good = np.isfinite(values).all(axis=1)
    return (rows, values) if good.all() else (rows[good], values[good])


def _offscale(
    tube: Tube, chosen: npt.NDArray[np.bool_], features: tuple[str, ...]
) -> tuple[npt.NDArray[np.intp], OffscaleCells]:
    """Rows of the chosen events, and their values with the channels in which they are measured."""
    rows, values = _values(tube, chosen, features)
    measured = np.ones(values.shape, dtype=np.bool_)
    if tube.censored is not None:
        bits = tube.censored[rows]
        for place, name in enumerate(tube.censored_names):
            if name in features:
                measured[:, features.index(name)] = (bits >> np.uint32(place) & np.uint32(1)) == 0
    off = [tube.masks[f"offscale_{name}"][rows] for name in tube.censored_names]
    stacked = np.stack(off, axis=1) if off else np.zeros((len(rows), 0), dtype=np.bool_)
    return rows, OffscaleCells(values, measured, tube.censored_names, stacked)


def _inside(tube: Tube, name: str) -> npt.NDArray[np.bool_]:
    """Events inside a gate of the tree; none where the gate could not be placed, which makes the tube not evaluable."""
    inside = tube.gate_or_none(name)
    return np.zeros(tube.n_events, dtype=np.bool_) if inside is None else inside
