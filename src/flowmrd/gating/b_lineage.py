"""Normal B-cell stages of a tube: whether a stage holds more cells than cells of other kinds can explain.

The gate ``b_lineage`` requires a living cell on which two markers of the B lineage agree. After anti-B-cell therapy a
tube holds so few B cells that dying and immature myeloid cells, which bind many antibodies, matter beside them. Their
number in the place of a stage is estimated from cells that are not normal B cells. Normal B cells have CD19 and the
scatter of living lymphoid cells (gate ``b_scatter``). Of the cells with all other markers of the stage, *a* have both,
*b* lack CD19, *c* lack the scatter, and *d* lack both. If the two signs are independent in cells of other lineages, *b
c / d* of the *a* cells do not belong to the stage. This is the classical estimate of a background from side bands.
Precursors without CD19 and B cells with unusual scatter raise *b* and *c*, so the estimate errs towards too many other
cells. The same is counted in every control, so that a tube in which few such cells were counted is not assumed to have
none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import gammainc, gammaincinv

from flowmrd.gating.reference import GateReference
from flowmrd.gating.tree import GateResult
from flowmrd.panel.gates import BooleanGate, CutGate, Gate
from flowmrd.panel.model import PanelModel
from flowmrd.records.gates import BLineageEntry, StageEntry

__all__ = ["OTHERS_IN", "assess_b_lineage", "assess_stages", "is_present", "other_cells_in"]

Mask = npt.NDArray[np.bool_]

MIN_NUCLEATED: Final = 10_000
"""Smallest number of nucleated cells from which the share of a lineage of about one per cent is computed."""
LEVEL: Final = 0.95
"""Confidence of upper limits, and of a count that exceeds them; one-sided, as for the limit of blank."""
OTHERS_IN: Final = "others_in_"
"""Prefix of the key for a control's share of nucleated cells that are other cells in the place of a stage."""
CD19: Final = "cd19_pos"
SCATTER: Final = "b_scatter"
SCATTER_CHANNELS: Final = ("FSC-A", "FSC-H", "FSC-W", "SSC-A", "SSC-H", "SSC-W")


@dataclass(frozen=True)
class OtherCells:
    """Cells with all markers of a stage except CD19, by the two signs of a normal B cell.

    Attributes
    ----------
    without_cd19, without_scatter, without_both
        Analysable agranular single cells (*b*, *c* and *d* of the module's text).
    """

    without_cd19: int
    without_scatter: int
    without_both: int

    @property
    def expected(self) -> float:
        """Expected number of other cells in the place of the stage."""
        return self.without_cd19 * self.without_scatter / max(self.without_both, 1)

    @property
    def at_most(self) -> float:
        """Upper limit of that number, from the Poisson upper limits of the two counts that are multiplied."""
        return upper_limit(self.without_cd19) * upper_limit(self.without_scatter) / max(self.without_both, 1)


def upper_limit(count: float) -> float:
    """One-sided upper limit of a Poisson mean (Garwood, Biometrika 1936;28:437) at :data:`LEVEL`."""
    return float(gammaincinv(count + 1, LEVEL))


def is_present(count: int, at_most: float) -> bool:
    """Whether a count exceeds this number of other cells: the probability of so many or more is below 1 -
    :data:`LEVEL`.
    """
    return count > 0 and (at_most <= 0 or float(gammainc(count, at_most)) < 1 - LEVEL)


def other_cells_in(stage: str, result: GateResult, panel: PanelModel, analysable: Mask) -> OtherCells | None:
    """Cells beside the place of a stage; None where CD19, the scatter gate or the stage is not available.

    Parameters
    ----------
    stage
        A gate of :attr:`PanelModel.maturation_gates`.
    analysable
        Shape (n_events,).
    """
    gates = {gate.name: gate for gate in panel.gates}
    gate = gates.get(stage)
    needed = (stage, CD19, SCATTER, "singlets")
    if not isinstance(gate, BooleanGate) or not all(result.available(name) for name in needed):
        return None
    place = result.inside("singlets") & analysable
    if result.available("agranular"):
        place &= result.inside("agranular")
    place &= _with_markers(gate, gates, result)
    cd19, scatter = result.inside(CD19), result.inside(SCATTER)
    return OtherCells(
        int(np.count_nonzero(place & scatter & ~cd19)),
        int(np.count_nonzero(place & cd19 & ~scatter)),
        int(np.count_nonzero(place & ~cd19 & ~scatter)),
    )


