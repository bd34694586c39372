"""Gating: accuracy on expert labels and on simulated truth, recall of blasts by therapy, speed against FlowKit.

Run ``python -m benchmarks.gating [--docs] [real|therapy|leukaemias|populations|mixtures|speed]...``; all parts by
default; ``--docs`` puts the tables into docs/methods/gating.md. ``real`` and ``mixtures`` need the optional shared
data beside the repository. Everything is seeded; only the times differ between runs. Other instruments and stainings:
``benchmarks.gating_robustness`` and ``benchmarks.gating_drift``.
"""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from benchmarks.pages import put_output
from flowmrd.config.run import GatingConfig, RunConfig, TransformConfig
from flowmrd.gating.gated_columns import gate_columns, gate_control, tube_landmark
from flowmrd.gating.gatingml import ColumnOrigin, write_gatingml
from flowmrd.gating.populations import assign, code_table
from flowmrd.gating.reference import GateReference
from flowmrd.gating.tree import GateResult
from flowmrd.home import PANELS, REPOSITORY
from flowmrd.panel import PanelModel, load_panel
from flowmrd.preprocess.quality import scatter_margin
from flowmrd.preprocess.transform import ChannelScale, logicle
from flowmrd.simulate.design import leukaemia_of
from flowmrd.simulate.leukaemia import Cd19, Cd22, Component, Leukaemia, Therapy
from flowmrd.simulate.populations import ADULT, AFTER_ANTI_B, DISEASED, REGENERATING, SIGNALS, Code, Composition
from flowmrd.simulate.tube import SimulatedTube, TubeSpec, simulate_tube
from flowmrd.stages.ingest import ingest
from flowmrd.stages.preprocess import preprocess
from flowmrd.tube.files import TubeFiles, tube_from_files
from flowmrd.units import LOGICLE_M, LOGICLE_T

Columns = dict[str, npt.NDArray[np.float32]]
Mask = npt.NDArray[np.bool_]
T = TypeVar("T")

PAGE: Final = REPOSITORY / "docs" / "methods" / "gating.md"
SHARED: Final = REPOSITORY.parent / "shared" / "data" / "ball"
EXPERT: Final = (
    ("nucleated", "nucleated"),
    ("singlets", "singlets"),
    ("intact", "intact"),
    ("route_cd19", "cd19"),
    ("erythroblasts", "erythroid"),
    ("mature_b", "mature_b"),
)
THERAPIES: Final = {
    "none": Therapy(),
    "CD19 lost": Therapy(cd19=Cd19.LOST, steroid=1.0),
    "CD19 partly lost": Therapy(cd19=Cd19.PARTIAL, steroid=1.0),
    "CD22 dim": Therapy(cd22=Cd22.DIM, steroid=1.0),
    "CD22 lost or masked": Therapy(cd22=Cd22.MASKED, steroid=1.0),
    "CD19 partly lost, CD22 dim": Therapy(cd19=Cd19.PARTIAL, cd22=Cd22.DIM, steroid=1.0),
    "both lost": Therapy(cd19=Cd19.LOST, cd22=Cd22.MASKED, steroid=1.0),
}
PHENOTYPES: Final[dict[str, dict[str, float]]] = {
    "CD10- CD34-": {"CD10": 1.05, "CD34": 1.15},
    "CD10- CD34- CD24-": {"CD10": 1.05, "CD34": 1.15, "CD24": 1.1},
    "CD45-": {"CD45": 1.3},
    "CD45 as on lymphocytes": {"CD45": 3.5},
    "CD22 low": {"CD22": 1.5},
}
"""Mean of all blasts of a leukaemia on some markers, decades; everything else stays as drawn."""

POPULATIONS: Final = {
    "t_nk": (Code.T_NK,),
    "granulocytes": (Code.NEUTROPHIL, Code.IMMATURE_GRANULOCYTE),
    "monocytes": (Code.MONOCYTE,),
    "erythroblasts": (Code.ERYTHROBLAST,),
    "basophil_pdc": (Code.BASOPHIL, Code.PDC),
    "cd34_myeloid": (Code.MYELOBLAST,),
    "early_cd34_cd22": (Code.EARLY_PROGENITOR,),
    "haematogones_1": (Code.HAEMATOGONE_1,),
    "haematogones_2": (Code.HAEMATOGONE_2,),
    "haematogones_3": (Code.HAEMATOGONE_3,),
    "mature_b": (Code.MATURE_B,),
    "plasma_cells": (Code.PLASMA_CELL,),
}
B_CELLS: Final = (
    Code.EARLY_PROGENITOR, Code.HAEMATOGONE_1, Code.HAEMATOGONE_2, Code.HAEMATOGONE_3, Code.MATURE_B, Code.PLASMA_CELL,
    Code.LEUKAEMIC,
)  # fmt: skip


