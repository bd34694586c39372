"""Matching the channels of a file to the channels of the panel.

A channel is recognised by the marker in ``$PnS``, else by the marker in ``$PnN``, else by the detector in ``$PnN``. The
detector is used only where ``$PnS`` names nothing but dyes and detectors: a PE channel labelled CD3 or TdT is never
taken for CD22. Among the channels of one marker, the pulse area is preferred to height and width, stored values to
values compensated by an export program, and plain scatter to that of a second laser. It is an error if two candidates
remain, or if two markers match one channel.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Final

from flowmrd.errors import ChannelError
from flowmrd.panel.model import Channel, ChannelKind, PanelModel
from flowmrd.panel.names import (
    amplification,
    compact,
    detector_forms,
    is_antigen,
    is_noise,
    is_plain_scatter,
    is_time_name,
    printable_name,
    pulse_feature,
    qualifier,
    scatter_name,
    starts_with_dye,
    tokens,
    without_compensation,
)

__all__ = ["ChannelMatch", "MatchResult", "borne_colours", "detects", "known_names", "match_channels", "names_marker"]

_WINDOW = 4
NOT_THE_MARKER: Final = "not the marker on the surface"


@dataclass(frozen=True)
class ChannelMatch:
    """One channel of the file.

    Parameters
    ----------
    index
        0-based position in the file.
    column
        Name of its column in every later stage: the marker, or ``ch<NN>`` with the 1-based number.
    marker
        Channel of the panel, or ``None``.
    kind
        Kind of the panel's channel; for others ``scatter``, ``time`` or ``fluorescence`` by name.
    by
        How the channel was recognised: ``$PnS``, ``$PnN``, ``detector`` or an empty string.
    """

    index: int
    column: str
    marker: str | None
    kind: str
    by: str


@dataclass(frozen=True)
class MatchResult:
    """All channels of the file in file order, the optional markers that it lacks, and findings of the matching."""

    channels: tuple[ChannelMatch, ...]
    missing: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Name:
    index: int
    pnn: str
    pns: str

    @property
    def feature(self) -> str:
        return pulse_feature(self.pnn) or pulse_feature(self.pns)

    @property
    def detector(self) -> str:
        """Detector without pulse feature and scale."""
        words = tokens(self.pnn)
        while words and (pulse_feature(words[-1]) or amplification(words[-1])):
            words.pop()
        return "".join(words)


def known_names(panel: PanelModel) -> frozenset[str]:
    """Names of a panel in compact form (:func:`flowmrd.panel.names.compact`): markers, aliases and dyes."""
    names = [
        name for channel in panel.channels for name in (channel.marker, *channel.aliases, channel.fluorochrome or "")
    ]
    return frozenset(compact(name) for name in names if name)


def match_channels(panel: PanelModel, names: Sequence[tuple[str | None, str | None]], where: str) -> MatchResult:
    """Match the channels of a file to a panel.

    Parameters
    ----------
    names
        ``($PnN, $PnS)`` of every channel in file order.

    Raises
    ------
    ChannelError
        If a required channel is missing or ambiguous. The message lists every such channel, the channels of the file
        and the most similar candidates. Words that may be a person's name are shown as ``?``.
    """
    listed = [_Name(index, (pnn or "").strip(), (pns or "").strip()) for index, (pnn, pns) in enumerate(names)]
    markers = [name for channel in panel.channels for name in (channel.marker, *channel.aliases)]
    claims: dict[str, tuple[int, str]] = {}
    notes: list[str] = []
    problems: list[str] = []
    missing: list[str] = []
    for channel in panel.channels:
        candidates, by = _candidates(channel, listed, markers)
        candidates = _prefer(candidates, channel)
        if len(candidates) == 1:
            claims[channel.marker] = (candidates[0].index, by)
        elif candidates:
            shown = ", ".join(_show(name, panel) for name in candidates)
            problems.append(f"{channel.marker} is claimed by {len(candidates)} channels ({shown})")
        else:
            missing.append(channel.marker)
    missing = _scatter_substitutes(panel, listed, claims, missing, notes)
    for marker in missing:
        if panel.channel(marker).required:
            problems.append(f"no {marker}{_disguised(panel.channel(marker), listed, panel)}")
    problems += _claimed_twice(claims, listed, panel)
    if problems:
        disguised = any(NOT_THE_MARKER in problem for problem in problems)
        raise ChannelError(
            where,
            found=f"{'; '.join(problems)}; the file holds {', '.join(_show(name, panel) for name in listed)}",
            expected=f"one channel for each required marker of panel {panel.name}",
            todo="correct the label if the tube was stained with the marker after all; else give it a panel that can "
            "do without ('required: false')"
            if disguised
            else "add the name to 'aliases' or 'detectors' of the channel in the panel file, or choose the right panel",
        )
    return MatchResult(_result(panel, listed, claims), tuple(missing), tuple(notes))


def borne_colours(panel: PanelModel, names: Sequence[tuple[str | None, str | None]]) -> frozenset[str]:
    """Colours of a panel that a file has, whether or not it has all of them; ``names`` as in :func:`match_channels`."""
    listed = [_Name(index, (pnn or "").strip(), (pns or "").strip()) for index, (pnn, pns) in enumerate(names)]
    markers = [name for channel in panel.channels for name in (channel.marker, *channel.aliases)]
    colours = [channel for channel in panel.channels if channel.kind not in {ChannelKind.SCATTER, ChannelKind.TIME}]
    return frozenset(one.marker for one in colours if _candidates(one, listed, markers)[0])


@lru_cache(maxsize=16_384)
def names_marker(text: str, marker: str) -> bool:
    """Whether a channel name names this marker, alone or together with dyes, detectors and pulse features.

    ``CD10``, ``cd-10``, ``CD10-PE``, ``PE CD10`` and ``CD10BV605VIOLET610-A`` name CD10. ``CD101`` and ``CD10/CD20`` do
    not, and neither does ``CD101UL``, which may mean CD101 or 1 µl of CD10. ``cyCD10``, ``CD10 FMO`` and ``dump CD10``
    do not either: see :func:`flowmrd.panel.names.qualifier`.
    """
    wanted = compact(marker)
    if not wanted or not text:
        return False
    if qualifier(text):
        return False
    words = tokens(text)
    return "".join(words) == wanted or _names_plainly(words, wanted)


def _names_plainly(words: list[str], wanted: str) -> bool:
    for first in range(len(words)):
        for last in range(first + 1, min(first + _WINDOW, len(words)) + 1):
            if _word_says("".join(words[first:last]), wanted, alone=last - first == 1):
                rest = words[:first] + words[last:]
                return not any(_other_marker(word) for word in rest)
    return False


def _word_says(word: str, wanted: str, *, alone: bool) -> bool:
    if word == wanted:
        return True
    if not alone:
        return False
    if word.startswith(wanted):  # CD10BV605; the letter after a marker must start a dye, or CD66BV421 would be CD66b
        rest = word[len(wanted) :]
        return not rest[0].isdigit() and is_noise(rest) and starts_with_dye(rest)
    if word.endswith(wanted):
        rest = word[: -len(wanted)]  # PECD10, and 5CD10 of PerCP-Cy5.5CD10
        return is_noise(rest) and (starts_with_dye(rest) or (rest.isdigit() and wanted[0].isalpha()))
    return False


def _other_marker(word: str) -> bool:
    """Whether a word beside the marker makes it another one: a second antigen, or an isoform of CD45."""
    return re.match(r"CD\d", word) is not None or word in {"RA", "RB", "RO"} or is_antigen(word)


def _says_any_marker(text: str, markers: Sequence[str]) -> bool:
    if any(re.search(r"(?<![A-Z0-9])CD\d|(?<![A-Z])CD\d{1,3}", word) for word in [*tokens(text), compact(text)]):
        return True
    return any(names_marker(text, marker) for marker in markers)


def _candidates(channel: Channel, listed: Sequence[_Name], markers: Sequence[str]) -> tuple[list[_Name], str]:
    own = (channel.marker, *channel.aliases)
    if channel.kind is ChannelKind.TIME:
        return _clock(channel, own, listed), "$PnN"
    if channel.kind is ChannelKind.SCATTER:
        return _scatter(channel, own, listed)
    colours = [name for name in listed if _may_be_colour(name, own)]
    for by, found in (
        ("$PnS", [name for name in colours if _says(name.pns, own)]),
        ("$PnN", [name for name in colours if _says(name.pnn, own) and not _contradicts(name, own, markers)]),
        ("detector", [name for name in colours if detects(name.pnn, channel) and not _contradicts(name, own, markers)]),
    ):
        if found:
            return found, by
    return [], ""


def _clock(channel: Channel, own: Sequence[str], listed: Sequence[_Name]) -> list[_Name]:
    clocks = [name for name in listed if is_time_name(name.pnn, name.pns) or compact(name.pnn) in map(compact, own)]
    exact = [name for name in clocks if compact(name.pnn) == compact(channel.marker)]
    return (exact or clocks)[:1]


def _may_be_colour(name: _Name, own: Sequence[str]) -> bool:
    """Whether a channel is neither the clock nor scatter by its name; ``$PnS`` may say that it holds a marker."""
    if is_time_name(name.pnn, name.pns):
        return False
    return not scatter_name(name.pnn) or _says(name.pns, own)


def _says(text: str, own: Sequence[str]) -> bool:
    return any(names_marker(text, name) for name in own)


def _contradicts(name: _Name, own: Sequence[str], markers: Sequence[str]) -> bool:
    """Whether ``$PnS`` may name another marker, so that ``$PnN`` is no evidence for this one."""
    if not name.pns or _says(name.pns, own) or compact(name.pns) == compact(name.pnn):
        return False
    others = [marker for marker in markers if marker not in own]
    detector = tokens(name.pnn)
    foreign = any(word not in detector and not is_noise(word) for word in tokens(name.pns))
    return foreign or _says_any_marker(name.pns, others)


def detects(pnn: str | None, channel: Channel) -> bool:
    """Whether a pattern in a channel's ``detectors`` fits a ``$PnN``, in any of its spellings."""
    forms = detector_forms(pnn) if pnn else []
    # a pattern for the area also matches the height of the same detector, as second choice
    forms += [f"{form[:-2]}-A" for form in forms if re.search(r"-[HWhw]$", form)]
    return any(re.search(pattern, form, re.IGNORECASE) for pattern in channel.detectors for form in forms)


