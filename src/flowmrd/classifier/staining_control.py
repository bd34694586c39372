"""Whether every antibody of a tube stained the cells that carry its antigen, whatever the disease and the therapy.

An antibody that was forgotten leaves its carriers without signal. A different titration or detector voltage moves the
carriers, and the cells without the antigen with them. The staining of a tube
(:mod:`flowmrd.classifier.marker_staining`) is compared with that of the controls, each measured under the fold that it
did not help to build.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from flowmrd.classifier.candidate_cells import Bools, CandidateCells, is_nucleic_acid_dye
from flowmrd.classifier.marker_staining import MarkerStaining, bright_cells, measure_staining
from flowmrd.classifier.mixture import Floats
from flowmrd.classifier.normal_model import NormalModel
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.flags import Flag, flag
from flowmrd.records.classification import StainingControlEntry, StainingState

__all__ = ["StainingFinding", "control_staining", "judge_staining", "staining_flags", "unstained_markers"]

ON_B_CELLS_ALONE: Final = frozenset({"CD20", "CD22"})
"""Markers that marrow without B cells does not show at all; every other marker of a panel is also on other cells."""

OF_VARYING_CELLS: Final = frozenset({"CD10", "CD38"})
"""Markers whose normal carriers differ between persons and not only between stainings.

Most cells that carry CD10 are granulocytes, which gain it as they mature; CD38 rises with the activation of T, NK and
myeloid cells. A few controls may agree by chance, and then every other person's marrow looks stained otherwise.
"""


@dataclass(frozen=True)
class StainingFinding:
    """Finding about a marker's antibody, from its carriers.

    Attributes
    ----------
    state
        ``ok``, ``shifted``, ``absent`` or ``not_verifiable`` (no cell should carry the marker).
    decades, limit
        Largest shift of the carriers or of the cells without the marker against the controls' mean, and its limit for
        an ordinary tube.
    carrier_decades
        Shift of the carriers alone; a wrong spillover from a neighbouring channel moves dim cells and not bright ones.
    stained, expected
        Share of the carriers that are stained in this tube, and the lowest share in a control; None where unknown.
    """

    marker: str
    state: StainingState
    carriers: int
    bright: int
    decades: float = 0.0
    limit: float = 0.0
    carrier_decades: float = 0.0
    stained: float | None = None
    expected: float | None = None

    def as_record(self) -> StainingControlEntry:
        """The finding as ``classification.json`` holds it."""
        return StainingControlEntry(
            marker=self.marker,
            state=self.state,
            carriers=self.carriers,
            bright=self.bright,
            decades=round(self.decades, 4),
            limit=round(self.limit, 4),
            carrier_decades=round(self.carrier_decades, 4),
            stained=None if self.stained is None else round(self.stained, 4),
            expected=None if self.expected is None else round(self.expected, 4),
        )


def judge_staining(
    tube: Sequence[MarkerStaining], controls: Collection[Sequence[MarkerStaining]], parameters: ClassifierParameters
) -> tuple[StainingFinding, ...]:
    """Compare a tube's staining with that of the controls; a marker that no control has is not judged.

    Parameters
    ----------
    controls
        The same numbers of every control, measured with a model that it did not help to build.
    """
    found = []
    for own in tube:
        known = [one for control in controls for one in control if one.marker == own.marker]
        if known:
            found.append(_judged(own, known, parameters))
    return tuple(found)


def _judged(
    own: MarkerStaining, controls: Sequence[MarkerStaining], parameters: ClassifierParameters
) -> StainingFinding:
    finding = StainingFinding(own.marker, "ok", own.carriers, own.bright, stained=own.stained)
    shares = [one.stained for one in controls if one.stained is not None and one.carriers >= parameters.carriers_least]
    expected = min(shares, default=None)
    finding = replace(finding, expected=expected)
    if (
        expected is not None
        and expected >= parameters.carriers_stained_least
        and own.carriers >= parameters.carriers_least
    ):
        few = _has_few_bright(own.bright, own.cells, controls, parameters)
        if few and _highest_share(own) < parameters.absent_stained * expected:
            return replace(finding, state="absent")
    elif own.bright < parameters.bright_least:
        return replace(finding, state="not_verifiable")
    dye = is_nucleic_acid_dye(own.marker)
    shifts = [
        _beyond(
            (own.middle, own.upper),
            [(one.middle, one.upper) for one in controls],
            _carrier_sd(own.marker, parameters),
            parameters,
        )
        if own.carriers >= parameters.carriers_least
        else (0.0, 0.0),
        _beyond(
            (own.without,),
            [(one.without,) for one in controls],
            parameters.expected_dye_sd if dye else parameters.without_shift_sd,
            parameters,
        ),
    ]
    (carried, known), (lacked, usual) = shifts
    if known and carried * lacked <= 0.0:
        # Voltage and titration move cells with the antigen at least as far as those without it. Where the carriers stay
        # or move the other way, light from another source lies on the dim cells, and that differs between persons.
        shifts[1] = (lacked, parameters.without_alone_limits * usual)
    decades, limit = max(shifts, key=lambda pair: abs(pair[0]) / pair[1] if pair[1] else 0.0)
    state: StainingState = "shifted" if limit and abs(decades) > limit else "ok"
    return replace(finding, state=state, decades=decades, limit=limit, carrier_decades=shifts[0][0])


def _carrier_sd(marker: str, parameters: ClassifierParameters) -> float:
    """Usual spread of the carriers' level between tubes of a laboratory, decades."""
    if is_nucleic_acid_dye(marker):
        return parameters.expected_dye_sd
    return parameters.varying_carrier_sd if marker in OF_VARYING_CELLS else parameters.carrier_shift_sd