def say(text: str = "") -> None:
    """Write one line."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


@dataclass(frozen=True)
class Tube:
    """A simulated tube on the 0..1 scale, compensated with the true matrix."""

    raw: SimulatedTube
    columns: Columns
    scales: Mapping[str, ChannelScale]

    @property
    def usable(self) -> Mask:
        """Events whose forward scatter is not clipped."""
        return ~scatter_margin(self.columns)

    @property
    def normal(self) -> Mask:
        """Nucleated single cells that are neither leukaemic nor of the B lineage."""
        truth = self.raw.truth
        cells = truth["nucleated"] & ~truth["doublet"] & ~truth["leukaemic"] & self.usable
        return np.asarray(cells & ~np.isin(truth["population"], B_CELLS))

    def gate(self, panel: PanelModel, reference: GateReference | None = None) -> GateResult:
        """The panel's gates."""
        return gate_columns(
            self.columns, panel, self.usable, GatingConfig(), reference=reference, scales=self.scales
        ).result


def make(spec: TubeSpec, panel: PanelModel, seed: int) -> Tube:
    """Simulate a tube and bring it to the 0..1 scale."""
    tube = simulate_tube(spec, panel, seed)
    dyes = tube.cytometer.fluorescence
    raw = np.stack([tube.columns[d.pnn] for d in dyes]).astype(np.float64)
    linear = np.linalg.inv(tube.cytometer.spill).T @ raw
    scatter = ("FSC-A", "FSC-H", "FSC-W", "SSC-A")
    columns: Columns = {m: (tube.columns[m] / LOGICLE_T).astype(np.float32) for m in scatter if m in tube.columns}
    scales = {d.marker: ChannelScale("logicle", LOGICLE_T, LOGICLE_M, d.width) for d in dyes}
    for dye, values in zip(dyes, linear, strict=True):
        scaled = logicle(values.astype(np.float32), LOGICLE_T, LOGICLE_M, dye.width, 0.0)
        columns[dye.marker] = np.asarray(scaled, dtype=np.float32)
    return Tube(tube, columns, scales)


def f1(ours: Mask, expert: Mask) -> float:
    """Harmonic mean of precision and recall; NaN where neither holds an event."""
    size = float(np.count_nonzero(ours) + np.count_nonzero(expert))
    return 2 * float(np.count_nonzero(ours & expert)) / size if size else np.nan


def real(folder: Path) -> None:
    """F1 against the expert's gates of two marrows, without controls and without any setting per tube."""
    import pandas as pd

    panel = load_panel(PANELS / "vienna_b8.yaml")
    say("F1 against expert gates (analysable events; panel vienna_b8, no controls)\n")
    say(f"{'tube':<6}{'W':<10}" + "".join(f"{name:>14}" for name, _ in EXPERT) + f"{'nucleated':>14}{'blasts':>10}")
    for tube in ("A", "B"):
        labels = pd.read_parquet(SHARED / "real" / f"ball_d15_{tube}.labels.parquet")
        events, record = folder / f"{tube}.events.arrow", folder / f"{tube}.json"
        ingest(SHARED / "real" / f"ball_d15_{tube}.fcs", panel=panel, sample=tube, events=events, record=record)
        for width in ("controls", "sample"):
            config = RunConfig(panel="vienna_b8", samples="-", transform=TransformConfig(width=width))
            out = folder / f"{tube}.{width}.arrow"
            preprocess(events, record, panel=panel, config=config, transforms=None, out=out, qc=folder / "qc.json")
            made = tube_from_files(TubeFiles(out.stem, out), panel, config)
            usable = made.analysable()
            result = gate_columns(made.measured, panel, usable, config.gating, scales=made.scales).result
            of_expert = {name: labels[name].to_numpy() & usable for _, name in EXPERT}
            of_expert["nucleated"] &= of_expert["singlets"]  # ours are counted among single cells
            values = [f1(result.inside(ours) & usable, of_expert[expert]) for ours, expert in EXPERT]
            ratio = np.count_nonzero(result.inside("nucleated") & usable) / of_expert["nucleated"].sum() - 1
            recall = result.inside("possible_b_lineage")[labels["blast"].to_numpy() & usable].mean()
            label = "default" if width == "controls" else "sample"
            cells = "".join(f"{value:>14.4f}" for value in values)
            say(f"{tube:<6}{label:<10}{cells}{100 * ratio:>+13.2f}%{recall:>10.4f}")
    say()


