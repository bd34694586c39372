"""Quality over the whole batch: charts by order of acquisition, voltages, carry-over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from markupsafe import Markup

from flowmrd.mrd.result import MrdResult
from flowmrd.records.control_limits import ChannelLimits, ControlLimitsFile
from flowmrd.records.ingest import AcquisitionEntry
from flowmrd.records.quality import QualityFile
from flowmrd.report import formatting
from flowmrd.report.axes import Axis
from flowmrd.report.charts.description import Band, Chart, Layer, Mark, Outline, Point, Points, Role
from flowmrd.report.charts.svg import to_svg
from flowmrd.report.levey_jennings import ENOUGH, ChartPoint, ControlLimits, control_limits, judged, left_out
from flowmrd.units import to_decades

SD_FLOOR: Final = 0.004
"""Smallest SD over controls that a chart uses, on the 0..1 scale (0.02 decades)."""
MOST_NAMED: Final = 40
"""Largest number of tubes on a chart at which those that break a rule are labelled; beyond it only tooltips name them.
"""
REACH: Final = 4.7
"""Largest distance in SD that is drawn; a tube further away is drawn here."""
MOST_TOLD: Final = 200
"""Largest number of tubes on a chart at which each has a tooltip. Beyond it only controls and tubes beyond 2 SD have
one, so that the index of hundreds of tubes stays small.
"""
CARRY_SOURCE: Final = 0.01
"""MRD fraction from which a tube can leave cells in the line that appear in the next tube."""
CARRY_DISTANCE: Final = 0.25
"""Two clusters are alike if they differ by no more than this in any marker, decades (a default, not a standard)."""


@dataclass
class BatchTube:
    """One tube of the batch."""

    sample: str
    patient: str
    role: str
    panel: str
    result: MrdResult | None
    qc: QualityFile | None = None
    acquisition: AcquisitionEntry = field(default_factory=AcquisitionEntry)

    @property
    def instrument(self) -> str:
        """Digest of the cytometer's serial number, or else its model; empty where the file names neither."""
        facts = {} if self.qc is None else self.qc.instrument
        return facts.get("serial_digest") or facts.get("model") or ""

    @property
    def medians(self) -> Mapping[str, float | None]:
        """Channel to the median of its single cells; empty without ``qc.json``."""
        return {} if self.qc is None else self.qc.medians

    @property
    def when(self) -> tuple[str, float] | None:
        """Day and second of acquisition, or ``None`` where the file does not say."""
        day = self.acquisition.date
        return None if not day else (day, self.acquisition.begin or 0.0)


@dataclass(frozen=True)
class ChannelChart:
    """Levey-Jennings chart of one channel.

    Attributes
    ----------
    panel
        Name for people of panel and cytometer.
    mean, sd
        Limits on the 0..1 scale, over this number of ``controls``.
    few
        Whether there are too few controls for the rules of runs.
    locked
        Whether an earlier run set the limits.
    broken
        Controls that break a rule, with its rules.
    this
        Distance of the tube that the charts are for, in SD; None where it has no value, or where there is none.
    """

    panel: str
    channel: str
    mean: float
    sd: float
    controls: int
    few: bool
    locked: bool
    drawing: Markup
    broken: tuple[tuple[str, tuple[str, ...]], ...]
    this: float | None


@dataclass(frozen=True)
class VoltageChange:
    """A channel whose detector voltage differs among the tubes of one panel on one cytometer, in words.

    Attributes
    ----------
    samples
        Tubes with another voltage than the usual one.
    """

    panel: str
    channel: str
    usual: str
    other: str
    samples: frozenset[str]


@dataclass(frozen=True)
class CarriedOver:
    """A tube whose MRD cells may come from the tube run just before it."""

    sample: str
    before: str
    message: str


def in_order(tubes: Sequence[BatchTube]) -> tuple[list[BatchTube], str]:
    """Tubes in order of acquisition, and the basis of that order."""
    if tubes and all(tube.when is not None for tube in tubes):
        return sorted(tubes, key=lambda tube: tube.when or ("", 0.0)), "date and time in the files' headers"
    return list(tubes), "the sample sheet, because not every file says when it was acquired"


def undated(tubes: Sequence[BatchTube]) -> list[str]:
    """Tubes whose place in the order of acquisition is unknown: no day, or no time where others have the same day."""
    days = Counter((tube.instrument, tube.acquisition.date) for tube in tubes)
    return [
        tube.sample
        for tube in tubes
        if tube.when is None or (tube.acquisition.begin is None and days[tube.instrument, tube.acquisition.date] > 1)
    ]


def by_cytometer(tubes: Sequence[BatchTube]) -> dict[str, list[BatchTube]]:
    """Tubes of one panel on one cytometer, in the order given; the key is a name for people."""
    several = {panel for panel in {tube.panel for tube in tubes} if _instruments(tubes, panel) > 1}
    groups: dict[str, list[BatchTube]] = {}
    for tube in tubes:
        name = f"{tube.panel}, cytometer {tube.instrument or 'not named'}" if tube.panel in several else tube.panel
        groups.setdefault(name, []).append(tube)
    return groups


