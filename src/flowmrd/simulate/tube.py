"""One tube: cells of a marrow, measured by the simulated cytometer, with the truth of every event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numpy.random import Generator, SeedSequence, default_rng

from flowmrd.panel.model import ChannelKind, PanelModel
from flowmrd.simulate.cytometer import RANGE, SATURATED, TIMESTEP, Cytometer, Detector, build_cytometer
from flowmrd.simulate.leukaemia import NO_THERAPY, Leukaemia, Therapy, blast_covariance, mask_cd22
from flowmrd.simulate.populations import (
    ADULT,
    MATURATION,
    MATURATION_KNOTS,
    N_FIRST,
    NORMAL,
    SIGNALS,
    Code,
    Composition,
    maturation_covariance,
    stage,
)
from flowmrd.units import LOGICLE_M

Array = npt.NDArray[Any]
Float32 = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

STAINING_WEIGHT: Final = np.array([{"FSC-A": 0.6, "SSC-A": 0.8, "SYTO41": 2.0}.get(signal, 0.75) for signal in SIGNALS])
"""Spread between tubes per signal, times ``TubeSpec.staining_sd``. Scatter is relative (voltage acts as a factor);
the nucleic acid dye varies most. The measured marrows, stained over many years, vary about twice as much."""


@dataclass(frozen=True)
class Acquisition:
    """The acquisition of a tube.

    Attributes
    ----------
    doublets
        Doublets per nucleated singlet.
    debris, dead, aggregates
        Small debris, dead cells and saturating clumps without a nucleus, per nucleated singlet. Defaults are the rates
        of two real marrows (optional shared data, ``real_events``: doublets 2.5-3.5 %, FSC-A below 30,000 2.4-3.9 %,
        not intact 1.1-1.2 %, not nucleated and saturated 2.3-2.7 %).
    slow_start, clog
        Share of the running time at a twentieth of the flow rate; share in which a clog disturbs rate and signals.
    drift
        Standard deviation over channels of the signal drift from start to end, decades.
    spill_error
        Relative standard deviation of the true spillover around the matrix that the file carries.
    """

    doublets: float = 0.03
    debris: float = 0.015
    dead: float = 0.012
    aggregates: float = 0.022
    events_per_second: float = 3000.0
    slow_start: float = 0.0
    clog: float = 0.0
    drift: float = 0.01
    spill_error: float = 0.01


STEADY: Final = Acquisition()
"""An undisturbed acquisition."""


@dataclass(frozen=True)
class TubeSpec:
    """Specification of a tube.

    Attributes
    ----------
    nucleated
        Number of nucleated singlets, including leukaemic cells.
    level
        Expected leukaemic share of the nucleated singlets; the number is drawn from a Poisson distribution
        (a binomial one above 5 %).
    person_seed
        Seed of the person's own biology (composition, antigen levels), shared by all tubes of a patient.
    composition_spread, biology_sd, staining_sd
        Log-normal spread of the shares; spread of population means between persons, and of all means between tubes,
        decades.
    staining
        Further shift of the tube per signal, decades (a drift that the user chooses).
    blast_shift
        Shift of the blasts alone against the diagnosis per signal, decades (biological drift).
    tails
        Share of the cells of each population that scatter more widely, and the factor by which they do (decaying cells,
        nonspecific binding). Real populations are not Gaussian in their tails, where one cell in 100,000 decides.
    stain
        For a single-stain tube: the only stained marker, or ``unstained``.
    """

    nucleated: int
    composition: Composition = ADULT
    leukaemia: Leukaemia | None = None
    level: float = 0.0
    therapy: Therapy = NO_THERAPY
    person_seed: int = 0
    composition_spread: float = 0.25
    biology_sd: float = 0.08
    staining_sd: float = 0.1
    staining: Mapping[str, float] = field(default_factory=dict)
    blast_shift: Mapping[str, float] = field(default_factory=dict)
    tails: tuple[float, float] = (0.03, 1.6)
    acquisition: Acquisition = STEADY
    stain: str | None = None


@dataclass(frozen=True)
class SimulatedTube:
    """Raw columns and truth, one row per event in acquisition order.

    Attributes
    ----------
    columns
        Detector name ($PnN) to float32 raw values as the file stores them (time in ticks).
    truth
        ``population`` (int16, :class:`Code`), ``partner`` (int16, -1 unless a doublet), ``leukaemic`` (any leukaemic
        cell in the event), ``doublet``, ``nucleated``, ``dead``, ``unstable`` (clog) and ``mrd`` (leukaemic singlet) as
        booleans.
    """

    columns: dict[str, Float32]
    cytometer: Cytometer
    truth: dict[str, Array]

    @property
    def n_events(self) -> int:
        """Number of events."""
        return len(self.truth["population"])

    @property
    def nucleated(self) -> int:
        """Nucleated singlets."""
        return int(np.count_nonzero(self.truth["nucleated"] & ~self.truth["doublet"]))

    @property
    def mrd_events(self) -> int:
        """Leukaemic singlets."""
        return int(np.count_nonzero(self.truth["mrd"]))


def simulate_tube(spec: TubeSpec, panel: PanelModel, seed: int) -> SimulatedTube:
    """Simulate one tube.

    Parameters
    ----------
    spec
        Specification of the tube.
    panel
        Its channels; markers that the simulator knows.
    seed
        Same specification, panel and seed give the same bytes.

    Returns
    -------
    SimulatedTube
        ``columns`` (float32 raw values, shape (n_events,)) and ``truth`` (per event), in order of acquisition;
        :func:`flowmrd.write_tube` writes them as FCS.

    Raises
    ------
    PanelError
        If the panel has a marker unknown to the simulator.
    """
    cytometer = build_cytometer(panel)
    # The person's biology has a separate random stream, so that two tubes of a patient share it whatever their size.
    person, rng = default_rng(SeedSequence([spec.person_seed, 7])), default_rng(SeedSequence([seed, 11]))
    further = default_rng(SeedSequence([spec.person_seed, 7, 1])), default_rng(SeedSequence([seed, 11, 1]))
    tube = _Tube(spec, cytometer, person, rng, further)
    return tube.run()


class _Tube:
    def __init__(
        self,
        spec: TubeSpec,
        cytometer: Cytometer,
        person: Generator,
        rng: Generator,
        further: tuple[Generator, Generator],
    ) -> None:
        """``further``: streams of the person and of the tube for the signals from ``N_FIRST`` on."""
        self.spec, self.cytometer, self.rng = spec, cytometer, rng
        n_further = len(SIGNALS) - N_FIRST
        self.kept = [SIGNALS.index(m) for m in ("FSC-A", "SSC-A")] + [d.index for d in cytometer.fluorescence]
        self.biology = {
            code: np.r_[
                person.normal(0.0, spec.biology_sd, N_FIRST), further[0].normal(0.0, spec.biology_sd, n_further)
            ]
            for code in (*NORMAL, Code.HAEMATOGONE_2)
        }
        for offset in self.biology.values():
            offset[:2] *= 0.3  # light scatter is linear here: 0.3 of the antigens' spread is some per cent
        self.shares = self._shares(person)
        # Student's t, 5 degrees of freedom: between two tubes of one person the measured root mean square difference is
        # about twice the median absolute one, which a normal distribution would not give.
        staining = np.r_[rng.standard_t(5, N_FIRST), further[1].standard_t(5, n_further)]
        staining *= spec.staining_sd * STAINING_WEIGHT
        for marker, shift in spec.staining.items():
            staining[SIGNALS.index(marker)] += shift
        self.staining = staining

    def run(self) -> SimulatedTube:
        spec, rng = self.spec, self.rng
        n_doublets = round(spec.nucleated * spec.acquisition.doublets)
        codes, linear = self._cells(spec.nucleated + n_doublets)
        n_cells = len(codes)
        order = rng.permutation(n_cells)
        codes, linear = codes[order], linear[:, order]
        partner = np.full(n_cells, -1, dtype=np.int16)
        width = (1 + 0.035 * rng.standard_normal(n_cells, dtype=np.float32)) * np.float32(60000 * rng.normal(1, 0.03))
        # The last cells become doublets with others drawn at random, so any two populations pair at their natural rate.
        pair = rng.integers(0, n_cells - n_doublets, n_doublets)
        first = np.arange(n_cells - n_doublets, n_cells)
        linear[:, first] += linear[:, pair]
        partner[first] = codes[pair]
        # Doublet over singlet FSC-W in two real marrows: median 1.41 and 1.64, 75th percentile 1.64 and 1.90.
        ratio = np.clip(np.exp(rng.normal(np.log(1.5), 0.17, n_doublets)), 1.08, 2.8)
        width[first] *= ratio.astype(np.float32)
        junk_codes, junk, junk_width = self._junk()
        population = np.concatenate([codes, junk_codes])
        partner = np.concatenate([partner, np.full(len(junk_codes), -1, dtype=np.int16)])
        signal = np.concatenate([linear, junk], axis=1)
        width = np.concatenate([width, junk_width])
        shuffle = rng.permutation(len(population))
        # Row by row, because gathering the whole matrix at once would need it twice in memory.
        for row in signal:
            row[:] = row[shuffle]
        population, partner, width = population[shuffle], partner[shuffle], width[shuffle]
        time, unstable = self._time(len(population))
        columns = self._measure(signal, width, time, unstable)
        leukaemic = (population == Code.LEUKAEMIC) | (partner == Code.LEUKAEMIC)
        doublet = partner >= 0
        nucleated = (population != Code.DEBRIS) & (population != Code.DEAD)
        truth: dict[str, Array] = {
            "population": population,
            "partner": partner,
            "leukaemic": leukaemic,
            "doublet": doublet,
            "nucleated": nucleated,
            "dead": population == Code.DEAD,
            "unstable": unstable,
            "mrd": leukaemic & ~doublet,
        }
        return SimulatedTube(columns, self.cytometer, truth)

    def _shares(self, person: Generator) -> dict[Code, float]:
        raw = {
            code: share * float(np.exp(person.normal(0, self.spec.composition_spread * (2 if share < 0.05 else 1))))
            for code, share in self.spec.composition.shares.items()
        }
        total = sum(raw.values())
        return {code: share / total for code, share in raw.items()}

    def _cells(self, n: int) -> tuple[npt.NDArray[np.int16], Float32]:
        """Codes (n,) and linear signals (2 scatter + dyes, n) of cells in blocks of one population."""
        spec, rng = self.spec, self.rng
        n_blasts = 0
        if spec.leukaemia is not None:
            n_blasts = int(rng.binomial(n, spec.level) if spec.level > 0.05 else rng.poisson(spec.level * n))
        codes = list(self.shares)
        counts = rng.multinomial(n - n_blasts, [self.shares[code] for code in codes])
        linear = np.empty((len(self.kept), n), dtype=np.float32)
        label = np.empty(n, dtype=np.int16)
        start = 0
        for code, count in zip(codes, counts, strict=True):
            stop = start + int(count)
            if code is Code.HAEMATOGONE_2:
                label[start:stop] = self._haematogones(linear[:, start:stop])
            else:
                population = NORMAL[code]
                label[start:stop] = code
                self._draw(population.mean + self.biology[code], population.covariance, linear[:, start:stop])
            start = stop
        if spec.leukaemia is not None and n_blasts:
            components = spec.leukaemia.after(spec.therapy)
            split = rng.multinomial(n_blasts, [component.weight for component in components])
            for component, count in zip(components, split, strict=True):
                stop = start + int(count)
                label[start:stop] = Code.LEUKAEMIC
                # The blasts' mean already contains the effect of the drug on CD22.
                mean = component.mean.copy()
                for marker, change in spec.blast_shift.items():
                    mean[SIGNALS.index(marker)] += change
                self._draw(mean, blast_covariance(component.sd), linear[:, start:stop], masked=True)
                start = stop
        return label, linear

    def _haematogones(self, out: Float32) -> npt.NDArray[np.int16]:
        n = out.shape[1]
        position: Floats = np.asarray(self.rng.beta(*self.spec.composition.maturation, size=n), dtype=np.float64)
        middle = float(np.median(position)) if n else 0.5
        path = {signal: np.array(MATURATION[signal]) for signal in SIGNALS}
        centre = np.array([np.interp(middle, MATURATION_KNOTS, path[signal]) for signal in SIGNALS])
        offset = np.stack(
            [np.interp(position, MATURATION_KNOTS, path[SIGNALS[i]]) - centre[i] for i in self.kept]
        ).astype(np.float32)
        self._draw(centre + self.biology[Code.HAEMATOGONE_2], maturation_covariance(), out, offset)
        return stage(position)

    def _draw(
        self, mean: Floats, covariance: Floats, out: Float32, offset: Float32 | None = None, *, masked: bool = False
    ) -> None:
        """Fill ``out`` (signals, n) with linear signals of cells around a mean (decades) in the tube's staining."""
        n = out.shape[1]
        if n == 0:
            return
        mean = mean.copy()
        if not masked:
            mask_cd22(mean, self.spec.therapy.cd22)
        # Staining differences act on what is stained: a negative population moves by a third of them.
        reach = np.clip((mean - 1.0) / 1.0, 0.3, 1.0)
        reach[:2] = mean[:2]
        mean = (mean + reach * self.staining)[self.kept]
        covariance = covariance[np.ix_(self.kept, self.kept)]
        # The instrument's own contribution to the spread is subtracted first, so that the measured spread is right.
        added = self.cytometer.noise_decades(mean[2:])
        total = np.diag(covariance)[2:]
        shrink = np.ones(len(mean))
        shrink[2:] = np.sqrt(np.clip(1 - added**2 / total, 0.09, 1.0))
        covariance = covariance * np.outer(shrink, shrink)
        # Side scatter is log-normal (skew of its logarithm near 0 in real marrows), the rest normal.
        relative = np.sqrt(np.log1p(covariance[1, 1] / max(mean[1], 0.05) ** 2))
        factor = relative / np.sqrt(covariance[1, 1])
        covariance[1, :] *= factor
        covariance[:, 1] *= factor
        lower = np.linalg.cholesky(covariance).astype(np.float32)
        z = self.rng.standard_normal((len(mean), n), dtype=np.float32)
        share, scale = self.spec.tails
        if share > 0:
            z[:, self.rng.random(n, dtype=np.float32) < share] *= np.float32(scale)
        values = _correlate(lower, z)
        log_ssc = np.log(max(mean[1], 0.05)) - relative**2 / 2
        shift = mean.astype(np.float32)
        shift[1] = np.float32(log_ssc)
        values += shift[:, None]
        if offset is not None:
            offset = offset.copy()
            offset[1] = 0.0
            values += offset
        unit = np.float32(RANGE / LOGICLE_M)
        out[0] = np.maximum(values[0], np.float32(0.25)) * unit
        out[1] = np.exp(values[1]) * unit
        for k, detector in enumerate(self.cytometer.fluorescence, start=2):
            out[k] = self.cytometer.to_raw(values[k], detector)

    def _junk(self) -> tuple[npt.NDArray[np.int16], Float32, Float32]:
        """Small debris, dead cells and saturating clumps: codes (n,), linear signals and pulse widths."""
        spec, rng, run = self.spec, self.rng, self.spec.acquisition
        sizes = [round(spec.nucleated * share) for share in (run.debris, run.dead, run.aggregates)]
        n = sum(sizes)
        linear = np.empty((len(self.kept), n), dtype=np.float32)
        codes = np.repeat(np.array([Code.DEBRIS, Code.DEAD, Code.DEBRIS], dtype=np.int16), sizes)
        debris, dead, clumps = np.split(np.arange(n), np.cumsum(sizes)[:-1])
        linear[0, debris] = np.exp(rng.normal(np.log(17000), 0.3, len(debris)))
        linear[1, debris] = np.exp(rng.normal(np.log(14000), 0.6, len(debris)))
        linear[0, dead] = np.exp(rng.normal(np.log(38000), 0.35, len(dead)))
        linear[1, dead] = np.exp(rng.normal(np.log(70000), 0.5, len(dead)))
        linear[0, clumps] = np.exp(rng.normal(np.log(300000), 0.45, len(clumps)))
        linear[1, clumps] = np.exp(rng.normal(np.log(330000), 0.6, len(clumps)))
        stickiness = rng.normal(0.0, 0.25, n)
        for k, detector in enumerate(self.cytometer.fluorescence, start=2):
            nucleic = detector.kind is ChannelKind.NUCLEIC_ACID
            level = np.empty(n)
            level[debris] = rng.normal(1.3 if nucleic else 1.0, 0.3, len(debris))
            # A dead cell binds any antibody a little and loses nucleic acid dye.
            level[dead] = rng.normal(2.2 if nucleic else 1.7, 0.35, len(dead)) + stickiness[dead]
            level[clumps] = rng.normal(1.6, 0.5, len(clumps)) + stickiness[clumps]
            linear[k] = self.cytometer.to_raw(level.astype(np.float32), detector)
        width = np.exp(rng.normal(np.log(60000), 0.07, n))
        width[clumps] = np.exp(rng.normal(np.log(72000), 0.2, len(clumps)))
        return codes, linear, width.astype(np.float32)

    def _time(self, n: int) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Arrival time in seconds, rising, and a mask of the events that a clog disturbs."""
        run, rng = self.spec.acquisition, self.rng
        # Piecewise constant rate over a unit of running time: (share of time, relative rate).
        clog_at = float(rng.uniform(0.3, 0.7))
        pieces = [(run.slow_start, 0.05), (clog_at - run.slow_start, 1.0), (run.clog, 0.25)]
        pieces.append((1.0 - sum(share for share, _ in pieces), 1.0))
        edges = np.concatenate([[0.0], np.cumsum([share for share, _ in pieces])])
        mass = np.concatenate([[0.0], np.cumsum([share * rate for share, rate in pieces])])
        duration = n / run.events_per_second / mass[-1]
        uniform = np.sort(rng.random(n)) * mass[-1]
        where = np.interp(uniform, mass, edges)
        unstable = (where >= edges[2]) & (where < edges[3])
        return where * duration, unstable

    def _measure(
        self, signal: Float32, width: Float32, time: Floats, unstable: npt.NDArray[np.bool_]
    ) -> dict[str, Float32]:
        """Raw columns: stain, spillover, drift, noise, saturation, pulse shape."""
        spec, rng, cytometer = self.spec, self.rng, self.cytometer
        n = signal.shape[1]
        progress = (time / max(float(time[-1]), 1e-9) - 0.5).astype(np.float32) if n else np.empty(0, np.float32)
        dyes = cytometer.fluorescence
        light = signal[2:]
        if spec.stain is not None:
            for k, detector in enumerate(dyes):
                if detector.marker != spec.stain:
                    light[k] = rng.normal(60.0, 25.0, n)
        disturbed = np.where(unstable, np.float32(0.75), np.float32(1.0))
        off_diagonal = ~np.eye(len(dyes), dtype=bool)
        error = np.where(off_diagonal, rng.normal(1.0, spec.acquisition.spill_error, cytometer.spill.shape), 1.0)
        spill = (cytometer.spill * error).astype(np.float32)
        columns: dict[str, Float32] = {}
        for j, detector in enumerate(dyes):
            seen = np.zeros(n, dtype=np.float32)
            for i in np.flatnonzero(spill[:, j]):
                seen += spill[i, j] * light[i]
            strength = float(rng.normal(0, spec.acquisition.drift))
            if detector.kind is ChannelKind.NUCLEIC_ACID:
                strength *= 5  # the dye keeps entering the cells: 0.05-0.09 decades in a real run
            seen *= np.exp(np.float32(np.log(10) * strength) * progress)
            seen *= disturbed
            variance = np.float32(cytometer.electronic[j] ** 2) + np.float32(cytometer.photon[j]) * np.maximum(seen, 0)
            seen += np.sqrt(variance) * rng.standard_normal(n, dtype=np.float32)
            columns[detector.pnn] = np.minimum(seen, np.float32(SATURATED))
        columns |= self._scatter(signal[0] * disturbed, signal[1] * disturbed, width)
        columns["Time"] = np.floor(time / TIMESTEP).astype(np.float32)
        order = [detector.pnn for detector in cytometer.detectors]
        return {name: columns[name] for name in order if name in columns}

    def _scatter(self, fsc: Float32, ssc: Float32, width: Float32) -> dict[str, Float32]:
        top = np.float32(SATURATED)
        side_width = width * np.float32(1.02)
        return {
            "FSC-A": np.minimum(fsc, top),
            "FSC-H": np.minimum(fsc / width * np.float32(65536), top),
            "FSC-W": np.minimum(width, top),
            "SSC-A": np.minimum(ssc, top),
            "SSC-H": np.minimum(ssc / side_width * np.float32(65536), top),
            "SSC-W": np.minimum(side_width, top),
        }


def _correlate(lower: Float32, z: Float32) -> Float32:
    """``lower @ z`` in place of ``z``, row by row, because a BLAS product may round differently with more threads."""
    for i in range(len(z) - 1, -1, -1):
        z[i] *= lower[i, i]
        for j in range(i):
            z[i] += lower[i, j] * z[j]
    return z


def detectors_of(tube: SimulatedTube) -> tuple[Detector, ...]:
    """Detectors in the order of the tube's columns."""
    return tuple(detector for detector in tube.cytometer.detectors if detector.pnn in tube.columns)