def _scatter(channel: Channel, own: Sequence[str], listed: Sequence[_Name]) -> tuple[list[_Name], str]:
    given = [name for name in listed if detects(name.pnn, channel)]
    if given:
        return given, "detector"
    signal = scatter_name(channel.marker)
    by_signal = [name for name in listed if signal is not None and _signal_of(name) in _spellings(signal)]
    if by_signal:
        exact = [name for name in by_signal if pulse_feature(name.pnn) or pulse_feature(name.pns)] or by_signal
        return [name for name in exact if is_plain_scatter(name.pnn)] or exact, "$PnN"
    wanted = {compact(alias) for alias in own}
    return [name for name in listed if compact(name.pnn) in wanted or compact(name.pns) in wanted], "$PnN"


def _signal_of(name: _Name) -> str | None:
    """Scatter signal that a channel holds. Of ``$PnN`` FS and ``$PnS`` FS INT the longer name says which feature."""
    found = scatter_name(name.pnn) or (scatter_name(name.pns) if not name.pnn else None)
    if found in {"FSC", "SSC"} and (scatter_name(name.pns) or "").startswith(found):
        return scatter_name(name.pns)
    return found


def _spellings(signal: str) -> set[str]:
    """A bare FSC or SSC is its area."""
    return {signal, signal[:-2]} if signal.endswith("-A") else {signal}


