"""Tubes that were gated once, classified at every level: ``python -m benchmarks.accuracy.levels FOLDER [--odd KIND]``.

The answer is that of the classifier alone: called cells against the detection count, its coded messages with the effect
that the registry gives them, groups that forbid a negative answer, the spike-in. Quality and gates are those of
``python -m benchmarks.accuracy``.
A run that was stopped goes on with the first tube that is missing, unless the code has changed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accuracy.cells import HIGHEST, Kept, read
from benchmarks.stress.scene import code_digest
from flowmrd.classifier.candidate_cells import CandidateCells
from flowmrd.classifier.classification import SpikeInResult
from flowmrd.classifier.classification_record import summarise
from flowmrd.classifier.classifier import classify_tube
from flowmrd.classifier.control_judgement import ControlJudgement, build_judged_reference
from flowmrd.classifier.judge_tube import markers_after
from flowmrd.classifier.library import Library
from flowmrd.classifier.normal_reference import ReferenceModel
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.patient_laip import PatientLaip, find_laip
from flowmrd.flags import Effect, kind_of
from flowmrd.home import PANELS
from flowmrd.mrd.limits import binomial_interval, limits, may_hold
from flowmrd.mrd.sensitivity import judge_spike_in, recovery_of_patient
from flowmrd.panel import load_panel

LEVELS = (1e-3, 1e-4, 0.0)
MIN_DIAGNOSIS_CELLS = 200
"""The default of ``laip.min_diagnosis_cells``."""
ODD = ("group", "lost", "leukaemic")


def at_level(kept: Kept, level: float) -> tuple[CandidateCells, np.ndarray]:
    """A tube with part of its leukaemic cells, and the code of every candidate."""
    rng = np.random.default_rng([7, round(level * 1e6)])
    use = (kept.codes < 0) | (rng.random(len(kept.codes)) < level / HIGHEST)
    gone = int((~use).sum())
    tube, codes = _part(kept.tube, use), kept.codes[use]
    return replace(tube, denominator=tube.denominator - gone), codes


def on_scale(kept: Kept) -> Kept:
    """A tube without the candidates that are off scale in a detector: none of them founds a group."""
    use = ~kept.off_scale
    return Kept(_part(kept.tube, use), kept.codes[use], kept.off_scale[use])


def _part(tube: CandidateCells, use: np.ndarray) -> CandidateCells:
    """Some of the candidates of a tube."""
    changes: dict[str, Any] = {
        "values": np.ascontiguousarray(tube.values[use]),
        "window": tube.window[use],
        "population": None if tube.population is None else tube.population[use],
    }
    return replace(tube, **changes)


def _stained_otherwise(tube: CandidateCells, marker: str, decades: float) -> CandidateCells:
    """A tube all of whose cells are brighter in one marker."""
    values = tube.values.copy()
    values[:, tube.features.index(marker)] += np.float32(decades)
    return replace(tube, values=values)


def make_odd(tube: CandidateCells, kind: str, leukaemia: Kept) -> CandidateCells:
    """A control that went wrong: an odd group, half of its cells lost, or marrow of a patient with leukaemia.

    Parameters
    ----------
    leukaemia
        A diagnosis tube.
    """
    if kind == "lost":
        use = np.arange(tube.n) % 2 == 0
        return replace(_part(tube, use), denominator=tube.denominator // 2)
    rng = np.random.default_rng(11)
    blasts = np.flatnonzero(leukaemia.codes >= 0)
    share = 3e-4 if kind == "group" else 0.46 / 0.54
    extra = leukaemia.tube.values[rng.choice(blasts, size=round(share * tube.n))]
    n = len(extra)
    return replace(
        tube,
        values=np.concatenate([tube.values, extra]),
        window=np.r_[tube.window, np.ones(n, dtype=bool)],
        denominator=tube.denominator + n,
        population=None if tube.population is None else np.r_[tube.population, np.full(n, -1, dtype=np.int16)],
    )


def reference_of(
    folder: Path, parameters: ClassifierParameters, odd: str = ""
) -> tuple[ReferenceModel, tuple[ControlJudgement, ...]]:
    """Reference of a folder's controls, one of them odd where that is asked for."""
    tubes = [on_scale(read(path)).tube for path in sorted(folder.glob("C*.npz"))]
    if odd:
        tubes[2] = make_odd(tubes[2], odd, on_scale(read(folder / "P00_dx.npz")))
    return build_judged_reference("cells", tubes, parameters=parameters)


