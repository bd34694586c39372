"""Gating: accuracy on expert labels, recall of blasts by therapy, and speed against FlowKit.

Run ``python benchmarks/gating.py [real|therapy|mixtures|speed]...``; all parts by default. ``real`` and ``mixtures``
need the optional shared data beside the repository. Everything is seeded; only the times differ between runs.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from flowmrd.config.run import GatingConfig, RunConfig, TransformConfig
from flowmrd.gating.gatingml import Wiring, write_gatingml
from flowmrd.gating.masks import analysable_mask, panel_columns
from flowmrd.gating.reference import GateReference
from flowmrd.gating.sample import gate_control, gate_sample
from flowmrd.gating.tree import evaluate_tree
from flowmrd.home import PANELS, REPOSITORY
from flowmrd.panel import PanelModel, load_panel
from flowmrd.quality import scatter_margin
from flowmrd.simulate.design import leukaemia_of
from flowmrd.simulate.leukaemia import Cd19, Cd22, Therapy
from flowmrd.simulate.populations import AFTER_ANTI_B
from flowmrd.simulate.tube import SimulatedTube, TubeSpec, simulate_tube
from flowmrd.stages.ingest import ingest
from flowmrd.stages.preprocess import preprocess
from flowmrd.store import open_columns
from flowmrd.transform import logicle
from flowmrd.units import LOGICLE_M, LOGICLE_T

Columns = dict[str, npt.NDArray[np.float32]]
Mask = npt.NDArray[np.bool_]
T = TypeVar("T")

SHARED = REPOSITORY.parent / "shared" / "data" / "ball"
EXPERT = (
    ("nucleated", "nucleated"),
    ("singlets", "singlets"),
    ("intact", "intact"),
    ("route_cd19", "cd19"),
    ("erythroblasts", "erythroid"),
    ("mature_b", "mature_b"),
)
THERAPIES = {
    "none": Therapy(),
    "CD19 lost": Therapy(cd19=Cd19.LOST, steroid=1.0),
    "CD19 partly lost": Therapy(cd19=Cd19.PARTIAL, steroid=1.0),
    "CD22 dim": Therapy(cd22=Cd22.DIM, steroid=1.0),
    "CD22 lost or masked": Therapy(cd22=Cd22.MASKED, steroid=1.0),
    "CD19 partly lost, CD22 dim": Therapy(cd19=Cd19.PARTIAL, cd22=Cd22.DIM, steroid=1.0),
    "both lost": Therapy(cd19=Cd19.LOST, cd22=Cd22.MASKED, steroid=1.0),
}


def say(text: str = "") -> None:
    """Write one line."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def columns_of(tube: SimulatedTube) -> Columns:
    """Columns on the 0..1 scale of a simulated tube, compensated with the true matrix."""
    cytometer = tube.cytometer
    dyes = cytometer.fluorescence
    raw = np.stack([tube.columns[d.pnn] for d in dyes]).astype(np.float64)
    linear = np.linalg.inv(cytometer.spill).T @ raw
    scatter = ("FSC-A", "FSC-H", "FSC-W", "SSC-A")
    columns: Columns = {m: (tube.columns[m] / LOGICLE_T).astype(np.float32) for m in scatter if m in tube.columns}
    for dye, values in zip(dyes, linear, strict=True):
        scale = logicle(values.astype(np.float32), LOGICLE_T, LOGICLE_M, dye.width, 0.0)
        columns[dye.marker] = np.asarray(scale, dtype=np.float32)
    return columns


def f1(ours: Mask, expert: Mask) -> float:
    """Harmonic mean of precision and recall."""
    return 2 * float(np.count_nonzero(ours & expert)) / float(np.count_nonzero(ours) + np.count_nonzero(expert))


