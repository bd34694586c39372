"""Gates on other instruments: the two expert-gated marrows after changes that another laboratory's set-up would make.

Run ``python -m benchmarks.gating_robustness [--docs] [-v] [words]`` (needs the optional shared data beside the
repository); words choose changes, ``--docs`` puts the tables into docs/methods/gating.md. Every change is made to the
raw events, which then go through preprocessing and gating as a file of that kind would; nothing is set per tube. The
expert's labels travel with the events. Printed: F1 of every population against the expert where a floor is missed
(a line for every change with ``-v``), the worst of each group of changes, and the share of blasts and of CD19-negative
cells that reach the B lineage. Everything is seeded.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks.gating import EXPERT, PAGE, SHARED
from benchmarks.pages import put_output
from flowmrd.config.run import RunConfig, TransformConfig
from flowmrd.gating.gated_columns import gate_columns
from flowmrd.home import PANELS
from flowmrd.panel import PanelModel, load_panel
from flowmrd.stages.ingest import ingest
from flowmrd.stages.preprocess import preprocess
from flowmrd.store import open_columns, read_json, write_columns, write_json
from flowmrd.tube.files import TubeFiles, tube_from_files

BD_TOP: Final = 262143.0
NAVIOS_TOP: Final = 1048576.0

FLOORS: Final = {"singlets": 0.97, "intact": 0.97, "route_cd19": 0.97, "erythroblasts": 0.90, "mature_b": 0.90}

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Marrow:
    """Raw events of a tube with what ingest knows about them, the expert's labels and how to gate it."""

    columns: dict[str, Array]
    labels: dict[str, Array]
    record: dict[str, Any]
    width: float | None = None
    drop: tuple[str, ...] = ()
    exempt: tuple[str, ...] = ()
    extra: int = field(default=0)

    @property
    def n(self) -> int:
        """Number of events."""
        return len(self.columns["FSC-A"])

    def rows(self, keep: Array) -> Marrow:
        """Some of the events."""
        return replace(
            self,
            columns={name: values[keep] for name, values in self.columns.items()},
            labels={name: values[keep] for name, values in self.labels.items()},
        )

    def ranged(self, top: float, names: tuple[str, ...]) -> Marrow:
        """The same file with another ``$PnR`` of some channels."""
        channels = [{**c, "range": top} if c["column"] in names else c for c in self.record["channels"]]
        return replace(self, record={**self.record, "channels": channels})


Change = Callable[[Marrow], Marrow]


def load(tube: str, panel: PanelModel, folder: Path) -> Marrow:
    """One of the two marrows as ingest reads it."""
    import pandas as pd

    table = pd.read_parquet(SHARED / "real" / f"ball_d15_{tube}.labels.parquet")
    events, record = folder / f"{tube}.arrow", folder / f"{tube}.json"
    ingest(SHARED / "real" / f"ball_d15_{tube}.fcs", panel=panel, sample=tube, events=events, record=record)
    with open_columns(events) as store:
        columns = {name: np.array(store[name]) for name in store.names}
    labels = {name: table[name].to_numpy() for name in table.columns if name != "event"}
    return Marrow(columns, labels, read_json(record))


def scatter(fsc: float, ssc: float, *, clip: bool) -> Change:
    """Another voltage of the scatter detectors; a real instrument clips at its top."""

    def change(tube: Marrow) -> Marrow:
        columns = dict(tube.columns)
        top = BD_TOP if clip else BD_TOP * float(2.0 ** np.ceil(np.log2(max(fsc, ssc, 1.0))))
        for name, factor in (("FSC-A", fsc), ("SSC-A", ssc)):
            # A saturated pulse is taken to be saturated at any gain: what it would have been is not known.
            values = np.where(tube.columns[name] >= BD_TOP, top, tube.columns[name] * factor)
            columns[name] = np.minimum(values, top).astype(np.float32)
        changed = replace(tube, columns=columns)
        return changed if clip else changed.ranged(top + 1, ("FSC-A", "SSC-A"))

    return change