def run(
    folder: Path,
    *,
    simulated: bool,
    diagnosis: bool,
    parameters: ClassifierParameters,
    exchanged: bool = False,
    odd: str = "",
    moved: tuple[str, float] | None = None,
    most: int = 100,
    done: frozenset[str] = frozenset(),
) -> Iterator[dict[str, Any]]:
    """Yield one record per control and tube, but for tubes that are done already.

    Parameters
    ----------
    diagnosis, exchanged
        Whether tubes are judged with the diagnosis tube of their patient, and whether with that of the next patient.
    """
    panel = load_panel(PANELS / ("ino10.yaml" if simulated else "vienna_b8.yaml"))
    parameters = replace(parameters, shifted=markers_after(panel, frozenset({"steroid"})))
    therapy = frozenset({"CD22"}) if simulated else frozenset[str]()
    reference, judged = reference_of(folder, parameters, odd)
    for one in () if done else judged:
        yield {"control": one.name, "verdict": one.verdict, "reasons": [reason.message for reason in one.reasons]}
    after = replace(parameters, unreliable=therapy)
    paths = sorted(folder.glob("P??.npz"))
    for place, path in enumerate(paths[:most]):
        if path.stem in done:
            continue
        kept = on_scale(read(path))
        laip: PatientLaip | None = None
        if diagnosis or exchanged:
            patient = (paths[(place + 1) % len(paths)] if exchanged else path).stem
            tube = on_scale(read(folder / f"{patient}_dx.npz")).tube
            laip = find_laip(patient, tube, reference, min_cells=MIN_DIAGNOSIS_CELLS, parameters=parameters)
        # All levels of a tube together, so that a stopped run has it whole or not at all.
        records = []
        for level in LEVELS:
            tube, codes = at_level(kept, level)
            tube = tube if moved is None else _stained_otherwise(tube, *moved)
            record = judge(tube, codes, reference, laip, replace(after, replicates=0) if level else after)
            if record["answer"] == "NEGATIVE" and level:
                # Only a negative answer asks for the spike-in, which costs most.
                record = judge(tube, codes, reference, laip, after)
            records.append({"tube": path.stem, "level": level, **record})
        yield from records


def judge(
    tube: CandidateCells,
    codes: np.ndarray,
    reference: ReferenceModel,
    laip: PatientLaip | None,
    parameters: ClassifierParameters,
) -> dict[str, Any]:
    """Classify a tube and say what the answer would be."""
    result = classify_tube(tube, reference, laip=laip, library=Library(()), parameters=parameters)
    called, leukaemic = result.mrd, codes >= 0
    rate = 0.0 if result.background is None else result.background.per_million / 1e6
    found = limits(tube.denominator, background=rate, min_detect_events=20)
    needed = found.detect_events
    spike = judge_spike_in(summarise(result, tube, reference, laip).spike_in, found)
    part = recovery_of_patient(spike)
    near = part is not None and bool(called.any()) and may_hold(int(called.sum()), needed, part)
    flags = {item.code for item in result.flags}
    effects = {kind_of(code).effect for code in flags}
    doubts = [group for group in result.uncounted if group.call == "atypical"]
    detected = bool(called.sum() >= needed)
    if Effect.DOUBT in effects or (detected and Effect.NO_POSITIVE in effects):
        answer = "INDETERMINATE"
    elif detected:
        answer = "DETECTED"
    elif doubts or near or Effect.NO_NEGATIVE in effects:
        answer = "INDETERMINATE"
    elif Effect.NOT_SENSITIVE in effects or (spike is not None and not spike.detected):
        answer = "NEGATIVE_INSUFFICIENT_SENSITIVITY"
    else:
        answer = "NEGATIVE"
    return {
        "answer": answer,
        "nucleated": tube.denominator,
        "true": int(leukaemic.sum()),
        "called": int(called.sum()),
        "hit": int((called & leukaemic).sum()),
        "needed": needed,
        "missed": [] if result.spike_in is None else missed_kinds(result.spike_in),
        "spike": None if result.spike_in is None else result.spike_in.detected_replicates,
        "recovery": None if spike is None else spike.recovery,
        "flags": sorted(flags),
        "groups": [
            [group.call, round(group.events), group.why, group.evidence.false_groups, group.evidence.said]
            for group in result.uncounted
        ],
        "evidence": [group.evidence.false_groups for group in result.counted],
    }