def real(folder: Path) -> None:
    """F1 against the expert's gates of two marrows, without controls and without any setting per tube."""
    import pandas as pd

    panel = load_panel(PANELS / "vienna_b8.yaml")
    say("F1 against expert gates (analysable events; panel vienna_b8, no controls)\n")
    say(f"{'tube':<6}{'W':<10}" + "".join(f"{name:>14}" for name, _ in EXPERT) + f"{'nucleated':>14}")
    for tube in ("A", "B"):
        labels = pd.read_parquet(SHARED / "real" / f"ball_d15_{tube}.labels.parquet")
        events, record = folder / f"{tube}.events.arrow", folder / f"{tube}.json"
        ingest(SHARED / "real" / f"ball_d15_{tube}.fcs", panel=panel, sample=tube, events=events, record=record)
        for width in ("controls", "sample"):
            config = RunConfig(panel="vienna_b8", samples="-", transform=TransformConfig(width=width))
            out = folder / f"{tube}.{width}.arrow"
            preprocess(events, record, panel=panel, config=config, transforms=None, out=out, qc=folder / "qc.json")
            with open_columns(out) as store:
                columns, usable = panel_columns(store, panel), analysable_mask(store, config.quality)
                result = gate_sample(columns, panel, usable, config.gating).result
            values = [f1(result.inside(ours) & usable, labels[expert].to_numpy() & usable) for ours, expert in EXPERT]
            ratio = np.count_nonzero(result.inside("nucleated") & usable) / labels["nucleated"].sum() - 1
            label = "default" if width == "controls" else "sample"
            say(f"{tube:<6}{label:<10}" + "".join(f"{value:>14.4f}" for value in values) + f"{100 * ratio:>+13.2f}%")
    say()


def learn(panel: PanelModel, n: int = 5) -> GateReference:
    """Gates of simulated control marrows."""
    controls = []
    for i in range(n):
        columns = columns_of(simulate_tube(TubeSpec(nucleated=60_000, person_seed=100 + i), panel, 100 + i))
        controls.append(gate_control(f"control{i}", columns, panel, ~scatter_margin(columns), GatingConfig()))
    return GateReference(panel.name, panel.version, tuple(controls))


def therapy(panel_name: str, patients: int = 16) -> None:
    """Share of simulated blasts inside b_lineage, with gates frozen from controls and with gates placed on the tube."""
    panel = load_panel(PANELS / f"{panel_name}.yaml")
    reference = learn(panel)
    say(f"B-lineage recall of simulated blasts, {patients} patients, 5 % blasts, after therapy (panel {panel_name})\n")
    say(f"{'therapy':<30}{'blasts':>9}{'controls':>11}{'tube alone':>12}{'worst patient':>15}")
    for name, given in THERAPIES.items():
        found = np.zeros((patients, 3))
        for p in range(patients):
            spec = TubeSpec(
                nucleated=40_000,
                person_seed=p,
                composition=AFTER_ANTI_B,
                leukaemia=leukaemia_of(11, f"P{p}"),
                level=0.05,
                therapy=given,
            )
            tube = simulate_tube(spec, panel, 500 + p)
            columns = columns_of(tube)
            usable = ~scatter_margin(columns)
            blasts = tube.truth["mrd"] & usable
            frozen = gate_sample(columns, panel, usable, GatingConfig(), reference=reference).result
            alone = gate_sample(columns, panel, usable, GatingConfig()).result
            found[p] = [np.count_nonzero(blasts), *(r.inside("b_lineage")[blasts].sum() for r in (frozen, alone))]
        total = found.sum(axis=0)
        worst = (found[:, 1] / found[:, 0]).min()
        say(f"{name:<30}{total[0]:>9.0f}{total[1] / total[0]:>11.5f}{total[2] / total[0]:>12.5f}{worst:>15.4f}")
    say()


def mixtures(n_samples: int = 60) -> None:
    """Recall of blasts drawn from mixtures fitted to real marrows, which have no CD22, CD24 and CD66b."""
    sys.path.insert(0, str(SHARED / "mixtures"))
    from load_mixtures import Mixtures, sample_events  # type: ignore[import-not-found]

    panel = load_panel(PANELS / "vienna_b8.yaml")
    table = Mixtures(str(SHARED / "mixtures" / "mixtures_dev.npz"))
    names = [str(name) for name in table.features]
    rng = np.random.default_rng(4)
    chosen = [str(p) for p, n in zip(table.patient, table.n_events, strict=True) if n[2] > 0 and n[1] > 0]
    chosen = [chosen[i] for i in rng.permutation(len(chosen))[:n_samples]]
    rows: dict[str, list[float]] = {"as measured": [], "CD19 lost": [], "CD19 at a tenth": []}
    for patient in chosen:
        parts = [
            np.asarray(sample_events(patient, g, n, rng))
            for g, n in (("other", 30_000), ("CD19", 600), ("blast", 1500))
        ]
        other = parts[0]
        for name, values in rows.items():
            blast = parts[2].copy()
            i = names.index("CD19")
            low = other[other[:, names.index("SSC-A")] < 1.2, i]
            if name == "CD19 lost":
                blast[:, i] = rng.choice(low, len(blast))
            elif name == "CD19 at a tenth":
                blast[:, i] = np.maximum(blast[:, i] - 1.0, rng.choice(low, len(blast)))
            everything = np.concatenate([other, parts[1], blast])
            columns = {
                n: (everything[:, k] / LOGICLE_M).astype(np.float32)
                for k, n in enumerate(names[: everything.shape[1]])
                if n in panel.markers and np.isfinite(everything[:, k]).all()
            }
            result = evaluate_tree(columns, panel.gates)
            values.append(float(result.inside("b_lineage")[-len(blast) :].mean()))
    say(f"B-lineage recall of blasts from mixtures of {len(chosen)} real marrows (vienna_b8: no CD22, CD24, CD66b)\n")
    say(f"{'blasts':<20}{'mean':>9}{'median':>9}{'5th centile':>13}")
    for name, values in rows.items():
        say(f"{name:<20}{np.mean(values):>9.4f}{np.median(values):>9.4f}{np.quantile(values, 0.05):>13.4f}")
    say()