def _instruments(tubes: Sequence[BatchTube], panel: str) -> int:
    return len({tube.instrument for tube in tubes if tube.panel == panel})


def channel_charts(
    tubes: Sequence[BatchTube], this: str = "", locked: ControlLimitsFile | None = None
) -> list[ChannelChart]:
    """Levey-Jennings chart of every channel's median, with limits from the controls of the same panel and cytometer.

    Parameters
    ----------
    tubes
        In order of acquisition.
    this
        Sample that the charts are for. It is drawn with a ring and left out of the limits.
    locked
        Limits that an earlier run's controls set; a panel or cytometer without them is judged by its own controls.
    """

    def known(together: Sequence[BatchTube], channel: str) -> ChannelLimits | None:
        found = None if locked is None else locked.of(together[0].panel, together[0].instrument)
        return None if found is None else found.channels.get(channel)

    charts = [
        _channel_chart(
            panel,
            channel,
            [tube for tube in together if tube.medians.get(channel) is not None],
            this,
            known(together, channel),
        )
        for panel, together in by_cytometer(tubes).items()
        for channel in dict.fromkeys(name for tube in together for name in tube.medians)
    ]
    return [chart for chart in charts if chart is not None]


def _channel_chart(
    panel: str, channel: str, tubes: Sequence[BatchTube], this: str, locked: ChannelLimits | None
) -> ChannelChart | None:
    """Chart of one channel over the tubes that have it; None where there are too few controls for limits."""
    controls = [tube for tube in tubes if tube.role == "control"]
    values = {tube.sample: float(tube.medians[channel] or 0.0) for tube in tubes}
    names = [tube.sample for tube in controls]
    if locked is not None:
        limits: ControlLimits | None = ControlLimits(locked.mean, locked.sd, locked.n)
        distances = [(values[name] - locked.mean) / locked.sd for name in names]
        rules = judged(distances, locked.n)
    else:
        limits = control_limits([values[name] for name in names if name != this], floor=SD_FLOOR)
        distances = left_out([values[name] for name in names], floor=SD_FLOOR)
        rules = judged(distances)
    if limits is None:
        return None
    broken = dict(zip(names, rules, strict=False))
    own = dict(zip(names, distances, strict=False))
    points = [
        ChartPoint(name, value, own.get(name, (value - limits.mean) / limits.sd), broken.get(name, ()))
        for name, value in values.items()
    ]
    when = {tube.sample: tube.acquisition.date or "" for tube in tubes}
    return ChannelChart(
        panel=panel,
        channel=channel,
        mean=limits.mean,
        sd=limits.sd,
        controls=limits.n,
        few=(len(controls) if locked is None else locked.n) < ENOUGH,
        locked=locked is not None,
        drawing=to_svg(levey_jennings_chart(channel, points, names, this, when), css="lj"),
        broken=tuple((point.sample, tuple(point.broken)) for point in points if point.broken),
        this=next((round(point.z, 2) for point in points if point.sample == this), None),
    )


def levey_jennings_chart(
    channel: str, points: Sequence[ChartPoint], controls: Collection[str], this: str, when: Mapping[str, str]
) -> Chart:
    """Levey-Jennings chart: controls as dots, other tubes as small circles, controls that break a rule as diamonds,
    this tube in a ring.

    A tooltip gives a tube's name, date and distance; tubes that break a rule are labelled with their name."""
    at = {point.sample: (float(index), max(-REACH, min(REACH, point.z))) for index, point in enumerate(points)}
    x = Axis("tube", "", (), -0.5, max(len(points), 1) - 0.5)
    y = Axis(channel, "", ((-3.0, "−3 SD"), (0.0, "mean"), (3.0, "+3 SD")), -REACH - 0.3, REACH + 0.3)
    layers: list[Layer] = [Band(-2.0, 2.0)]
    layers += [Outline(((x.low, z), (x.high, z)), False, label, role="course") for z, label in y.ticks]
    groups: dict[Role, list[ChartPoint]] = {"other": [], "control": [], "outlier": [], "selected": []}
    for point in points:
        groups["outlier" if point.broken else "control" if point.sample in controls else "other"].append(point)
        if point.sample == this:
            groups["selected"].append(point)
    for role, chosen in groups.items():
        told = tuple(
            f"{point.sample} {when.get(point.sample, '')} {point.z:+.1f} SD".replace("  ", " ")
            if len(points) <= MOST_TOLD or role != "other" or abs(point.z) > 2
            else ""
            for point in chosen
        )
        layers.append(Points(role, role, tuple(at[point.sample] for point in chosen), told))
    if len(points) <= MOST_NAMED:
        layers += [_named(point.sample, at[point.sample], middle=len(points) / 2) for point in groups["outlier"]]
    return Chart(f"lj-{channel}", channel, x, y, tuple(layers), size=(270.0, 86.0))


