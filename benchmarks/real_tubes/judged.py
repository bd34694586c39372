"""One recorded tube taken through the product, and the answer beside the expert's gates.

The panel file is drafted by ``flowmrd panel new`` and not touched. By default the same functions that a run calls are
called here, and the spike-in tries one kind of leukaemia instead of 14; ``whole`` starts the commands instead.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks.real_tubes.instruments import Instrument, record
from benchmarks.real_tubes.labelled import LabelledTube
from flowmrd.classifier.control_judgement import build_judged_reference
from flowmrd.classifier.judge_tube import classifier_parameters, classify
from flowmrd.classifier.laip_of_tubes import find_laip
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.tube_candidates import candidates
from flowmrd.cli.check import check_run
from flowmrd.cli.panel_new import new_panel
from flowmrd.config import RunConfig
from flowmrd.config.sheet import PriorTherapy
from flowmrd.errors import FlowmrdError, InputError
from flowmrd.home import REPOSITORY
from flowmrd.mrd.quantify import quantify
from flowmrd.panel import load_panel
from flowmrd.stages.provisional_controls import simulated_controls
from flowmrd.store import read_json, write_text
from flowmrd.tube import Tube
from flowmrd.tube.gate import gate, gates_of_controls
from flowmrd.tube.preprocess import preprocess
from flowmrd.tube.read import read_tube
from flowmrd.tube.transforms import transforms_of_controls

Record = dict[str, Any]
Mask = npt.NDArray[np.bool_]

PANEL: Final = "drafted"
TUBE: Final = "TUBE"


@dataclass(frozen=True)
class Scene:
    """What a run is made of.

    Attributes
    ----------
    instrument
        Records the tube.
    controls
        Marrows of other persons.
    sound
        Records the controls, where it is another than the tube's.
    diagnosis
        A diagnosis tube of the patient, if there is one.
    """

    tube: LabelledTube
    instrument: Instrument
    controls: tuple[LabelledTube, ...] = ()
    sound: Instrument | None = None
    diagnosis: LabelledTube | None = None


def written(scene: Scene, folder: Path) -> None:
    """Make the run directory: tubes, sheet, configuration."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "fcs").mkdir(parents=True)
    rows = ["sample\tpatient\trole\tfcs"]
    sound = scene.sound or scene.instrument
    for number, tube in enumerate(scene.controls):
        record(folder / "fcs" / f"C{number}.fcs", tube, sound, np.random.default_rng([11, number]))
        rows.append(f"C{number}\tC{number}\tcontrol\t../fcs/C{number}.fcs")
    if scene.diagnosis is not None:
        record(folder / "fcs" / "DX.fcs", scene.diagnosis, sound, np.random.default_rng([13]))
        rows.append("DX\tP\tdiagnosis\t../fcs/DX.fcs")
    record(folder / "fcs" / f"{TUBE}.fcs", scene.tube, scene.instrument, np.random.default_rng([12]))
    rows.append(f"{TUBE}\tP\tfollowup\t../fcs/{TUBE}.fcs")
    write_text(folder / "config" / "samples.tsv", "\n".join(rows) + "\n")
    given = "" if scene.instrument.keyword else f"compensation: {{source: csv, csv: {{default: ../fcs/{TUBE}.csv}}}}\n"
    write_text(folder / "config" / "config.yaml", f"panel: {PANEL}\nsamples: config/samples.tsv\n{given}")