def fluorescence(decades: dict[str, float]) -> Change:
    """Other voltages of fluorescence detectors: the compensated signals are multiplied, then spilled again."""

    def change(tube: Marrow) -> Marrow:
        spill = tube.record["spillover"]
        names, matrix = spill["detectors"], np.array(spill["matrix"], dtype=np.float64)
        raw = np.stack([tube.columns[name] for name in names]).astype(np.float64)
        dyes = np.linalg.solve(matrix.T, raw)
        for name, shift in decades.items():
            if name in names:
                dyes[names.index(name)] *= 10.0**shift
        seen = np.minimum(matrix.T @ dyes, BD_TOP)
        columns = {**tube.columns, **{name: row.astype(np.float32) for name, row in zip(names, seen, strict=True)}}
        return replace(tube, columns=columns)

    return change


def logicle(width: float) -> Change:
    """Another width of the linear region, the same on every channel."""
    return lambda tube: replace(tube, width=width)


def subsample(share: float) -> Change:
    """Fewer events."""
    return lambda tube: tube.rows(np.random.default_rng(1).random(tube.n) < share)


def without(label: str) -> Change:
    """All events of a label removed; the figure of that population means nothing then."""
    ours = {expert: mine for mine, expert in EXPERT}
    gone = {"cd19": ("route_cd19", "mature_b"), "blast": ()}.get(label, (ours.get(label, ""),))
    return lambda tube: replace(tube.rows(~tube.labels[label]), exempt=gone)


def without_granulocytes(tube: Marrow) -> Marrow:
    """A marrow whose granulocytes are gone (aplasia)."""
    return tube.rows(~(tube.columns["SSC-A"] > 0.4 * BD_TOP))


def no_width(tube: Marrow) -> Marrow:
    """A file with pulse area alone: doublets cannot be told, so singlets are not judged."""
    left = {name: values for name, values in tube.columns.items() if name != "FSC-W"}
    return replace(tube, columns=left, exempt=("singlets", "intact"))


def height(tube: Marrow) -> Marrow:
    """Pulse height instead of width: height = area / width, as both are defined, with 2 % noise."""
    width = np.maximum(tube.columns["FSC-W"].astype(np.float64), 1.0)
    rng = np.random.default_rng(2)
    values = tube.columns["FSC-A"] / (width / np.median(width)) * (1 + 0.02 * rng.standard_normal(tube.n))
    left = {name: column for name, column in tube.columns.items() if name != "FSC-W"}
    return replace(tube, columns={**left, "FSC-H": np.minimum(values, BD_TOP).astype(np.float32)})


def navios(tube: Marrow) -> Marrow:
    """Integers of 20 bits in fluorescence, of 10 bits in scatter, height instead of width, values as ``FS INT`` etc."""
    tube = height(tube)
    columns = dict(tube.columns)
    dyes = tuple(name for name in columns if not name.startswith(("FSC", "SSC", "Time")))
    for name in dyes:
        columns[name] = np.floor(np.clip(columns[name], 0, None) * 4.0).astype(np.float32)
    shape = ("FSC-A", "FSC-H", "SSC-A")
    for name in shape:
        columns[name] = np.floor(columns[name] / 256.0).astype(np.float32)
    return replace(tube, columns=columns).ranged(NAVIOS_TOP, dyes).ranged(1024.0, shape)


def navios_wide(tube: Marrow) -> Marrow:
    """Twenty bits everywhere, lower gain of forward scatter as such instruments are set."""
    tube = height(tube)
    columns = dict(tube.columns)
    for name, values in columns.items():
        if name != "Time":
            factor = 2.0 if name.startswith("FSC") else 4.0
            scaled = np.where(values >= BD_TOP, NAVIOS_TOP - 1, np.floor(values * factor))
            columns[name] = scaled.astype(np.float32)
    return replace(tube, columns=columns).ranged(NAVIOS_TOP, tuple(name for name in columns if name != "Time"))


def _append(tube: Marrow, rows: dict[str, Array], label: dict[str, Array]) -> Marrow:
    columns = {name: np.concatenate([values, rows[name].astype(np.float32)]) for name, values in tube.columns.items()}
    labels = {name: np.concatenate([values, label[name]]) for name, values in tube.labels.items()}
    order = np.random.default_rng(3).permutation(len(columns["FSC-A"]))
    return replace(tube, columns=columns, labels=labels).rows(order)