def learn(panel: PanelModel, n: int = 6) -> GateReference:
    """Gates of simulated control marrows, every third of which regenerates."""
    tubes = [
        make(
            TubeSpec(nucleated=60_000, person_seed=100 + i, composition=REGENERATING if i % 3 == 2 else ADULT),
            panel,
            100 + i,
        )
        for i in range(n)
    ]
    found = [tube_landmark(tube.columns, panel, tube.usable, tube.scales).factors for tube in tubes]
    factors = {name: float(np.median([entry[name] for entry in found])) for name in panel.landmark}
    controls = [
        gate_control(f"control{i}", t.columns, panel, t.usable, GatingConfig(), scales=t.scales, factors=factors)
        for i, t in enumerate(tubes)
    ]
    return GateReference(panel.name, panel.version, tuple(controls))


@dataclass
class Recall:
    """Blasts inside possible_b_lineage and what else is, over patients; gates from controls and placed on the tube."""

    blasts: list[int]
    frozen: list[int]
    alone: list[int]
    others: list[float]

    def line(self) -> str:
        """Columns of the tables of recall."""
        n, frozen, alone = (np.array(values) for values in (self.blasts, self.frozen, self.alone))
        each = np.minimum(frozen, alone) / n
        return (
            f"{n.sum():>9}{frozen.sum() / n.sum():>11.5f}{alone.sum() / n.sum():>12.5f}{each.min():>9.4f}"
            f"{np.quantile(each, 0.05):>9.4f}{np.count_nonzero(each < 0.99):>7}{100 * np.mean(self.others):>9.2f} %"
        )


RECALL_HEAD: Final = f"{'blasts':>9}{'controls':>11}{'tube alone':>12}{'worst':>9}{'5 %':>9}{'<0.99':>7}{'others':>11}"


def recall(
    panel: PanelModel, reference: GateReference, given: Therapy, leukaemias: Iterator[Leukaemia], seed: int
) -> Recall:
    """Recall over leukaemias, each in a marrow of its own as after anti-B-cell therapy."""
    found = Recall([], [], [], [])
    for p, leukaemia in enumerate(leukaemias):
        spec = TubeSpec(
            nucleated=15_000,
            person_seed=seed + p,
            composition=AFTER_ANTI_B,
            leukaemia=leukaemia,
            level=0.06,
            therapy=given,
        )
        tube = make(spec, panel, seed + 500 + p)
        blasts = tube.raw.truth["mrd"] & tube.usable
        frozen, alone = (
            tube.gate(panel, reference).inside("possible_b_lineage"),
            tube.gate(panel).inside("possible_b_lineage"),
        )
        found.blasts.append(int(np.count_nonzero(blasts)))
        found.frozen.append(int(np.count_nonzero(frozen & blasts)))
        found.alone.append(int(np.count_nonzero(alone & blasts)))
        found.others.append(float(frozen[tube.normal].mean()))
    return found