def _prefer(candidates: list[_Name], channel: Channel) -> list[_Name]:
    """Keep one of several channels of the same detector: area before height, and the wider scale."""
    if len(candidates) < 2 or channel.kind is ChannelKind.TIME:
        return candidates
    candidates = [name for name in candidates if without_compensation(name.pnn) == name.pnn] or candidates
    if channel.kind is not ChannelKind.SCATTER:
        for feature in ("A", "", "H"):
            chosen = [name for name in candidates if name.feature == feature]
            if chosen and len({name.detector for name in candidates}) <= len(chosen):
                candidates = chosen
                break
    if len(candidates) > 1 and len({name.detector for name in candidates}) == 1:
        scale = "LIN" if channel.kind is ChannelKind.SCATTER else "LOG"
        chosen = [name for name in candidates if scale in (amplification(name.pnn), amplification(name.pns))]
        candidates = chosen if len(chosen) == 1 else candidates
    return candidates


def _scatter_substitutes(
    panel: PanelModel,
    listed: Sequence[_Name],
    claims: dict[str, tuple[int, str]],
    missing: list[str],
    notes: list[str],
) -> list[str]:
    """Substitute for a scatter area that the file lacks: its height, or that of a second beam. A note says so.

    FACSCalibur stores no pulse area; some spectral instruments store side scatter of the violet beam alone.
    """
    left = []
    for marker in missing:
        signal = scatter_name(marker) if panel.channel(marker).kind is ChannelKind.SCATTER else None
        wanted = (
            (f"{signal[:-2]}-H", f"{signal[:-2]}2-A", f"{signal[:-2]}2") if signal and signal.endswith("-A") else ()
        )
        found = [name for other in wanted for name in listed if scatter_name(name.pnn) == other][:1]
        if not found:
            left.append(marker)
            continue
        for other, (index, _) in list(claims.items()):
            if index == found[0].index:
                del claims[other]
                left.append(other)
        claims[marker] = (found[0].index, "$PnN")
        notes.append(f"the file has no {marker}; {printable_name(found[0].pnn)} stands in for it")
    return left


