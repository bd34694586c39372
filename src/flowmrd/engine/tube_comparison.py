"""Faults between tubes of a run: one tube under two names, or a marker on different detectors.

Nothing here reads a tube; :class:`flowmrd.engine.headers.HeaderPreview` holds the facts about each. If two tubes
contradict each other, only the laboratory knows which one is right. Both are refused, and the other tubes go on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from flowmrd.config import RunConfig, Sample
from flowmrd.config.sheet import Role
from flowmrd.engine.headers import HeaderPreview
from flowmrd.errors import InputError, SheetError
from flowmrd.panel.names import dye_key
from flowmrd.preprocess.staining_pattern import StainingPattern, find_exchange
from flowmrd.records.read import read_if_there
from flowmrd.records.references import TransformFile
from flowmrd.stages.laboratory_files import stored_reference

__all__ = ["KnownLabels", "TubeFault", "compare_tubes", "stained_controls"]

LEAST_TUBES: Final = 2
"""Number of other tubes that must agree on a marker's detector before a tube that differs is at fault."""


@dataclass(frozen=True)
class TubeFault:
    """A tube that others of the run contradict. ``refused`` says that it cannot be used; otherwise
    this is only a note.
    """

    sample: str
    error: InputError
    refused: bool


def compare_tubes(
    rows: Sequence[Sample],
    previews: Mapping[str, HeaderPreview],
    panel_of: Mapping[str, str],
    sheet: Path,
    *,
    stored: Mapping[str, Sequence[KnownLabels]] | None = None,
    confirmed: Mapping[str, str] | None = None,
) -> list[TubeFault]:
    """Faults between the tubes of a run, in the order of the sheet.

    Parameters
    ----------
    rows
        Tubes whose files could be read.
    previews
        Sample to the preview of its file.
    panel_of
        Sample to the name of its panel.
    stored
        Panel to the controls behind its stored reference, where the configuration names one.
    confirmed
        Tubes whose labels somebody has compared with the worklist, to the reason. Findings about their labels become
        notes.
    """
    labels = _other_labels(rows, previews, panel_of, sheet, stored or {}, confirmed or {})
    matrices = _other_matrix(rows, previews, panel_of, sheet, confirmed or {})
    faults = [*_same_events(rows, previews, sheet), *labels, *matrices]
    order = {row.sample: position for position, row in enumerate(rows)}
    return sorted(faults, key=lambda fault: order[fault.sample])


def _where(row: Sample, sheet: Path) -> str:
    return f"{sheet}, line {row.line} ({row.sample})"


def _same_events(rows: Sequence[Sample], previews: Mapping[str, HeaderPreview], sheet: Path) -> list[TubeFault]:
    """Tubes that hold the same events, recognised by the stored values and not by the file name."""
    seen: dict[str, list[Sample]] = {}
    for row in rows:
        for mark in previews[row.sample].marks:
            seen.setdefault(mark, []).append(row)
    twins: dict[str, dict[str, Sample]] = {}
    for sharing in seen.values():
        for row in sharing:
            twins.setdefault(row.sample, {}).update({one.sample: one for one in sharing if one.sample != row.sample})
    faults = []
    for row in rows:
        others = twins.get(row.sample)
        if not others:
            continue
        why = next((why for other in others.values() if (why := _contradiction(row, other))), "")
        names = ", ".join(f"{other.sample} (line {other.line}, {other.fcs.name})" for other in others.values())
        faults.append(
            TubeFault(
                row.sample,
                SheetError(
                    _where(row, sheet),
                    found=f"the same events in {row.fcs.name} as in {names}{why and ': '}{why}",
                    expected="one file per tube, and every tube once",
                    todo="find out whose tube it is and remove every other row; until then none of them is used"
                    if why
                    else "make sure that this is meant",
                ),
                refused=bool(why),
            )
        )
    return faults


def _contradiction(one: Sample, other: Sample) -> str:
    """Reason why two rows with the same events cannot both be right; empty where they can."""
    if one.role is Role.COMPENSATION and other.role is Role.COMPENSATION:
        return "" if (one.stain or "").casefold() == (other.stain or "").casefold() else "one tube for two stains"
    if one.role is not other.role:
        return f"one tube as {one.role.value} and as {other.role.value}"
    if one.role is Role.CONTROL:
        return "one control counted twice"
    if one.patient != other.patient:
        return f"one tube for the patients {one.patient} and {other.patient}"
    if one.timepoint != other.timepoint:
        return f"one tube for the timepoints {one.timepoint or 'none'} and {other.timepoint or 'none'}"
    return "one tube counted twice"