def therapy(panel_name: str, patients: int = 120) -> None:
    """Share of simulated blasts inside possible_b_lineage by therapy."""
    panel = load_panel(PANELS / f"{panel_name}.yaml")
    reference = learn(panel)
    say(f"B-lineage recall of simulated blasts, {patients} leukaemias, after therapy (panel {panel_name})")
    say("worst, 5 % and <0.99: by patient, the worse of both ways; others: normal cells of no B lineage inside\n")
    say(f"{'therapy':<30}{RECALL_HEAD}")
    for name, given in THERAPIES.items():
        drawn = (leukaemia_of(11 + p // 40, f"P{p}") for p in range(patients))
        say(f"{name:<30}{recall(panel, reference, given, drawn, 0).line()}")
    say()


def with_means(leukaemia: Leukaemia, means: Mapping[str, float]) -> Leukaemia:
    """The leukaemia with another mean of all its blasts on some markers (decades)."""
    overall = sum(c.weight * c.mean for c in leukaemia.components)
    components = []
    for component in leukaemia.components:
        mean = component.mean.copy()
        for marker, level in means.items():
            i = SIGNALS.index(marker)
            mean[i] += level - np.asarray(overall)[i]
        components.append(Component(component.weight, mean, component.sd))
    return replace(leukaemia, components=tuple(components))


def leukaemias(panel_name: str, patients: int = 30) -> None:
    """Recall of phenotypes that leave few routes, with CD19, CD22 or both gone."""
    panel = load_panel(PANELS / f"{panel_name}.yaml")
    reference = learn(panel)
    say(f"B-lineage recall of hard phenotypes, {patients} leukaemias each (panel {panel_name})\n")
    say(f"{'phenotype':<26}{'therapy':<28}{RECALL_HEAD}")
    for phenotype, means in PHENOTYPES.items():
        for name in ("none", "CD19 lost", "CD22 lost or masked", "CD19 partly lost, CD22 dim", "both lost"):
            drawn = (with_means(leukaemia_of(11, f"P{p}"), means) for p in range(patients))
            say(f"{phenotype:<26}{name:<28}{recall(panel, reference, THERAPIES[name], drawn, 7000).line()}")
    say()


def populations(panel_name: str, tubes: int = 8) -> None:
    """Precision and recall of every population against the simulator's truth, gates from controls."""
    panel = load_panel(PANELS / f"{panel_name}.yaml")
    reference = learn(panel)
    say(f"Populations against the simulator's truth, {tubes} tubes each, gates from controls (panel {panel_name})\n")
    say(f"{'population':<20}" + "".join(f"{name:>32}" for name in COMPOSITIONS))
    say(f"{'':<20}" + f"{'truth':>10}{'count':>8}{'recall':>7}{'prec.':>7}" * len(COMPOSITIONS))
    rows: dict[str, list[str]] = {}
    for composition in COMPOSITIONS.values():
        counts: dict[str, npt.NDArray[Any]] = {}
        for i in range(tubes):
            spec = TubeSpec(nucleated=60_000, person_seed=300 + i, composition=composition)
            for name, entry in _population_counts(make(spec, panel, 300 + i), panel, reference).items():
                counts[name] = counts.get(name, 0) + entry
        for name, (truth, count, hit) in counts.items():
            text = f"{truth:>10}{count:>8}"
            text += f"{hit / truth:>7.3f}" if truth >= 50 else f"{'-':>7}"
            rows.setdefault(name, []).append(text + (f"{hit / count:>7.3f}" if count >= 50 else f"{'-':>7}"))
    for name, texts in rows.items():
        say(f"{name:<20}" + "".join(texts))
    say()


COMPOSITIONS: Final[dict[str, Composition]] = {
    "adult": ADULT,
    "regenerating": REGENERATING,
    "after anti-B": AFTER_ANTI_B,
    "diseased": DISEASED,
}


def _population_counts(tube: Tube, panel: PanelModel, reference: GateReference) -> dict[str, npt.NDArray[Any]]:
    """Population to events in truth, as named, in both."""
    result, usable, truth = tube.gate(panel, reference), tube.usable, tube.raw.truth
    codes, table = assign(result, panel.gates), code_table(panel.gates)
    single = ~truth["doublet"] & usable
    pairs = {
        "singlets": (single, result.inside("singlets") & usable),
        "nucleated": (truth["nucleated"] & single, result.inside("nucleated") & usable),
    }
    for name, members in POPULATIONS.items():
        if name in table:
            pairs[name] = (np.isin(truth["population"], members) & single, (codes == table[name]) & usable)
    return {
        name: np.array([np.count_nonzero(a), np.count_nonzero(b), np.count_nonzero(a & b)])
        for name, (a, b) in pairs.items()
    }


def mixtures(most: int | None = None) -> None:
    """CD19+ against the laboratory's groups, and recall of blasts, on tubes drawn from mixtures of real marrows."""
    sys.path.insert(0, str(SHARED / "mixtures"))
    from load_mixtures import Mixtures  # type: ignore[import-not-found]

    panel = load_panel(PANELS / "vienna_b8.yaml")
    table = Mixtures(str(SHARED / "mixtures" / "mixtures_dev.npz"))
    names = [str(name) for name in table.features]
    cd19, side = names.index("CD19"), names.index("SSC-A")
    scores: list[float] = []
    recalls: dict[str, list[float]] = {"as measured": [], "CD19 at a tenth": [], "CD19 lost": []}
    others: list[float] = []
    for row, patient in enumerate(table.patient[:most]):
        rng = np.random.default_rng([4, row])
        have = [g for g in range(3) if np.any((table.comp_patient == row) & (table.comp_group == g))]
        sizes = {0: 30_000, 1: 900, 2: 1500}
        parts = [table.sample_events(str(patient), table.groups[g], sizes[g], rng) for g in have]
        group = np.repeat(have, [sizes[g] for g in have])
        everything = np.concatenate(parts)
        low = everything[(group == 0) & (everything[:, side] < 1.2), cd19]
        for name, found in recalls.items():
            values = everything.copy()
            blast = group == 2
            if name != "as measured":
                if not blast.any():
                    continue
                background = rng.choice(low, np.count_nonzero(blast))
                dim = values[blast, cd19] - 1.0
                values[blast, cd19] = background if name == "CD19 lost" else np.maximum(dim, background)
            columns = {
                n: (values[:, k] / LOGICLE_M).astype(np.float32)
                for k, n in enumerate(names[: values.shape[1]])
                if n in panel.markers
            }
            result = gate_columns(columns, panel, np.ones(len(group), dtype=np.bool_), GatingConfig()).result
            window = result.inside("possible_b_lineage")
            if blast.any():
                found.append(float(window[blast].mean()))
            if name == "as measured":
                others.append(float(window[group == 0].mean()))
                if table.b_group_ok[row]:
                    scores.append(f1(result.inside("route_cd19"), group > 0))
    say(f"{len(others)} tubes drawn from mixtures of real marrows, no controls (vienna_b8: no CD22, CD24, CD66b)\n")
    quantiles = (0.05, 0.25, 0.5, 0.75)
    say(f"{'':<34}{'tubes':>7}{'mean':>9}" + "".join(f"{100 * q:>7.0f} %" for q in quantiles))
    for label, values_ in (
        ("F1 of CD19+ against the laboratory", scores),
        *((f"recall of blasts, {name}", found) for name, found in recalls.items()),
        ("CD19- cells inside possible_b_lineage", others),
    ):
        cells = "".join(f"{np.quantile(values_, q):>9.4f}" for q in quantiles)
        say(f"{label:<34}{len(values_):>7}{np.mean(values_):>9.4f}{cells}")
    say()


def speed(n: int = 1_000_000) -> None:
    """The full ino10 tree on n events, ours against FlowKit on the exported GatingML, same events in every gate.

    Times are processor seconds of this process, which other work on the machine does not stretch. FlowKit is timed
    twice: on the original values with the file as exported (it compensates and transforms by itself), and on columns
    that are on the 0..1 scale already, which is what our tree starts from.
    """
    warnings.filterwarnings("ignore")
    import flowkit as fk
    import pandas as pd

    panel = load_panel(PANELS / "ino10.yaml")
    made = make(TubeSpec(nucleated=int(n / 1.07), person_seed=1), panel, 1)
    tube = made.raw
    columns = {name: values[:n] for name, values in made.columns.items() if name in panel.markers}
    usable = ~scatter_margin(columns)
    reference = learn(panel, 3)
    times: dict[str, list[float]] = {}

    def timed(label: str, call: Callable[[], T], repeats: int) -> T:
        for _ in range(repeats):
            start = time.process_time()
            value = call()
            times.setdefault(label, []).append(time.process_time() - start)
        return value

    frozen, alone = "ours, gates frozen from controls", "ours, gates placed on the tube"
    timed(frozen, lambda: gate_columns(columns, panel, usable, GatingConfig(), reference=reference), 4)
    result = timed(alone, lambda: gate_columns(columns, panel, usable, GatingConfig()).result, 4)
    dyes = tube.cytometer.fluorescence
    scales = {d.marker: ChannelScale("logicle", LOGICLE_T, LOGICLE_M, d.width, 0.0) for d in dyes}
    scatter = [name for name in columns if name not in scales]
    origin = ColumnOrigin(
        {d.marker: d.pnn for d in dyes} | {name: name for name in scatter},
        scales | {name: ChannelScale("linear", LOGICLE_T) for name in scatter},
        tuple(d.pnn for d in dyes),
        tuple(map(tuple, tube.cytometer.spill.tolist())),
    )
    raw = {d.pnn: tube.columns[d.pnn][:n] for d in dyes} | {name: tube.columns[name][:n] for name in scatter}
    different: list[str] = []
    for label, values, how in (
        ("as exported, on original values", raw, origin),
        ("on 0..1 columns", columns, ColumnOrigin()),
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


def _real() -> None:
    with tempfile.TemporaryDirectory() as folder:
        real(Path(folder))


PARTS: Final[dict[str, Callable[[], None]]] = {
    "real": _real,
    "therapy": partial(therapy, "ino10"),
    "leukaemias": partial(leukaemias, "ino10"),
    "populations": partial(populations, "ino10"),
    "mixtures": mixtures,
    "speed": speed,
}


def main(arguments: list[str]) -> None:
    """Run the parts asked for."""
    parts = [a for a in arguments if a != "--docs"]
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        raise SystemExit(f"unknown: {', '.join(unknown)}; parts are {', '.join(PARTS)}")
    for part in parts or PARTS:
        if part in {"real", "mixtures"} and not (SHARED / "real").is_dir():
            say(f"{part}: the optional shared data is not here\n")
        elif "--docs" in arguments:
            put_output(PAGE, f"gating {part}", PARTS[part])
        else:
            PARTS[part]()


if __name__ == "__main__":
    main(sys.argv[1:])
