"""Every compact group of tubes gated once, with its evidence: ``python -m benchmarks.accuracy.groups FOLDER ...``.

The tubes are those of ``python -m benchmarks.accuracy.cells``. Each control, judged by the fold that it did not help to
build, and each tube without and with leukaemia is searched as the classifier searches without a diagnosis tube. A group
is listed whatever became of it, so the table shows what separates groups of marrow without leukaemia from leukaemia.
Groups are found in one of two searches: ``plain``, or ``displaced``, beside populations that are shrunken towards their
place. Records go to ``groups.jsonl`` in the folder; a run that was stopped goes on with the first tube that is missing.

The last lines give the prior of ``classifier.parameters``, which is that of development persons, and for every error
rate how many groups tubes without leukaemia were expected to show and how many they did. ``--hardest N`` puts the
leukaemias that are most like regular precursors into the clean tubes instead of their own.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accuracy.__main__ import DATA
from benchmarks.accuracy.cells import read
from benchmarks.accuracy.hardest import hardest
from benchmarks.accuracy.levels import at_level, on_scale, reference_of
from benchmarks.accuracy.mixtures import FEATURES, Patient, draw, half_of, load
from benchmarks.stress.scene import code_digest
from flowmrd.classifier.atypical_groups import is_uncommon, like_early_progenitors, like_normal
from flowmrd.classifier.blast_prior import blast_spread
from flowmrd.classifier.calibration import Calibration, calibrate
from flowmrd.classifier.candidate_cells import CandidateCells
from flowmrd.classifier.catalogue import anchor_levels
from flowmrd.classifier.compact_groups import CompactGroup
from flowmrd.classifier.control_abundance import shares_in_place
from flowmrd.classifier.false_groups import FalseGroups, standard_gain
from flowmrd.classifier.found_groups import covers, find_groups
from flowmrd.classifier.group_evidence import weigh_group
from flowmrd.classifier.group_judgement import is_artefact
from flowmrd.classifier.library import Library
from flowmrd.classifier.normal_model import NormalModel
from flowmrd.classifier.normal_reference import ReferenceModel
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.phenotype_score import score_cells
from flowmrd.classifier.searched_phenotypes import SearchedPhenotypes, keep_candidates
from flowmrd.classifier.tube_model import fit_tube
from flowmrd.classifier.window_cells import WindowCells, control_cells, tube_cells

HARD_PER_TUBE = 2
"""How many of the hardest leukaemias are put into one tube, each alone."""
RATES = (0.01, 0.03, 0.1, 0.3)
"""Error rates whose reliability is told."""
KEYS = ("tube", "level", "leukaemia")
LEVELS = (0.0, 1e-4, 1e-3)
Record = dict[str, Any]


def searched_cells(
    tube: CandidateCells, model: NormalModel, reference: ReferenceModel, parameters: ClassifierParameters
) -> tuple[WindowCells, np.ndarray]:
    """Candidate cells of a tube as the classifier searches them, and their rows in the tube."""
    fitted = fit_tube(model, tube, parameters, unreliable=parameters.unreliable)
    window = np.flatnonzero(tube.window)
    cells = tube_cells(
        tube,
        window,
        fitted,
        model,
        parameters,
        reference.stage_centres,
        parameters.unreliable,
        anchor_levels(tube, parameters, expected=reference.anchors_at(tube.features, fitted.shift)),
    )
    kept, rows = keep_candidates(SearchedPhenotypes(None, Library(()), parameters), cells)
    return kept, window[rows]


def smaller_tail(group: CompactGroup, cells: WindowCells, calibration: Calibration, rate: float) -> float:
    """The error rate if the smaller of the two tails were taken for both, as before they were combined.

    Parameters
    ----------
    rate
        The error rate; what it has above that of groups anywhere comes from controls with a group in the same place.
    """
    parameters = cells.parameters
    total = sum(calibration.groups.statistics, FalseGroups.of_development(parameters))
    known = group.log_likelihood_gain, group.gain_per_event, cells.denominator
    beyond = np.log(max(standard_gain(known[0], known[2], parameters) / parameters.false_gain_least, 1.0))
    purer = max(known[1] - parameters.gain_per_event_atypical, 0.0)
    tails = [(1.0 + beyond / total.log_gain) ** -total.groups, (1.0 + purer / total.gain_per_event) ** -total.groups]
    here = rate - total.expected(*known, parameters)
    return float(total.groups / total.tubes * min(tails) + here)


def describe(group: CompactGroup, cells: WindowCells, calibration: Calibration, leukaemic: np.ndarray) -> Record:
    """The evidence on one group.

    Parameters
    ----------
    leukaemic
        Shape (n,): which of the cells are leukaemic.
    """
    parameters = cells.parameters
    evidence = weigh_group(group, cells, calibration.groups)
    place, shares = evidence.place, shares_in_place(group.mixture, cells.shift, calibration.controls, parameters)
    own = score_cells(group.mixture, cells.values, cells.log_normal, parameters.blast_tail_degrees) > 0.0
    mean, sd = blast_spread(cells.features)
    centre = group.mixture.mean[0] - cells.normal.normal_b - cells.shift
    return {
        "events": round(group.events, 1),
        "leukaemic": int((own & leukaemic).sum()),
        "gain": round(group.log_likelihood_gain, 1),
        "gain_per_event": round(group.gain_per_event, 2),
        "rate": evidence.false_groups,
        "smaller_tail": smaller_tail(group, cells, calibration, float(evidence.false_groups or 0.0)),
        "fit": evidence.fit,
        "place": None if place is None else place.call,
        "accepted": evidence.accepted,
        "distance": None if place is None else round(place.distance, 2),
        "controls_share": round(float(shares.mean()) / max(group.share, 1e-12), 4) if len(shares) else None,
        "controls_most": round(float(shares.max()) / max(group.share, 1e-12), 4) if len(shares) else None,
        "uncommon": is_uncommon(group, cells, calibration.controls),
        "like_normal": like_normal(group.mixture, cells),
        "progenitor": like_early_progenitors(group.mixture, cells),
        "artefact": is_artefact(group, cells),
        "markers": {
            name: [round(float(value), 2), round(float(z), 1)]
            for name, value, z in zip(cells.features, centre, (centre - mean) / sd, strict=True)
        },
    }


def search(cells: WindowCells, calibration: Calibration, leukaemic: np.ndarray) -> Iterator[Record]:
    """Every group of both searches, and what the classifier made of it before its second look."""
    plain = cells.compact_groups()
    cells = replace(cells, groups=plain)
    found = find_groups(SearchedPhenotypes(None, Library(()), cells.parameters), cells, calibration)
    whys = [(group.mixture.mean[0], "counted") for group in found.counted]
    whys += [(group.mixture.mean[0], group.why) for group in found.uncounted]
    pairs = [("plain", cells, group) for group in plain]
    if cells.shrunken is not None:
        beside = cells.shrunken
        pairs += [
            ("displaced", beside, group)
            for group in beside.compact_groups()
            if not any(covers(other, group, cells.parameters) for other in plain)
        ]
    for how, where, group in pairs:
        why = [why for mean, why in whys if np.array_equal(mean, group.mixture.mean[0])]
        yield {"search": how, "why": why[0] if why else "ignored", **describe(group, where, calibration, leukaemic)}


def run(
    folder: Path,
    parameters: ClassifierParameters,
    levels: tuple[float, ...],
    done: frozenset[tuple[str, float, str]],
    most: int,
    hard: Sequence[Patient] = (),
) -> Iterator[list[Record]]:
    """The records of every control and tube that is not done; first one for the tube, then one per group.

    Parameters
    ----------
    hard
        Leukaemias that are put into the clean tubes instead of the tubes' own, a few per tube in turn.
    """
    reference, _ = reference_of(folder, replace(parameters, unreliable=frozenset()))
    empty = SearchedPhenotypes(None, Library(()), parameters)
    controls = [control_cells(reference, one, reference.features, parameters) for one in reference.controls]
    calibration = calibrate(empty, controls)

    def records(
        known: Record, tube: CandidateCells, codes: np.ndarray, model: NormalModel, beside: Calibration
    ) -> list[Record]:
        cells, rows = searched_cells(tube.select(reference.features), model, reference, parameters)
        own = [{**known, **one} for one in search(cells, beside, codes[rows] >= 0)]
        true, strained = int((codes >= 0).sum()), cells.shrunken is not None
        return [{**known, "nucleated": tube.denominator, "true": true, "strained": strained}, *own]

    for number, one in enumerate(() if hard else reference.controls):
        if (one.name, 0.0, "") in done:
            continue
        others = calibrate(empty, [control for i, control in enumerate(controls) if i != number])
        kept = on_scale(next(kept for kept in map(read, sorted(folder.glob("C*.npz"))) if kept.tube.name == one.name))
        known = {"tube": one.name, "level": 0.0, "leukaemia": ""}
        yield records(known, kept.tube, kept.codes, reference.folds[one.fold], others)
    for number, path in enumerate(sorted(folder.glob("P??.npz"))[:most]):
        kept = on_scale(read(path))
        turn = [hard[(number * HARD_PER_TUBE + i) % len(hard)] for i in range(HARD_PER_TUBE)] if hard else [None]
        for leukaemia, level in ((one, level) for one in turn for level in levels):
            name = "" if leukaemia is None else leukaemia.name
            if (path.stem, level, name) in done:
                continue
            tube, codes = at_level(kept, 0.0 if leukaemia else level)
            if leukaemia is not None:
                tube, codes = _with(tube, codes, leukaemia, level, number)
            known = {"tube": path.stem, "level": level, "leukaemia": name}
            yield records(known, tube, codes, reference.model, calibration)


def _with(
    tube: CandidateCells, codes: np.ndarray, leukaemia: Patient, level: float, number: int
) -> tuple[CandidateCells, np.ndarray]:
    """A tube with cells of a leukaemia put among its candidates, and the code of every candidate."""
    rng = np.random.default_rng([5, number, round(level * 1e6)])
    cells = draw(leukaemia.groups["blast"], int(rng.poisson(level * tube.denominator)), rng)
    cells = cells[:, [FEATURES.index(name) for name in tube.features]]
    n = len(cells)
    population = None if tube.population is None else np.r_[tube.population, np.full(n, -1, dtype=np.int16)]
    joined = replace(
        tube,
        values=np.concatenate([tube.values, cells]),
        window=np.r_[tube.window, np.ones(n, dtype=bool)],
        denominator=tube.denominator + n,
        population=population,
    )
    return joined, np.r_[codes, np.zeros(n, dtype=codes.dtype)]


def table(records: list[Record]) -> str:
    """Groups of clean tubes that count or are a question, and every group of leukaemic cells, a line each."""
    lines = [
        "| tube | level | search | became | cells (leukaemic) | gain | per cell | error rate | fit | place (distance) "
        "| controls' share, mean (most) | like normal |",
        "|---" * 12 + "|",
    ]
    for one in sorted((r for r in records if "search" in r), key=lambda r: (r["level"], r["tube"], r["rate"])):
        leukaemic = one["leukaemic"] >= 0.5 * one["events"]
        if not leukaemic and (one["level"] or one["why"] in {"ignored", "named"}):
            continue
        place = "-" if one["place"] is None else f"{one['place'].partition(':')[2]} ({one['distance']})"
        lines.append(
            f"| {one['tube']} | {one['level']:g} | {one['search']} | {one['why']} "
            f"| {one['events']:.0f} ({one['leukaemic']}) | {one['gain']:.0f} | {one['gain_per_event']:.1f} "
            f"| {one['rate']:.4f} | {one['fit']:.3f} | {place} | {one['controls_share']} ({one['controls_most']}) "
            f"| {'yes' if one['like_normal'] else 'no'} |"
        )
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Rule:
    """Another way to judge the same groups, to see what a change costs and gains.

    Attributes
    ----------
    smaller
        Whether the smaller of the two tails is the error rate.
    ratio
        ``question_abundance_ratio``.
    limit
        ``false_groups_atypical``.
    fit
        Smallest fit to leukaemia of a question that was found beside a displaced population.
    events
        Smallest number of cells of a question.
    """

    name: str
    smaller: bool = False
    ratio: float = 1.0
    limit: float = 0.1
    fit: float = 0.0
    events: float = 0.0


RULES = (
    Rule("as it is"),
    Rule("smaller tail, no comparison with controls", smaller=True, ratio=0.0),
    Rule("smaller tail", smaller=True),
    Rule("no comparison with controls", ratio=0.0),
    Rule("five times as many cells as controls", ratio=5.0),
    Rule("a question below 0.05", limit=0.05),
    Rule("a displaced question needs a fit of 0.02", fit=0.02),
    Rule("a question needs 20 cells", events=20.0),
)


def became(one: Record, rule: Rule, parameters: ClassifierParameters) -> str:
    """What a rule makes of a group: counted, a question, or neither; the second look is left out."""
    rate = one["smaller_tail"] if rule.smaller else one["rate"]
    least = parameters.group_gain_least
    if one["accepted"] or not one["uncommon"] or one["gain"] < least or rate >= rule.limit:
        return "neither"
    certain = rate < parameters.false_groups_counted
    distinct = one["gain_per_event"] >= parameters.gain_per_event_counted
    if not certain and rule.ratio * (one["controls_share"] or 0.0) > parameters.place_share:
        return "neither"
    if one["search"] == "displaced":
        return "question" if distinct and one["fit"] >= rule.fit and one["events"] >= rule.events else "neither"
    if certain and distinct and not one["artefact"]:
        return "question" if one["like_normal"] or one["progenitor"] else "counted"
    return "neither" if one["like_normal"] or one["events"] < rule.events else "question"


def answers(records: list[Record], parameters: ClassifierParameters) -> str:
    """For every rule and level, in how many tubes enough cells are counted, a group is a question, or neither."""
    heads = [one for one in records if "search" not in one and one["tube"].split()[-1].startswith("P")]
    groups: dict[tuple[Any, ...], list[Record]] = defaultdict(list)
    for one in records:
        if "search" in one:
            groups[tuple(one[key] for key in KEYS)].append(one)
    lines = ["| rule | level | tubes | counted | a question | neither |", "|---|---|---|---|---|---|"]
    for rule, level in ((rule, level) for rule in RULES for level in sorted({one["level"] for one in heads})):
        outcomes: Counter[str] = Counter()
        for head in (one for one in heads if one["level"] == level):
            own = [(became(one, rule, parameters), one["events"]) for one in groups[tuple(head[key] for key in KEYS)]]
            counted = sum(events for what, events in own if what == "counted") >= parameters.detect_events
            asked = any(what == "question" for what, _ in own)
            outcomes["counted" if counted else "question" if asked else "neither"] += 1
        told = " | ".join(str(outcomes[what]) for what in ("counted", "question", "neither"))
        lines.append(f"| {rule.name} | {level:g} | {outcomes.total()} | {told} |")
    return "\n".join(lines) + "\n"


def reliability(records: list[Record], parameters: ClassifierParameters) -> str:
    """The prior that these tubes give, and the groups expected and seen at several error rates."""
    clean = [one for one in records if not one["level"] and not one["leukaemia"]]
    tubes = {one["tube"]: one["nucleated"] for one in clean if "search" not in one}
    if not tubes:
        return ""
    unnamed = [one for one in clean if "search" in one and one["uncommon"] and not one["accepted"]]
    gains = {id(one): standard_gain(one["gain"], tubes[one["tube"]], parameters) for one in unnamed}
    plain = [one for one in unnamed if one["search"] == "plain" and gains[id(one)] > parameters.false_gain_least]
    excess = [np.log(gains[id(one)] / parameters.false_gain_least) for one in plain]
    purer = [one["gain_per_event"] - parameters.gain_per_event_atypical for one in plain]
    lines = [
        f"{len(tubes)} tubes without leukaemia, {len(plain)} groups; mean excess of the log gain "
        f"{np.mean(excess or [0.0]):.2f}, of the gain per event {np.mean(purer or [0.0]):.2f}",
        "| error rate below | groups expected | groups seen | of which a question or counted | tubes |",
        "|---|---|---|---|---|",
    ]
    for limit in RATES:
        seen = [one for one in unnamed if one["rate"] < limit]
        doubts = sum(one["why"] not in {"named", "ignored"} for one in seen)
        lines.append(f"| {limit:g} | {limit * len(tubes):.1f} | {len(seen)} | {doubts} | {len(tubes)} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Search, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy.groups")
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--simulated", action="store_true", help="ten colours after anti-CD22")
    parser.add_argument("--levels", type=float, nargs="+", default=list(LEVELS))
    parser.add_argument("--hardest", type=int, default=0, help="put so many of the hardest leukaemias into clean tubes")
    parser.add_argument("--tubes", type=int, default=100, help="at most so many tubes a folder")
    arguments = parser.parse_args()
    parameters = ClassifierParameters()
    if arguments.simulated:
        parameters = replace(parameters, unreliable=frozenset({"CD22"}))
    hard: list[Patient] = []
    if arguments.hardest:
        people = [one for one in load(DATA) if half_of(one.person) == 0 and one.cohort == "VIE"]
        hard = [one for _, one in hardest(people, arguments.hardest)]
    every: list[Record] = []
    for folder in arguments.folders:
        path = folder / ("groups-hardest.jsonl" if hard else "groups.jsonl")
        code = {"code": code_digest()}
        records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []
        if code not in records:
            records = [code]
            path.write_text(json.dumps(code) + "\n", encoding="utf-8")
        done = frozenset((r["tube"], r["level"], r["leukaemia"]) for r in records if "tube" in r)
        with path.open("a", encoding="utf-8") as stream:
            for own in run(folder, parameters, tuple(arguments.levels), done, arguments.tubes, hard):
                stream.writelines(json.dumps(record) + "\n" for record in own)
                stream.flush()
                records += own
        every += [{**record, "tube": f"{folder.name} {record['tube']}"} for record in records if "tube" in record]
    sys.stdout.write(table(every) + answers(every, parameters) + reliability(every, parameters))
    return 0


if __name__ == "__main__":
    sys.exit(main())