def speed(n: int = 1_000_000) -> None:
    """The full ino10 tree on n events, ours against FlowKit on the exported GatingML, same events in every gate.

    FlowKit is timed twice: on the original values with the file as exported (it compensates and transforms by itself),
    and on columns that are on the 0..1 scale already, which is what our tree starts from.
    """
    warnings.filterwarnings("ignore")
    import flowkit as fk
    import pandas as pd

    panel = load_panel(PANELS / "ino10.yaml")
    tube = simulate_tube(TubeSpec(nucleated=int(n / 1.07), person_seed=1), panel, 1)
    columns = {name: values[:n] for name, values in columns_of(tube).items() if name in panel.markers}
    usable = ~scatter_margin(columns)
    reference = learn(panel, 3)
    times: dict[str, list[float]] = {}

    def timed(label: str, call: Callable[[], T], repeats: int) -> T:
        for _ in range(repeats):
            start = time.perf_counter()
            value = call()
            times.setdefault(label, []).append(time.perf_counter() - start)
        return value

    frozen, alone = "ours, gates frozen from controls", "ours, gates placed on the tube"
    timed(frozen, lambda: gate_sample(columns, panel, usable, GatingConfig(), reference=reference), 4)
    result = timed(alone, lambda: gate_sample(columns, panel, usable, GatingConfig()).result, 4)
    dyes = tube.cytometer.fluorescence
    scales = {d.marker: {"kind": "logicle", "T": LOGICLE_T, "M": LOGICLE_M, "W": d.width, "A": 0.0} for d in dyes}
    scatter = [name for name in columns if name not in scales]
    wiring = Wiring(
        {d.marker: d.pnn for d in dyes} | {name: name for name in scatter},
        scales | {name: {"kind": "linear", "T": LOGICLE_T} for name in scatter},
        tuple(d.pnn for d in dyes),
        tuple(map(tuple, tube.cytometer.spill.tolist())),
    )
    raw = {d.pnn: tube.columns[d.pnn][:n] for d in dyes} | {name: tube.columns[name][:n] for name in scatter}
    different: list[str] = []
    for label, values, how in (
        ("as exported, on original values", raw, wiring),
        ("on 0..1 columns", columns, Wiring()),
    ):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "gates.xml"
            path.write_text(write_gatingml(result, panel.gates, how), encoding="utf-8")
            strategy = fk.parse_gating_xml(str(path))
        sample = fk.Sample(pd.DataFrame(values), sample_id="tube")
        for cached in (False, True):
            name = f"FlowKit, {label}, cache {'on' if cached else 'off'}"
            theirs = timed(name, partial(strategy.gate_sample, sample, cache_events=cached), 2)
        different += [g for g in result.names if np.any(result.inside(g) != theirs.get_gate_membership(g))]
    say(
        f"{len(panel.gates)} gates of ino10, {len(usable):,} events; gates whose events differ: {different or 'none'}\n"
    )
    ours = min(times[alone])
    for name, taken in times.items():
        say(f"{name:<58}{min(taken):>8.2f} s{min(taken) / ours:>9.1f} x")
    say()


def main(parts: list[str]) -> None:
    """Run the parts asked for."""
    have = (SHARED / "real").is_dir()
    for part in parts or ["real", "therapy", "mixtures", "speed"]:
        if part in {"real", "mixtures"} and not have:
            say(f"{part}: the optional shared data is not here\n")
        elif part == "real":
            with tempfile.TemporaryDirectory() as folder:
                real(Path(folder))
        elif part == "therapy":
            therapy("ino10")
        elif part == "mixtures":
            mixtures()
        elif part == "speed":
            speed()
        else:
            raise SystemExit(json.dumps({"unknown part": part}))


if __name__ == "__main__":
    main(sys.argv[1:])