def missed_kinds(spike: SpikeInResult) -> list[int]:
    """Numbers of the kinds of leukaemia that the spike-in did not find."""
    least = ClassifierParameters().detect_events
    return [number for number, kind in enumerate(spike.kinds) if max(kind.recovered, kind.noticed) < least]


def is_right(record: dict[str, Any]) -> bool:
    """Called, and with a count within a factor of two of truth."""
    return bool(record["answer"] == "DETECTED" and 0.5 <= record["called"] / max(record["true"], 1) <= 2.0)


def main() -> int:
    """Classify and print a summary; records go to a file beside the tubes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy.levels")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--simulated", action="store_true", help="ten colours after anti-CD22")
    parser.add_argument("--diagnosis", action="store_true", help="with the diagnosis tube")
    parser.add_argument("--exchanged", action="store_true", help="with the diagnosis tube of the next patient")
    parser.add_argument("--verbose", action="store_true", help="print every record")
    parser.add_argument("--odd", choices=ODD, default="", help="what is wrong with the third control")
    parser.add_argument("--moved", default="", help="follow-ups brighter in one marker, as CD38=0.9 in decades")
    parser.add_argument("--tubes", type=int, default=100, help="at most so many tubes")
    arguments = parser.parse_args()
    marker, _, decades = arguments.moved.partition("=")
    mode = "exchanged" if arguments.exchanged else "diagnosis" if arguments.diagnosis else "none"
    out = arguments.folder / f"levels-{mode}-{arguments.odd or arguments.moved or 'plain'}.jsonl"
    parameters = ClassifierParameters()
    code = code_digest()
    records = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()] if out.is_file() else []
    if {"code": code} not in records or not any("tube" in record for record in records):
        records = [{"code": code}]
    out.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    with out.open("a", encoding="utf-8") as stream:
        for record in run(
            arguments.folder,
            simulated=arguments.simulated,
            diagnosis=arguments.diagnosis,
            exchanged=arguments.exchanged,
            parameters=parameters,
            odd=arguments.odd,
            moved=(marker, float(decades)) if marker else None,
            most=arguments.tubes,
            done=frozenset(record["tube"] for record in records if "tube" in record),
        ):
            stream.write(json.dumps(record) + "\n")
            stream.flush()
            records.append(record)
            if arguments.verbose:
                sys.stdout.write(json.dumps(record) + "\n")
    sys.stdout.write(summary(records))
    return 0


def summary(records: list[dict[str, Any]]) -> str:
    """A few lines of figures."""
    lines = []
    verdicts = Counter(record["verdict"] for record in records if "control" in record)
    lines.append("controls: " + ", ".join(f"{name} {number}" for name, number in sorted(verdicts.items())))
    tubes = [record for record in records if "tube" in record]
    for level in LEVELS:
        here = [record for record in tubes if record["level"] == level]
        answers = Counter(record["answer"] for record in here)
        good = sum(map(is_right, here)) if level else answers["NEGATIVE"]
        answered = answers["DETECTED"] + answers["NEGATIVE"]
        low, high = (round(100 * end) for end in binomial_interval(good, len(here))) if here else (0, 100)
        text = ", ".join(f"{name} {number}" for name, number in sorted(answers.items()))
        told = f"right {good}/{len(here)} ({low} to {high} %), answered {answered}/{len(here)}"
        lines.append(f"{level:g}: {text}; {told}")
    wrong = [
        one for one in tubes if one["answer"] == "NEGATIVE" and one["true"] >= ClassifierParameters().detect_events
    ]
    named = sum(bool(one["missed"]) for one in wrong)
    lines.append(f"negative with 20 leukaemic cells or more: {len(wrong)}, of which {named} name kinds that are missed")
    clean = [one for one in tubes if one["answer"] == "NEGATIVE" and not one["level"]]
    lines.append(f"negative clean tubes that name such kinds: {sum(bool(one['missed']) for one in clean)}")
    false = sum(record["called"] - record["hit"] for record in tubes)
    lines.append(f"false events per million: {1e6 * false / max(sum(r['nucleated'] for r in tubes), 1):.1f}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