def _with_markers(gate: BooleanGate, gates: Mapping[str, Gate], result: GateResult) -> Mask:
    """Cells that meet a stage's conditions on markers other than CD19; its conditions on scatter are left out."""
    found = np.ones(len(result.bits), dtype=np.bool_)
    for name in gate.all_of:
        condition = gates[name]
        if name != CD19 and not (isinstance(condition, CutGate) and condition.channel in SCATTER_CHANNELS):
            found &= result.inside(name)
    if gate.any_of:
        found &= sum(result.inside(name).astype(np.uint8) for name in gate.any_of) >= gate.at_least
    for name in gate.none_of:
        found &= ~result.inside(name)
    return found


def assess_stages(
    result: GateResult, panel: PanelModel, analysable: Mask, learned: GateReference | None
) -> tuple[StageEntry, ...]:
    """Every normal B-cell stage of the panel, with its count and the number of other cells in its place.

    The number of other cells is the larger of this tube's estimate and the controls' median share of its nucleated
    cells. Its limit is the larger of the upper limits of both. The controls' largest share is not used, because
    regenerating marrow holds many precursors without CD19, which count as other cells there.

    Parameters
    ----------
    analysable
        True for analysable events, shape (n_events,).
    """
    nucleated = int(np.count_nonzero(result.inside("nucleated") & analysable))

    def unknown(name: str, count: int | None, state: Literal["not_evaluable", "unavailable"]) -> StageEntry:
        return StageEntry(population=name, count=count, expected_others=None, others_at_most=None, state=state)

    stages = []
    for name in panel.maturation_gates:
        if not result.available(name):
            stages.append(unknown(name, None, "unavailable"))
            continue
        count = int(np.count_nonzero(result.inside(name) & analysable))
        own = other_cells_in(name, result, panel, analysable)
        known = None if learned is None else learned.fraction_range(f"{OTHERS_IN}{name}")
        if own is None:
            stages.append(unknown(name, count, "not_evaluable"))
            continue
        expected, most = own.expected, own.at_most
        if known is not None:
            expected = max(expected, known[1] * nucleated)
            most = max(most, upper_limit(known[1] * nucleated))
        present = nucleated >= MIN_NUCLEATED and is_present(count, most)
        stages.append(
            StageEntry(
                population=name,
                count=count,
                expected_others=round(expected, 2),
                others_at_most=round(most, 2),
                state="present" if present else "too_few",
            )
        )
    return tuple(stages)


def assess_b_lineage(count: int | None, nucleated: int, stages: Sequence[StageEntry]) -> BLineageEntry:
    """Verdict ``assessed``, ``too_few`` or ``not_evaluable``, with the numbers on which it rests.

    Parameters
    ----------
    count
        Analysable cells of the gate ``b_lineage``, leukaemic ones included; None where it is unavailable.
    nucleated
        Analysable nucleated cells.
    stages
        Stages from :func:`assess_stages`.
    """

    def told(verdict: str, statement: str) -> BLineageEntry:
        return BLineageEntry.model_validate(
            {"verdict": verdict, "count": count, "stages": tuple(stages), "statement": statement}
        )

    if count is None or nucleated < MIN_NUCLEATED:
        why = "its gate is unavailable" if count is None else f"{nucleated} nucleated cells"
        return told("not_evaluable", f"The B lineage cannot be assessed: {why}.")
    found = f"{count:,} of {nucleated:,} nucleated cells are living cells with two markers of the B lineage"
    judged = [one for one in stages if one.state in {"present", "too_few"}]
    few = sum(one.state == "too_few" for one in judged)
    if judged and few == len(judged):
        statement = f"B-cell aplasia, or too few B cells to assess: {found}, and no normal B stage is more than other"
        return told("too_few", f"{statement} cells can be.")
    rest = f" {few} of {len(judged)} normal B stages are too few to assess." if few else ""
    return told("assessed", f"B lineage, leukaemia included: {found}.{rest}")