def debris(share: float) -> Change:
    """Small particles without a nucleus: low scatter, autofluorescence alone."""

    def change(tube: Marrow) -> Marrow:
        rng, m = np.random.default_rng(4), round(share * tube.n)
        rows = {name: rng.normal(40.0, 60.0, m) for name in tube.columns}
        rows["FSC-A"] = np.exp(rng.normal(np.log(11_000.0), 0.35, m))
        rows["SSC-A"] = np.exp(rng.normal(np.log(12_000.0), 0.6, m))
        rows["FSC-W"] = rng.normal(52_000.0, 3_000.0, m)
        rows["SYTO41"] = np.exp(rng.normal(np.log(400.0), 0.5, m))
        rows["Time"] = rng.choice(tube.columns["Time"], m)
        return _append(tube, rows, {name: np.zeros(m, dtype=np.bool_) for name in tube.labels})

    return change


def doublets(share: float) -> Change:
    """Two cells at a time: their light added, the pulse 1.4 to 1.8 times as wide."""

    def change(tube: Marrow) -> Marrow:
        rng, m = np.random.default_rng(5), round(share * tube.n)
        cells = np.flatnonzero(tube.labels["intact"])
        first, second = rng.choice(cells, m), rng.choice(cells, m)
        rows = {name: values[first].astype(np.float64) + values[second] for name, values in tube.columns.items()}
        rows = {name: np.minimum(values, BD_TOP) for name, values in rows.items()}
        wide = tube.columns["FSC-W"]
        rows["FSC-W"] = np.maximum(wide[first], wide[second]) * rng.uniform(1.4, 1.8, m)
        rows["Time"] = tube.columns["Time"][first]
        label = {name: np.zeros(m, dtype=np.bool_) for name in tube.labels}
        label["nucleated"][:] = True
        return _append(tube, rows, label)

    return change


def no_dye(tube: Marrow) -> Marrow:
    """The same cells without a nucleic acid dye; the expert's nucleated cells remain the truth."""
    return replace(tube, drop=("SYTO41",))


def changes(markers: tuple[str, ...]) -> Iterator[tuple[str, str, Change]]:
    """Group, name and change."""
    yield "as measured", "none", lambda tube: tube
    for factor in (0.4, 0.6, 0.8, 1.3, 1.6, 2.0, 2.5):
        for fsc, ssc, what in ((factor, 1.0, "FSC"), (1.0, factor, "SSC"), (factor, factor, "both")):
            yield "scatter, wider range", f"{what} x {factor}", scatter(fsc, ssc, clip=False)
            if factor < 2:
                yield "scatter, clipped", f"{what} x {factor}", scatter(fsc, ssc, clip=True)
    for marker in markers:
        for shift in (-0.3, 0.3):
            yield "one voltage", f"{marker} {shift:+.1f}", fluorescence({marker: shift})
    for seed in range(12):
        draw = np.random.default_rng(100 + seed).uniform(-0.3, 0.3, len(markers))
        yield "all voltages", f"draw {seed}", fluorescence(dict(zip(markers, draw.tolist(), strict=True)))
    for shift in (-0.3, 0.3):
        yield "all voltages", f"all {shift:+.1f}", fluorescence(dict.fromkeys(markers, shift))
    for width in (0.0, 0.25, 0.5, 1.0, 1.25, 1.5, 1.75):
        yield "logicle", f"W = {width}", logicle(width)
    for share in (0.2, 0.05, 0.02):
        yield "fewer events", f"{100 * share:g} %", subsample(share)
    yield "pulse shape", "no width", no_width
    yield "pulse shape", "height", height
    yield "instrument", "Navios, 10-bit scatter", navios
    yield "instrument", "Navios, 20-bit", navios_wide
    for share in (0.05, 0.3, 1.0):
        yield "debris", f"+ {100 * share:g} %", debris(share)
    for share in (0.05, 0.15):
        yield "doublets", f"+ {100 * share:g} %", doublets(share)
    for label in ("blast", "mature_b", "cd19", "erythroid"):
        yield "cells gone", f"no {label}", without(label)
    yield "cells gone", "no granulocytes", without_granulocytes
    yield "no nucleic acid dye", "none", no_dye


def without_dye(panel: PanelModel) -> PanelModel:
    """The panel with nucleated cells by scatter and antigens, as a laboratory without the dye would write it."""
    gates = []
    for gate in panel.gates:
        data = gate.model_dump(mode="json")
        if gate.name == "nucleated":
            continue
        if data["parent"] == "nucleated":
            data["parent"] = "root"
        gates.append(data)
        if gate.name == "intact":
            gates.append({"name": "nucleated", "parent": "intact", "method": "boolean", "all_of": ["intact"]})
    channels = [c.model_dump(mode="json") for c in panel.channels if c.marker != "SYTO41"]
    data = {**panel.model_dump(mode="json"), "channels": channels, "gates": gates}
    return PanelModel.model_validate(data)


