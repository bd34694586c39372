"""Records to tables."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from flowmrd.mrd.limits import binomial_interval

Record = dict[str, Any]
HEADER = (
    "| condition | method | level | tubes | detected (95 % interval) | false events per million, mean (worst) "
    "| recall, median (worst tenth) | event F1, median | within half a log | spike-in agrees |\n"
    "|---|---|---|---|---|---|---|---|---|---|"
)


def summary(records: list[Record]) -> str:
    """One row per condition, method and level."""
    groups: dict[tuple[str, str, float], list[Record]] = defaultdict(list)
    for record in records:
        if "level" in record:
            groups[(record["condition"], record["method"], record["level"])].append(record)
    rows = [HEADER]
    for (condition, method, level), group in groups.items():
        n = len(group)
        found = sum(record["detected"] for record in group)
        low, high = binomial_interval(found, n)
        false = [1e6 * record["false"] / record["denominator"] for record in group]
        recall = [record["hit"] / record["true"] for record in group if record["true"]]
        f1 = [2 * record["hit"] / (record["called"] + record["true"]) for record in group if record["true"]]
        close = [
            abs(np.log10(max(record["called"], 0.5) / record["true"])) <= 0.5 for record in group if record["true"]
        ]
        spikes = [r["spike"] == (r["hit"] >= 20) for r in group if r.get("spike") is not None and level == 1e-4]
        rows.append(
            f"| {condition} | {method} | {level:g} | {n} | {found} ({100 * low:.0f}-{100 * high:.0f} %) "
            f"| {np.mean(false):.1f} ({max(false):.0f}) | "
            + (f"{np.median(recall):.2f} ({np.quantile(recall, 0.1):.2f})" if recall else "-")
            + f" | {f'{np.median(f1):.2f}' if f1 else '-'} | {f'{sum(close)} of {len(close)}' if close else '-'} "
            f"| {f'{sum(spikes)} of {len(spikes)}' if spikes else '-'} |"
        )
    return "\n".join(rows)


def linearity(records: list[Record]) -> str:
    """Slope and R² of log10 measured against log10 true, per condition, over tubes with both above 0."""
    rows = ["| condition | points | slope | R² |", "|---|---|---|---|"]
    for condition in dict.fromkeys(record["condition"] for record in records):
        points = [
            (np.log10(r["true"]), np.log10(r["called"]))
            for r in records
            if r["condition"] == condition and r["method"] == "flowmrd" and r["true"] > 0 and r["called"] > 0
        ]
        if len(points) < 3:
            continue
        x, y = np.array(points).T
        slope = float(np.polyfit(x, y, 1)[0])
        rows.append(f"| {condition} | {len(points)} | {slope:.3f} | {float(np.corrcoef(x, y)[0, 1] ** 2):.3f} |")
    return "\n".join(rows)


def failures(records: list[Record]) -> str:
    """Every tube that went wrong, with the likely cause."""
    rows = ["| condition | marrow | blasts | level | true | hit | false | oracle recall | cause |", "|" + "---|" * 9]
    for record in records:
        if record["method"] != "flowmrd":
            continue
        missed = record["level"] >= 1e-4 and not record["detected"]
        wrong = record["level"] == 0 and record["detected"]
        if missed or wrong:
            rows.append(
                f"| {record['condition']} | {record['marrow']} | {record['blasts']} | {record['level']:g} "
                f"| {record['true']} | {record['hit']} | {record['false']} | {record['oracle']:.2f} "
                f"| {cause(record)} |"
            )
    return "\n".join(rows) if len(rows) > 2 else "None."


def cause(record: Record) -> str:
    """The most telling fact about a failure."""
    if "PHENOTYPE_LIKE_NORMAL" in record.get("flags", []):
        return "like regenerating precursors: reported INDETERMINATE"
    if record["novelty"] > 1:
        return "tube unlike the controls: reported INDETERMINATE"
    if record["level"] > 0 and record["true"] < 20:
        return "too few leukaemic events were drawn"
    if record["level"] > 0 and record["in_window"] < 0.8 * record["true"]:
        return "blasts outside the B-lineage gate"
    if record["oracle"] < 0.8:
        return "overlap with normal cells: the oracle fails too"
    return "group not convincing enough" if record["level"] > 0 else "normal cells taken for leukaemia"