def _named(sample: str, at: Point, *, middle: float) -> Outline:
    """The name beside a point, on the side that has room."""
    place, side = (
        (f" {formatting.clip(sample, 16)}", "start") if at[0] < middle else (f"{formatting.clip(sample, 16)} ", "end")
    )
    across = 0.03 * middle * (1 if side == "start" else -1)
    return Outline((at,), False, sample, mark=Mark(place.strip(), (at[0] + across, at[1]), side), role="outlier")


def recorded_voltages(tubes: Sequence[BatchTube]) -> list[tuple[str, str, str]]:
    """Panel, channel and voltages of every channel whose files hold one, with the number of tubes."""
    return [
        (
            panel,
            name,
            "; ".join(
                f"{formatting.number(value)} V in {len(samples)} tube{'' if len(samples) == 1 else 's'}"
                for value, samples in sorted(settings.items(), key=lambda entry: (-len(entry[1]), entry[0]))
            ),
        )
        for panel, seen in _voltages(tubes).items()
        for name, settings in seen.items()
    ]


def _voltages(tubes: Sequence[BatchTube]) -> dict[str, dict[str, dict[float, list[str]]]]:
    """Panel and cytometer to channel to voltage to the samples with this voltage."""
    found: dict[str, dict[str, dict[float, list[str]]]] = {}
    for panel, together in by_cytometer(tubes).items():
        seen = found.setdefault(panel, {})
        for tube in together:
            for entry in () if tube.qc is None else tube.qc.channels:
                if entry.voltage is not None:
                    name = entry.marker or entry.column
                    seen.setdefault(name, {}).setdefault(entry.voltage, []).append(tube.sample)
    return found


def voltage_changes(tubes: Sequence[BatchTube]) -> list[VoltageChange]:
    """Channels whose detector voltage differs among tubes of one panel on one cytometer."""
    rows = []
    for panel, seen in _voltages(tubes).items():
        for name, settings in seen.items():
            if len(settings) > 1:
                usual = max(settings, key=lambda value: len(settings[value]))
                odd = [
                    f"{formatting.number(value)} V in {', '.join(samples[:4])}{' …' if len(samples) > 4 else ''}"
                    for value, samples in settings.items()
                    if value != usual
                ]
                unusual = frozenset(one for value, names in settings.items() if value != usual for one in names)
                rows.append(VoltageChange(panel, name, f"{formatting.number(usual)} V", "; ".join(odd), unusual))
    return rows


def carry_over(tubes: Sequence[BatchTube]) -> list[CarriedOver]:
    """Tubes whose MRD cells may come from the tube run just before on the same cytometer.

    After another patient's tube, cells that look like that patient's leukaemia are reported. After a tube of the same
    patient on the same day, carried-over cells and MRD are the same leukaemia and cannot be distinguished. This is
    reported where MRD was found.

    Parameters
    ----------
    tubes
        With a result, in order of acquisition.
    """
    found = []
    for instrument in dict.fromkeys(tube.instrument for tube in tubes):
        run = [tube for tube in tubes if tube.instrument == instrument]
        for before, after in pairwise(run):
            message = _carried(before, after)
            if message:
                found.append(CarriedOver(after.sample, before.sample, message))
    return found


def _carried(before: BatchTube, after: BatchTube) -> str:
    """Why cells of the first tube may be in the second; empty where nothing suggests it."""
    source, result = before.result, after.result
    if source is None or result is None or before.panel != after.panel or (source.mrd.fraction or 0) < CARRY_SOURCE:
        return ""
    if before.patient == after.patient:
        same_day = before.acquisition.date and before.acquisition.date == after.acquisition.date
        if not same_day or after.role != "followup" or not result.mrd.detected:
            return ""
        share = formatting.percent(source.mrd.fraction)
        return (
            f"{after.sample} was run just after {before.sample} of the same patient ({share} leukaemic): cells "
            "carried over would look like MRD. Run a rinse and the follow-up tube again."
        )
    for cluster in result.laip.clusters:
        for other in source.laip.clusters:
            distance = _distance(cluster.medians, other.medians)
            if distance is not None and distance <= CARRY_DISTANCE:
                return (
                    f"{after.sample}: cluster {cluster.id} ({formatting.count(cluster.events)} events) lies "
                    f"{distance:.2f} "
                    f"decades from the leukaemia of {before.sample}, run just before."
                )
    return ""


def _distance(a: Mapping[str, float], b: Mapping[str, float]) -> float | None:
    shared = sorted(set(a) & set(b))
    if len(shared) < 3:
        return None
    steps = sorted(abs(to_decades(a[name] - b[name])) for name in shared)
    return steps[-1 - len(steps) // 5]