def control_staining(
    tube: CandidateCells,
    called: Bools,
    model: NormalModel,
    shift: Floats,
    controls: Collection[Sequence[MarkerStaining]],
    parameters: ClassifierParameters,
) -> tuple[StainingFinding, ...]:
    """Findings about every antibody of a tube, by the cells that are not called leukaemic.

    Parameters
    ----------
    called
        Shape (n,): cells of the tube that are called leukaemic.
    controls
        As for :func:`judge_staining`.
    """
    normal, absent = tube, dict[str, StainingFinding]()
    if called.any():
        # Leukaemic cells say nothing about normal staining. But a failed antibody may make normal cells look
        # leukaemic, so an antibody that is absent by all cells stays absent.
        absent = _absent_antibodies(tube, model, shift, controls, parameters)
        normal = CandidateCells(tube.name, tube.features, tube.values[~called], tube.window[~called], tube.denominator)
    found = judge_staining(measure_staining(normal, model, shift, parameters), controls, parameters)
    return tuple(absent.get(one.marker, one) for one in found)


def _absent_antibodies(
    tube: CandidateCells,
    model: NormalModel,
    shift: Floats,
    controls: Collection[Sequence[MarkerStaining]],
    parameters: ClassifierParameters,
) -> dict[str, StainingFinding]:
    """Findings about the antibodies that a tube lacks, by marker; arguments as :func:`judge_staining` has them.

    Only markers with few bright cells are measured, because no other antibody can be absent.
    """
    suspects = set()
    for j, marker in enumerate(model.features):
        known = [one for control in controls for one in control if one.marker == marker]
        if known and marker in tube.features:
            everything = tube.values[:, tube.features.index(marker)]
            bright = bright_cells(model.mixture.mean[:, j], everything, parameters)
            suspects |= {marker} if _has_few_bright(bright, tube.n, known, parameters) else set()
    measured = measure_staining(tube, model, shift, parameters, markers=suspects)
    return {one.marker: one for one in judge_staining(measured, controls, parameters) if one.state == "absent"}


def _has_few_bright(
    bright: int, cells: int, controls: Sequence[MarkerStaining], parameters: ClassifierParameters
) -> bool:
    """Whether a marker has too few bright cells for its antibody to be in the tube."""
    rarest = min(one.bright / max(one.cells, 1) for one in controls)
    return bright / max(cells, 1) <= parameters.absent_bright * rarest


def _highest_share(own: MarkerStaining) -> float:
    """Upper end of the exact one-sided 95 % interval of the stained share (Clopper and Pearson 1934)."""
    from scipy.special import betaincinv

    n, k = own.carriers, round((own.stained or 0.0) * own.carriers)
    return 1.0 if k == n else float(betaincinv(k + 1, n - k, 0.95))


