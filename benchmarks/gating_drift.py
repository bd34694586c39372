"""Gates frozen from controls on tubes that another staining or another instrument gave, panel ino10, simulated truth.

Run ``python -m benchmarks.gating_drift [--docs] [words]``; words choose changes, ``--docs`` puts the table into
docs/methods/gating.md. The controls are stained and measured as
always; every patient's tube is a marrow as after anti-B-cell therapy with a leukaemia that lost CD19 (steroid shift),
changed in one way. Printed, for gates moved from the controls and for gates placed on the tube alone: share of the
blasts inside ``possible_b_lineage``, share of the normal cells of no B lineage inside it, error of the nucleated count,
and how many tubes had a shift held at its bound. Everything is seeded.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np

from benchmarks.gating import PAGE, THERAPIES, Columns, Tube, learn, make, say
from benchmarks.pages import put_output
from flowmrd.config.run import GatingConfig
from flowmrd.gating.gated_columns import GatedColumns, gate_columns
from flowmrd.gating.reference import GateReference
from flowmrd.home import PANELS
from flowmrd.panel import PanelModel, load_panel
from flowmrd.simulate.design import leukaemia_of
from flowmrd.simulate.populations import AFTER_ANTI_B
from flowmrd.simulate.tube import TubeSpec

PATIENTS: Final = 6
DYES: Final = ("CD66b", "CD22", "CD24", "CD34", "CD19", "CD10", "CD38", "CD20", "CD58", "CD45")
SCATTER: Final = ("FSC-A", "FSC-H", "SSC-A")

Change = tuple[str, dict[str, float], dict[str, float]]
"""Name, decades by marker, factors by scatter channel."""


def changes() -> Iterator[Change]:
    """What another laboratory, lot or instrument would do."""
    yield "none", {}, {}
    for marker in DYES:
        for decades in (-0.3, 0.3):
            yield f"{marker} {decades:+.1f}", {marker: decades}, {}
    for decades in (-0.3, 0.3):
        yield f"all dyes {decades:+.1f}", dict.fromkeys(DYES, decades), {}
    for seed in range(6):
        drawn = np.random.default_rng(seed).uniform(-0.3, 0.3, len(DYES)).tolist()
        yield f"dyes, draw {seed}", dict(zip(DYES, drawn, strict=True)), {}
    for factor in (0.5, 0.7, 1.4, 2.0):
        yield f"FSC x {factor}", {}, {"FSC-A": factor, "FSC-H": factor}
        yield f"SSC x {factor}", {}, {"SSC-A": factor}
        yield f"scatter x {factor}", {}, dict.fromkeys(SCATTER, factor)


def changed(tube: Tube, factors: dict[str, float]) -> Tube:
    """The tube with other voltages of the scatter detectors, clipped at the top of the range."""
    columns: Columns = dict(tube.columns)
    for name, factor in factors.items():
        if name in columns:
            values, top = columns[name], columns[name].max()
            # What a saturated pulse would have been is not known: it is taken to be saturated at any gain.
            columns[name] = np.where(values >= top, top, np.minimum(values * np.float32(factor), top))
    return replace(tube, columns=columns)


def measure(tube: Tube, panel: PanelModel, reference: GateReference | None) -> tuple[GatedColumns, list[float]]:
    """Recall of blasts, share of others in the B lineage, relative error of the nucleated count."""
    gated = gate_columns(tube.columns, panel, tube.usable, GatingConfig(), reference=reference, scales=tube.scales)
    truth = tube.raw.truth
    window, blasts = gated.result.inside("possible_b_lineage"), truth["mrd"] & tube.usable
    counted = np.count_nonzero(gated.result.inside("nucleated") & tube.usable)
    expected = np.count_nonzero(truth["nucleated"] & ~truth["doublet"] & tube.usable)
    return gated, [float(window[blasts].mean()), float(window[tube.normal].mean()), counted / expected - 1]


def main(arguments: list[str]) -> None:
    """Measure and print, or put the table into the page."""
    if "--docs" in arguments:
        put_output(PAGE, "gating drift", lambda: survey([]))
    else:
        survey(arguments)


def survey(words: list[str]) -> None:
    """Measure the changes chosen by words."""
    panel = load_panel(PANELS / "ino10.yaml")
    reference = learn(panel)
    say(f"CD19 lost, {PATIENTS} leukaemias a change; all: pooled, worst: by tube\n")
    head = f"{'recall':>9}{'worst':>8}{'others':>9}{'count':>9}"
    say(f"{'':<18}{'gates from controls':>35}{'at bound':>10}{'gates of the tube':>35}")
    say(f"{'change':<18}{head}{'':>10}{head}")
    for name, decades, factors in changes():
        if words and not any(word in name for word in words):
            continue
        rows: dict[bool, list[list[float]]] = {True: [], False: []}
        held = 0
        for p in range(PATIENTS):
            spec = TubeSpec(
                nucleated=30_000, person_seed=4000 + p, composition=AFTER_ANTI_B, leukaemia=leukaemia_of(11, f"P{p}"),
                level=0.05, therapy=THERAPIES["CD19 lost"], staining=decades,
            )  # fmt: skip
            tube = changed(make(spec, panel, 4000 + p), factors)
            for frozen in (True, False):
                gated, values = measure(tube, panel, reference if frozen else None)
                rows[frozen].append(values)
                held += frozen and any(shift.at_bound for shift in gated.shifts.values())
        text = {}
        for frozen, measured in rows.items():
            recall, others, count = np.array(measured).T
            worst = count[np.argmax(np.abs(count))]
            text[frozen] = f"{recall.mean():>9.4f}{recall.min():>8.4f}{100 * others.mean():>7.2f} %"
            text[frozen] += f"{100 * worst:>+7.2f} %"
        say(f"{name:<18}{text[True]}{held:>10}{text[False]}")


if __name__ == "__main__":
    main(sys.argv[1:])
