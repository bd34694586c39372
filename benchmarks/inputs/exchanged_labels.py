"""How often exchanged labels are told by the values alone, and whether a tube tells its person: error rates.

``python -m benchmarks.inputs.exchanged_labels --docs`` writes the table of docs/inputs.md. Real marrows are mixtures
of several hundred expert-gated tubes (optional shared data), stained and measured in many ways; of four tubes without
blasts as controls and one other tube of the cohort, no person is used twice. Simulated ones are demo cohorts.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from benchmarks.accuracy.mixtures import FEATURES, Patient, draw, load
from benchmarks.inputs.__main__ import PAGE, SHARED
from benchmarks.pages import put_between_marks
from flowmrd.classifier.mixture import Mixture
from flowmrd.config import load_config, read_sheet
from flowmrd.config.sheet import Role
from flowmrd.engine.headers import RunRequest, check_header
from flowmrd.home import PANELS
from flowmrd.panel import load_panel
from flowmrd.preprocess.staining_pattern import (
    StainingPattern,
    find_exchange,
    staining_pattern,
)
from flowmrd.preprocess.transform.logicle import inverse_logicle
from flowmrd.stages.simulate import simulate
from flowmrd.units import LOGICLE_M, LOGICLE_T

EVENTS = 6_000
CONTROLS = 4
TRIALS = 1500
OTHERS = 9
"""Other persons of the run, where a tube's own is looked for."""


@dataclass
class Counted:
    """Tubes and exchanges that were tried, and what became of them."""

    sound: int = 0
    alarms: int = 0
    tried: int = 0
    told: int = 0
    misnamed: int = 0
    of_targets: list[bool] = field(default_factory=list)

    def add(self, tube: StainingPattern, controls: Sequence[StainingPattern], pairs: Sequence[tuple[int, int]]) -> None:
        """Judge a tube as it is, and with each of these pairs of labels exchanged."""
        self.sound += 1
        self.alarms += find_exchange(tube, controls) is not None
        for first, second in pairs:
            names = list(tube.markers)
            names[first], names[second] = names[second], names[first]
            found = find_exchange(replace(tube, markers=tuple(names)), controls)
            right = found is not None and {found.first, found.second} == {names[first], names[second]}
            self.tried += 1
            self.told += right
            self.misnamed += found is not None and not right
            if {names[first], names[second]} == {"CD19", "CD22"}:
                self.of_targets.append(right)