def measure(tube: Marrow, panel: PanelModel, folder: Path) -> dict[str, float]:
    """F1 by population, relative error of the nucleated count, B-lineage recall of blasts and share of others in it."""
    if tube.drop:
        panel = without_dye(panel)
    events, record, out = folder / "e.arrow", folder / "e.json", folder / "p.arrow"
    write_columns(events, tube.columns)
    write_json(record, tube.record)
    settings = TransformConfig() if tube.width is None else TransformConfig(width="fixed", default_width=tube.width)
    config = RunConfig(panel=panel.name, samples="-", transform=settings)
    preprocess(events, record, panel=panel, config=config, transforms=None, out=out, qc=folder / "qc.json")
    made = tube_from_files(TubeFiles(out.stem, out), panel, config)
    usable = made.analysable()
    result = gate_columns(made.measured, panel, usable, config.gating, scales=made.scales).result
    found: dict[str, float] = {}
    for mine, theirs in EXPERT:
        if mine in tube.exempt or (tube.drop and mine in {"nucleated"}):
            found[mine] = np.nan
            continue
        a, b = result.inside(mine) & usable, tube.labels[theirs] & usable
        size = int(a.sum()) + int(b.sum())
        found[mine] = 2 * int((a & b).sum()) / size if size else np.nan
    # Without the dye doublets are not part of the nucleated cells, and so not of the truth.
    truth = int((tube.labels["singlets" if tube.drop else "nucleated"] & usable).sum())
    found["count"] = int((result.inside("nucleated") & usable).sum()) / max(truth, 1) - 1
    lineage = result.inside("possible_b_lineage") & usable
    blasts = tube.labels["blast"] & usable
    others = tube.labels["intact"] & ~tube.labels["cd19"] & usable
    found["blasts"] = int((lineage & blasts).sum()) / max(int(blasts.sum()), 1) if blasts.any() else np.nan
    found["others"] = int((lineage & others).sum()) / max(int(others.sum()), 1)
    return found


def main(arguments: list[str]) -> None:
    """Measure every change on both tubes; with ``-v`` one line for each."""
    if not (SHARED / "real").is_dir():
        raise SystemExit("the optional shared data is not here")
    if "--docs" in arguments:
        put_output(PAGE, "gating other instruments", lambda: survey([]))
    else:
        survey(arguments)


def survey(arguments: list[str]) -> None:
    """Measure the changes that the words of ``arguments`` choose."""
    panel = load_panel(PANELS / "vienna_b8.yaml")
    names = [name for name, _ in EXPERT] + ["count", "blasts", "others"]
    worst: dict[tuple[str, str], dict[str, tuple[float, str]]] = {}
    wanted = [a for a in arguments if not a.startswith("-")]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        markers = tuple(c.marker for c in panel.channels if c.kind in {"antibody", "nucleic_acid"} and c.required)
        tubes = {name: load(name, panel, folder) for name in ("A", "B")}
        say(f"{'change':<42}" + "".join(f"{name[:9]:>10}" for name in names))
        for group, what, change in changes(markers):
            if wanted and not any(w in f"{group}: {what}" for w in wanted):
                continue
            for name, tube in tubes.items():
                found = measure(change(tube), panel, folder)
                low = [n for n, floor in FLOORS.items() if found[n] < floor] + (
                    ["count"] if abs(found["count"]) > 0.02 else []
                )
                if "-v" in arguments or low:
                    text = "".join(f"{found[n]:>10.4f}" for n in names)
                    say(f"{name} {group[:22] + ': ' + what:<40}{text}  {' '.join(low)}")
                entry = worst.setdefault((group, name), {})
                for n in names:
                    bad = {"count": abs(found[n]), "others": found[n]}.get(n, -found[n])
                    if not np.isnan(bad) and (n not in entry or bad > entry[n][0]):
                        entry[n] = (bad, what)
    say("\nWorst of each group")
    say(f"{'change':<26}{'tube':<6}" + "".join(f"{name[:9]:>10}" for name in names))
    for (group, name), entry in worst.items():
        text = "".join(f"{abs(entry[n][0]) if n in entry else np.nan:>10.4f}" for n in names)
        say(f"{group:<26}{name:<6}{text}")


def say(text: str = "") -> None:
    """Write one line."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