def _claimed_twice(claims: dict[str, tuple[int, str]], listed: Sequence[_Name], panel: PanelModel) -> list[str]:
    owners: dict[int, list[str]] = {}
    for marker, (index, _) in claims.items():
        owners.setdefault(index, []).append(marker)
    return [
        f"channel {_show(listed[index], panel)} is claimed by {' and '.join(names)}"
        for index, names in owners.items()
        if len(names) > 1
    ]


def _show(name: _Name, panel: PanelModel) -> str:
    known = known_names(panel)
    pnn, pns = printable_name(name.pnn, known), printable_name(name.pns, known)
    return f"{pnn or f'parameter {name.index + 1}'}{f' = {pns}' if pns else ''}"


def _nearest(channel: Channel, listed: Sequence[_Name], panel: PanelModel) -> str:
    def likeness(name: _Name) -> float:
        wanted = [compact(text) for text in (channel.marker, *channel.aliases, channel.fluorochrome or "") if text]
        offered = [compact(text) for text in (name.pnn, name.pns) if text]
        return max((SequenceMatcher(None, a, b).ratio() for a in wanted for b in offered), default=0.0)

    near = sorted((name for name in listed if likeness(name) >= 0.5), key=lambda name: (-likeness(name), name.index))[
        :3
    ]
    return f" (nearest: {', '.join(_show(name, panel) for name in near)})" if near else ""


def _disguised(channel: Channel, listed: Sequence[_Name], panel: PanelModel) -> str:
    """Why a channel that bears the marker's name is not the marker; else the nearest names."""
    for name in listed:
        for text in (name.pns, name.pnn):
            why = qualifier(text)
            words = [word for word in tokens(text) if word != "CY"]
            named = any(compact(own) in "".join(words) for own in (channel.marker, *channel.aliases))
            if why and named and channel.kind is not ChannelKind.SCATTER:
                return f" ({_show(name, panel)} is {why}, {NOT_THE_MARKER})"
    return _nearest(channel, listed, panel)


def _result(panel: PanelModel, listed: Sequence[_Name], claims: dict[str, tuple[int, str]]) -> tuple[ChannelMatch, ...]:
    owner = {index: (marker, by) for marker, (index, by) in claims.items()}
    found = []
    for name in listed:
        if name.index in owner:
            marker, by = owner[name.index]
            found.append(ChannelMatch(name.index, marker, marker, panel.channel(marker).kind.value, by))
            continue
        kind = "fluorescence"
        if is_time_name(name.pnn, name.pns):
            kind = ChannelKind.TIME.value
        elif scatter_name(name.pnn) or (not name.pnn and scatter_name(name.pns)):
            kind = ChannelKind.SCATTER.value
        found.append(ChannelMatch(name.index, f"ch{name.index + 1:02d}", None, kind, ""))
    return tuple(found)