def main() -> int:
    """Print the tables, and write them into the page where asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inputs.exchanged_labels")
    parser.add_argument("--docs", action="store_true", help="write the tables into docs/inputs.md")
    arguments = parser.parse_args()
    counted = {f"simulated cohort, {panel}": simulated(panel) for panel in ("ino10", "vienna_b8")}
    persons = ""
    mixtures = SHARED / "ball/mixtures"
    if mixtures.is_dir():
        patients = load(mixtures)
        counted = {"real marrows (mixtures), 7 dyes": real(patients), **counted}
        persons = own_tube(patients)
    text = table(counted) + persons
    sys.stdout.write(f"{text}\n")
    if arguments.docs:
        put_between_marks(PAGE, "exchange", text)
    return 0


def table(counted: dict[str, Counted]) -> str:
    """The table in Markdown."""
    lines = [
        "| tubes | sound tubes | false alarms | exchanges tried | told and named | told, another pair named |",
        "|---|---|---|---|---|---|",
    ]
    for name, one in counted.items():
        told, wrong = f"{one.told} ({one.told / one.tried:.0%})", f"{one.misnamed} ({one.misnamed / one.tried:.1%})"
        lines.append(f"| {name} | {one.sound} | {one.alarms} | {one.tried} | {told} | {wrong} |")
    lines += [
        f"\nCD19 and CD22 exchanged, {name}: {sum(one.of_targets)} of {len(one.of_targets)} told."
        for name, one in counted.items()
        if one.of_targets
    ]
    return "\n".join(lines)


def simulated(panel: str) -> Counted:
    """A demo cohort: every tube against the controls, and every pair of labels exchanged in it."""
    counted = Counted()
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        model = load_panel(PANELS / f"{panel}.yaml")
        simulate(run, preset="demo", panel=model, nucleated=15_000)
        config = load_config(run / "config/config.yaml")
        rows = read_sheet(run / config.samples)[0]
        seen = {}
        for row in rows:
            record = check_header(row.fcs, model, row, RunRequest(config, run / "config")).pattern
            if record is not None:
                seen[row.sample] = StainingPattern.from_record(record)
    controls = [row.sample for row in rows if row.role is Role.CONTROL]
    for name, pattern in seen.items():
        n = len(pattern.markers)
        pairs = [(first, second) for first in range(n) for second in range(first + 1, n)]
        counted.add(pattern, [seen[one] for one in controls if one != name], pairs)
    return counted


def real(patients: list[Patient]) -> Counted:
    """Tubes drawn from mixtures of real marrows: each against four of its cohort, one pair exchanged."""
    rng = np.random.default_rng(0)
    patterns = [pattern_of(whole(patient), rng) for patient in patients]
    counted = Counted()
    for _ in range(TRIALS):
        tube = int(rng.integers(len(patients)))
        pool = [
            place
            for place, one in enumerate(patients)
            if one.cohort == patients[tube].cohort and one.person != patients[tube].person and not one.has_blasts
        ]
        controls = [patterns[place] for place in rng.choice(pool, CONTROLS, replace=False)]
        own = patterns[tube]
        if own is None:
            continue
        first, second = (int(place) for place in rng.choice(len(own.markers), 2, replace=False))
        counted.add(own, [one for one in controls if one is not None], [(first, second)])
    return counted


def whole(patient: Patient) -> Mixture:
    """A marrow with its blasts, in its own proportions."""
    total = sum(patient.events[name] for name in patient.groups)
    parts = [(patient.groups[name], patient.events[name] / total) for name in patient.groups]
    return Mixture(
        np.concatenate([part.weight * share for part, share in parts]),
        np.concatenate([part.mean for part, _ in parts]),
        np.concatenate([part.covariance for part, _ in parts]),
    )


def pattern_of(mixture: Mixture, rng: np.random.Generator) -> StainingPattern | None:
    """The pattern of cells drawn from a mixture, brought to linear values."""
    cells = draw(mixture, EVENTS, rng).astype(np.float64) / LOGICLE_M
    dyes, scatter = {}, {}
    for place, name in enumerate(FEATURES):
        if name.startswith(("FSC", "SSC")):
            scatter[name] = cells[:, place] * LOGICLE_T
        else:
            width = 0.0 if name == "SYTO41" else 0.75
            dyes[name] = np.asarray(inverse_logicle(cells[:, place], LOGICLE_T, LOGICLE_M, width, 0.0))
    return staining_pattern(dyes, scatter, dict.fromkeys(FEATURES, LOGICLE_T))


def own_tube(patients: list[Patient]) -> str:
    """Whether the normal cells of a tube tell whose it is: the two tubes of one person against other persons' tubes."""
    rng = np.random.default_rng(1)
    twice: dict[str, list[int]] = {}
    for place, patient in enumerate(patients):
        twice.setdefault(patient.person, []).append(place)
    patterns = {}
    for places in (places for places in twice.values() if len(places) == 2):
        for place in places:
            patterns[place] = pattern_of(patients[place].normal_mixture(), rng)
    known = [place for place, pattern in patterns.items() if pattern is not None]
    nearest, margins = 0, []
    pairs = [places for places in twice.values() if len(places) == 2 and set(places) <= set(known)]
    for first, second in pairs:
        cohort = patients[second].cohort
        pool = [
            place
            for place in known
            if patients[place].cohort == cohort and patients[place].person != patients[first].person
        ]
        others = [apart(patterns[second], patterns[place]) for place in rng.choice(pool, OTHERS, replace=False)]
        own = apart(patterns[second], patterns[first])
        nearest += own < min(others)
        # how much nearer the nearest other person is than the own one, and the own one than one that was put for it
        margins.append((own - min(others), others[0] - min([own, *others[1:]])))
    false, true = np.array(margins).T
    limit = float(np.quantile(false, 0.99))
    found = float(np.mean(true > limit))
    return (
        f"\n\nWhose tube is it? Of {len(pairs)} persons with two tubes the other tube of the same person was the "
        f"nearest of {OTHERS + 1} in its normal cells {nearest} times ({nearest / len(pairs):.0%}; by chance "
        f"{1 / (OTHERS + 1):.0%}). At 1 % false notes {found:.0%} of the tubes put to another person would be noted."
    )


def apart(one: StainingPattern | None, other: StainingPattern | None) -> float:
    """Mean difference of two patterns, each part in units of its usual spread."""
    if one is None or other is None:
        return float("inf")
    parts = (
        (one.levels, other.levels, 0.25),
        (one.together, other.together, 0.15),
        (one.brightest, other.brightest, 0.25),
    )
    return float(np.mean([np.nanmean(np.abs(first - second)) / usual for first, second, usual in parts]))


if __name__ == "__main__":
    sys.exit(main())