def judge(scene: Scene, folder: Path, *, whole: bool = False, gates_only: bool = False, keep: bool = False) -> Record:
    """Record the tubes, draft the panel from the first control (the tube itself without controls), check and run.

    Parameters
    ----------
    whole
        Run the commands of the product instead of the functions behind them.
    gates_only
        Stop after gating.
    keep
        Keep the files.
    """
    written(scene, folder)
    first = folder / "fcs" / ("C0.fcs" if scene.controls else f"{TUBE}.fcs")
    found: Record = {}
    try:
        errors, told = new_panel(PANEL, [first], folder / "panels")
        found["panel"] = "draft" if errors == 0 else f"draft with {errors} errors"
        found["base"] = next((line.split("gates of ")[1].split(",")[0] for line in told if "gates of " in line), "")
        write_text(folder / "panel.txt", "\n".join(told) + "\n")
    except InputError as error:
        return {**found, "class": "NO PANEL", "reasons": [str(error)]}
    problems, _ = check_run(folder)
    found["errors"] = [f"{one.where}: {one.found}" for one in problems if one.level == "error"]
    found["notes"] = [f"{one.where}: {one.found}" for one in problems if one.level != "error"]
    if whole:
        found |= _by_commands(scene, folder)
    elif found["errors"]:
        found["class"] = "REFUSED"
    else:
        try:
            found |= _by_functions(scene, folder, gates_only=gates_only)
        except FlowmrdError as error:
            found |= {"class": type(error).__name__, "reasons": [str(error)[:300]]}
    if not keep:
        shutil.rmtree(folder / "results", ignore_errors=True)
        shutil.rmtree(folder / "fcs", ignore_errors=True)
    return found