MATRIX_APART: Final = 0.1
"""Difference of a coefficient from every control at which a matrix is another one. Refused is what turned a clean tube
POSITIVE (0.2); between days of one instrument coefficients differ by a few hundredths."""
MATRIX_ALIKE: Final = 0.05
"""Largest difference among controls that count as having one matrix."""


def _other_matrix(
    rows: Sequence[Sample],
    previews: Mapping[str, HeaderPreview],
    panel_of: Mapping[str, str],
    sheet: Path,
    confirmed: Mapping[str, str],
) -> list[TubeFault]:
    """Tubes whose matrix is far from that of all controls, where the controls have one matrix."""
    faults = []
    for row in rows:
        own = previews[row.sample].spill
        of_panel = [one for one in rows if panel_of[one.sample] == panel_of[row.sample] and one.role is Role.CONTROL]
        others = [previews[one.sample].spill for one in of_panel if one.sample != row.sample]
        others = [one for one in others if one.keys() == own.keys()]
        if row.role is Role.CONTROL or not own or len(others) < LEAST_TUBES:
            continue
        shown = _far_coefficients(own, others)
        if not shown:
            continue
        error = SheetError(
            _where(row, sheet),
            found=f"another spillover matrix than in the controls: {'; '.join(shown[:4])}",
            expected="the matrix of this acquisition, which is like that of the controls on one instrument",
            todo="give the tube's own matrix ('compensation: {tubes: ...}' in config.yaml) or controls of its "
            f"instrument; if this matrix is right, say so ('labels: {{confirmed: {{{row.sample}: reason}}}}')",
        )
        faults.append(TubeFault(row.sample, error, refused=row.sample not in confirmed))
    return faults


def _far_coefficients(own: Mapping[str, float], others: Sequence[Mapping[str, float]]) -> list[str]:
    """Coefficients that are far from those of all others, in words, the worst first; none where the others differ."""
    usual = {pair: sorted(one[pair] for one in others) for pair in own}
    if max(values[-1] - values[0] for values in usual.values()) > MATRIX_ALIKE:
        return []
    apart = {pair: min(abs(own[pair] - value) for value in values) for pair, values in usual.items()}
    far = sorted((pair for pair in apart if apart[pair] > MATRIX_APART), key=lambda pair: -apart[pair])
    return [f"{pair} {own[pair]:.2f}, elsewhere {usual[pair][0]:.2f}" for pair in far]


@dataclass(frozen=True)
class KnownLabels:
    """Known facts about the labels of one tube.

    Attributes
    ----------
    detectors, tags
        Marker to its detector, and to its dye by FCS 3.2 (:class:`flowmrd.tube.labels.DetectorsAndDyes`).
    pattern
        Pattern of the staining; None where too few events were seen.
    """

    detectors: Mapping[str, str]
    tags: Mapping[str, str]
    pattern: StainingPattern | None

    @classmethod
    def of(cls, preview: HeaderPreview) -> KnownLabels:
        """The facts of a preview, before the run."""
        pattern = None if preview.pattern is None else StainingPattern.from_record(preview.pattern)
        return cls(preview.detectors, preview.tags, pattern)

    @classmethod
    def of_reference(cls, folder: Path) -> list[KnownLabels]:
        """The controls behind a stored reference; empty for a reference from an older version.

        Raises
        ------
        ArtefactError
            If ``transform.json`` cannot be read.
        """
        scales = read_if_there(folder / "transform.json", TransformFile)
        return [
            cls(
                one.detectors,
                one.tags,
                None if one.pattern is None else StainingPattern.from_record(one.pattern),
            )
            for one in (() if scales is None else scales.labels.values())
        ]