def _beyond(
    own: tuple[float | None, ...],
    controls: Sequence[tuple[float | None, ...]],
    expected_sd: float,
    parameters: ClassifierParameters,
) -> tuple[float, float]:
    """Distance from the controls' mean, in decades, and the limit of an ordinary tube; 0 and 0 where unknown.

    Of several numbers the one that moved least is used; where they moved in different directions, the distance is 0.
    """
    from scipy.special import stdtrit

    moved: list[tuple[float, float]] = []
    for place, value in enumerate(own):
        values = np.array([row[place] for row in controls if row[place] is not None], dtype=np.float64)
        if value is None or len(values) == 0:
            return 0.0, 0.0
        n = len(values)
        variance = (((values - values.mean()) ** 2).sum() + parameters.staining_pseudo_tubes * expected_sd**2) / (
            n - 1 + parameters.staining_pseudo_tubes
        )
        limit = float(
            stdtrit(n - 1 + parameters.staining_pseudo_tubes, 1.0 - parameters.staining_tail)
            * np.sqrt(variance * (1.0 + 1.0 / n))
        )
        limit = max(limit, parameters.staining_shift_least)
        moved.append((value - float(values.mean()), limit))
    if min(d for d, _ in moved) < 0 < max(d for d, _ in moved):
        return 0.0, moved[0][1]
    return min(moved, key=lambda pair: abs(pair[0]) / pair[1])


def unstained_markers(findings: Sequence[StainingFinding], hidden: Collection[str] = ()) -> tuple[str, ...]:
    """Markers whose antibody the tube lacks; spiked cells must lack them too.

    A shifted antibody is not among them, because spiked cells are placed in the staining of the tube's normal cells.

    Parameters
    ----------
    hidden
        Markers that the therapy before the tube removes from normal cells or masks on them; there the antibody is not
        at fault.
    """
    return tuple(one.marker for one in findings if one.state == "absent" and one.marker not in hidden)


def staining_flags(
    findings: Sequence[StainingFinding],
    hidden: Collection[str],
    parameters: ClassifierParameters,
    *,
    answered: bool = False,
) -> list[Flag]:
    """Flags of the staining control.

    Parameters
    ----------
    hidden
        Markers that the therapy before the tube removes from normal cells or masks on them.
    answered
        Whether the tube is negative without the shifted markers as well; they are then no question.
    """
    flags = []
    unverified = []
    for one in findings:
        if one.state == "absent":
            facts = {"marker": one.marker, "carriers": one.carriers, "expected": one.expected or 0.0}
            flags.append(flag("MARKER_HIDDEN" if one.marker in hidden else "ANTIBODY_ABSENT", **facts))
        elif one.state == "not_verifiable" and one.marker not in hidden:
            unverified.append(one.marker)
    flags += _unverified_flags(
        unverified, "CD19" in unverified or len(unverified) > parameters.unverified_share * len(findings)
    )
    shifted = [one for one in findings if one.state == "shifted" and one.marker not in hidden]
    for one in () if answered else _at_fault(shifted):
        way = "brighter" if one.decades > 0 else "dimmer"
        size = abs(one.decades)
        flags.append(
            flag("STAINING_SHIFTED", marker=one.marker, factor=10.0**size, decades=size, way=way, limit=one.limit)
        )
    return flags


def _unverified_flags(unverified: Sequence[str], too_many: bool) -> list[Flag]:
    """Flags of antibodies that no cell verifies: one flag where they are too many, else one by the kind of their
    carriers.
    """
    if too_many:
        return [flag("ANTIBODY_NOT_VERIFIED", markers=", ".join(unverified))]
    of_b_cells = [marker for marker in unverified if marker in ON_B_CELLS_ALONE]
    elsewhere = [marker for marker in unverified if marker not in ON_B_CELLS_ALONE]
    return [
        flag(code, markers=", ".join(markers))
        for code, markers in (("ANTIBODY_NOT_SHOWN", elsewhere), ("ANTIBODY_WITHOUT_CELLS", of_b_cells))
        if markers
    ]


def _at_fault(shifted: Sequence[StainingFinding]) -> list[StainingFinding]:
    """The channels that were shifted, without those that only lost or gained spillover from them."""
    moved = [one for one in shifted if abs(one.carrier_decades) > one.limit]
    if not moved and len(shifted) > 1:
        return [max(shifted, key=lambda one: abs(one.carrier_decades))]
    return list(moved or shifted)