def _by_commands(scene: Scene, folder: Path) -> Record:
    """``flowmrd run``, and its result beside the expert's gates."""
    import pandas as pd

    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src"), "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(  # noqa: S603 - our own command line
        [sys.executable, "-m", "flowmrd", "run", str(folder), "--cores", "1"],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    write_text(folder / "run.txt", ran.stdout + ran.stderr)
    result = folder / "results" / "samples" / TUBE / "mrd.json"
    if not result.is_file():
        return {"run": ran.returncode, "class": "NO RESULT"}
    answer = read_json(result)
    found: Record = {"run": ran.returncode, **_answer(answer)}
    parquet = result.with_name("events.parquet")
    if not parquet.is_file():
        return found
    events = pd.read_parquet(parquet)
    usable = np.ones(scene.tube.n, dtype=bool)
    for name in ("mask_nonfinite", "mask_margin", "mask_time"):
        usable &= ~events[name].to_numpy(dtype=bool)
    route = events["routes"].astype(str).str.contains(r"(?:^|\+)cd19(?:\+|$)", regex=True).to_numpy(dtype=bool)
    population = events["population"].astype(str).to_numpy(dtype=np.str_)
    return found | compared(scene.tube, usable, route, population, answer["counts"], events["mrd"].to_numpy(dtype=bool))


def _by_functions(scene: Scene, folder: Path, *, gates_only: bool) -> Record:
    """The chain of a run as functions, with one kind of leukaemia in the spike-in."""
    panel = load_panel(folder / "panels" / f"{PANEL}.yaml")
    config = RunConfig(panel=PANEL, samples="-")
    table = None if scene.instrument.keyword else folder / "fcs" / f"{TUBE}.csv"

    def read(name: str) -> Tube:
        return read_tube(folder / "fcs" / f"{name}.fcs", panel, name=name)

    raw = [read(f"C{number}") for number in range(len(scene.controls))]
    transforms = transforms_of_controls(raw, config, spillover=table) if raw else None

    def prepared(tube: Tube) -> Tube:
        return preprocess(tube, config, transforms=None if transforms is None else transforms.channels, spillover=table)

    normal = {tube.name: prepared(tube) for tube in raw}
    reference = gates_of_controls(normal, config) if normal else None
    tube = gate(prepared(read(TUBE)), config, reference=reference)
    usable, counts = tube.analysable(), {}
    for name in ("singlets", "nucleated"):
        inside = tube.gate_or_none(name)
        counts[name] = 0 if inside is None else int(np.count_nonzero(inside & usable))
    assert tube.population is not None  # noqa: S101 - a gated tube
    names = {code: name for name, code in tube.populations.items()}
    words = [names.get(code, "") for code in range(int(tube.population.max()) + 1)]
    named = np.where(tube.population >= 0, np.array(words, dtype=np.str_)[tube.population], "")
    route = tube.gate_or_none("route_cd19")
    route = np.zeros(tube.n_events, dtype=bool) if route is None else route
    mrd = np.zeros(tube.n_events, dtype=bool)
    found: Record = {"class": "gated", "reasons": [flag.code for flag in tube.gates.flags] if tube.gates else []}
    if not gates_only:
        cells = [candidates(gate(one, config, reference=reference)).cells for one in normal.values()]
        few = len(cells) < 3
        model, _ = build_judged_reference(
            panel.name,
            [*cells, *(simulated_controls(panel, config, cells) if few else [])],
            parameters=ClassifierParameters(seed=config.laip.seed),
            max_cells=200_000,
            provisional=few,
            accepted={},
            excluded={},
        )
        laip = None
        if scene.diagnosis is not None:
            laip = find_laip("P", [gate(prepared(read("DX")), config, reference=reference)], model, config=config)
        numbers = replace(
            classifier_parameters(panel, config, PriorTherapy.NONE), replicates=1, spike_kinds=1, spike_kinds_nearest=0
        )
        tube = classify(tube, model, laip=laip, config=config, parameters=numbers)
        assert tube.mrd is not None  # noqa: S101 - a judged tube
        mrd = tube.mrd
        found = _answer(quantify(tube, config).to_json_dict())
    return found | compared(scene.tube, usable, route & usable, named, counts, mrd)


def _answer(result: Record) -> Record:
    groups = sorted(result["groups"], key=lambda one: -one["events"])
    return {
        "class": result["verdict"]["class"],
        "reasons": [reason["code"] for reason in result["verdict"]["reasons"]],
        "called": result["counts"]["mrd_events"],
        "groups": [(group["events"], group["phenotype"], group["call"]) for group in groups][:6],
    }


def compared(
    tube: LabelledTube, usable: Mask, route: Mask, population: npt.NDArray[np.str_], counts: Record, mrd: Mask
) -> Record:
    """The answer beside the expert's gates, event by event."""
    labels = tube.labels
    blast = labels["blast"]
    kinds: dict[str, int] = {
        name: int((mrd & ~blast & labels[name]).sum()) for name in ("mature_b", "plasma", "erythroid") if name in labels
    }
    kinds["other CD19+"] = (
        int((mrd & ~blast & labels["cd19"]).sum()) - kinds.get("mature_b", 0) - kinds.get("plasma", 0)
    )
    kinds["no cell of the expert"] = int((mrd & ~labels["intact"]).sum())
    found: Record = {
        "true": int(blast.sum()),
        "blast_precision": _share(mrd & blast, mrd),
        "blast_recall": _share(mrd & blast, blast),
        "blast_f1": f1(mrd, blast),
        "false_calls": kinds,
        "cd19_f1": f1(route & usable, labels["cd19"] & usable),
        "mature_f1": f1((population == "mature_b") & usable, labels["mature_b"] & usable),
        "erythroid_f1": f1((population == "erythroblasts") & usable, labels["erythroid"] & usable),
        "plasma": int((population == "plasma_cells").sum()),
        "nucleated": counts["nucleated"] / int(labels["singlets"].sum()) - 1,
        "singlets": counts["singlets"] / int(labels["singlets"].sum()) - 1,
    }
    if "plasma" in labels:
        found["plasma_f1"] = f1(population == "plasma_cells", labels["plasma"])
    return found


def _share(part: Mask, whole: Mask) -> float:
    return float(part.sum() / max(int(whole.sum()), 1))


def f1(ours: Mask, expert: Mask) -> float:
    """Harmonic mean of precision and recall of two sets of events."""
    return float(2 * (ours & expert).sum() / max(int(ours.sum() + expert.sum()), 1))