def _other_labels(
    rows: Sequence[Sample],
    previews: Mapping[str, HeaderPreview],
    panel_of: Mapping[str, str],
    sheet: Path,
    stored: Mapping[str, Sequence[KnownLabels]],
    confirmed: Mapping[str, str],
) -> list[TubeFault]:
    """Tubes in which a marker lies where another marker lies in the other tubes of the panel."""
    faults: list[TubeFault] = []
    for panel in dict.fromkeys(panel_of[row.sample] for row in rows):
        tubes = [row for row in rows if panel_of[row.sample] == panel and row.role is not Role.COMPENSATION]
        seen = {row.sample: KnownLabels.of(previews[row.sample]) for row in tubes}
        sound = {row.sample: seen[row.sample] for row in tubes if row.role is Role.CONTROL}
        for row in sorted(tubes, key=lambda one: one.role is not Role.CONTROL):
            normal = [one for name, one in sound.items() if name != row.sample] + list(stored.get(panel, ()))
            others = normal
            if len(others) < LEAST_TUBES:
                others = [one for name, one in seen.items() if name != row.sample]
            own = seen[row.sample]
            # values are compared with normal marrow only, since other patients' leukaemias prove nothing
            fault = _moved(row, own, others, sheet) or _exchanged(row, own, normal, sheet)
            if fault is None:
                continue
            fault = replace(fault, refused=fault.refused and row.sample not in confirmed)
            if fault.refused:
                sound.pop(row.sample, None)  # its labels must not vouch for those of others
            faults.append(fault)
    return faults


CONFIRM: Final = (
    "look at the worklist: correct the labels in the file, or give tubes that were stained in another way a panel of "
    "their own (column panel); if the labels are right, say so in config.yaml "
    "('labels: {{confirmed: {{{sample}: reason}}}}')"
)


def _moved(row: Sample, own: KnownLabels, others: Sequence[KnownLabels], sheet: Path) -> TubeFault | None:
    """A marker that is on another detector, or has another dye, than in most of the other tubes."""
    for mine, theirs in (
        (own.detectors, [one.detectors for one in others]),
        (own.tags, [one.tags for one in others]),
    ):
        usual = _usual(mine, theirs)
        moved = [marker for marker, name in mine.items() if marker in usual and dye_key(usual[marker]) != dye_key(name)]
        holders = {dye_key(name): marker for marker, name in usual.items()}
        exchanged = [marker for marker in moved if holders.get(dye_key(mine[marker]), marker) != marker]
        shown = exchanged or moved
        if not shown:
            continue
        text = "; ".join(f"{marker} on {mine[marker]}, elsewhere on {usual[marker]}" for marker in shown[:6])
        looks_exchanged = f"; the labels of {' and '.join(exchanged[:4])} look exchanged" if exchanged else ""
        error = SheetError(
            _where(row, sheet),
            found=f"{text}: another detector than in the other tubes of the run{looks_exchanged}",
            expected="every marker of a panel on one detector in all tubes",
            todo=CONFIRM.format(sample=row.sample),
        )
        return TubeFault(row.sample, error, refused=len(others) >= LEAST_TUBES or row.role is not Role.CONTROL)
    return None


def _usual(own: Mapping[str, str], others: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Marker to the name that more than half of the other tubes have for it."""
    usual: dict[str, str] = {}
    for marker in own:
        named = {dye_key(one[marker]): one[marker] for one in others if marker in one}
        counted = Counter(dye_key(one[marker]) for one in others if marker in one)
        if counted and counted.most_common(1)[0][1] > sum(counted.values()) / 2:
            usual[marker] = named[counted.most_common(1)[0][0]]
    return usual


def _exchanged(row: Sample, own: KnownLabels, controls: Sequence[KnownLabels], sheet: Path) -> TubeFault | None:
    """Two markers, each of which has the pattern that the other one has in the controls."""
    if own.pattern is None:
        return None
    found = find_exchange(own.pattern, [one.pattern for one in controls if one.pattern is not None])
    if found is None:
        return None
    error = SheetError(
        _where(row, sheet),
        found=f"{found.first} and {found.second} look exchanged: the values of each fit those of the other one in the "
        "controls better (levels, and what goes with them)",
        expected="every label on its own antibody",
        todo=CONFIRM.format(sample=row.sample),
    )
    return TubeFault(row.sample, error, refused=True)


def stained_controls(run_directory: Path, config: RunConfig, panels: Iterable[str]) -> dict[str, list[KnownLabels]]:
    """Panel to the controls behind its stored reference, by which labels of tubes are judged; empty without a
    reference.
    """
    found: dict[str, list[KnownLabels]] = {}
    for panel in dict.fromkeys(panels):
        try:
            folder = stored_reference(run_directory, config, panel)
            found[panel] = [] if folder is None else KnownLabels.of_reference(folder)
        except InputError:
            found[panel] = []  # told where the reference itself is read
    return found
