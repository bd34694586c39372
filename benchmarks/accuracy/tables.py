"""Records to tables."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from flowmrd.mrd.limits import binomial_interval

Record = dict[str, Any]
DETECTED = frozenset({"DETECTED_NOT_QUANTIFIABLE", "POSITIVE_BELOW_THRESHOLD", "POSITIVE"})
NEGATIVE = "NEGATIVE"
UNANSWERED = "INDETERMINATE"
STRADDLES = "INTERVAL_STRADDLES_THRESHOLD"
COUNT_RULE = 20
"""Events that count as detected for the baselines, which give no verdict."""
HEADER = (
    "| condition | method | level | tubes | detected (95 % interval) | negative | cannot tell | answered "
    "| controls clean | false events per million, mean (worst) | recall, median (worst tenth) | event F1, median "
    "| within half a log | spike-in agrees |\n" + "|---" * 14 + "|"
)


def is_detected(record: Record) -> bool:
    """Whether leukaemia was reported; MRD whose side of the threshold is open was."""
    if "class" not in record:
        return bool(record["called"] >= COUNT_RULE)
    return record["class"] in DETECTED or STRADDLES in record["reasons"]


def is_negative(record: Record) -> bool:
    """Whether a negative with the sensitivity asked for was reported."""
    if "class" not in record:
        return not is_detected(record)
    return bool(record["class"] == NEGATIVE)


def is_right(record: Record) -> bool:
    """Whether leukaemia was reported with a count within a factor of two of the truth."""
    return is_detected(record) and 0.5 <= record["called"] / max(record["true"], 1) <= 2.0


def answers(records: list[Record], controls: list[Record]) -> str:
    """One row per condition: what flowmrd answered at 1e-3, at 1e-4 and in clean tubes, with 95 % intervals.

    Parameters
    ----------
    controls
        Records of the references, one a condition.
    """
    judged = [record for record in records if record["method"] == "flowmrd" and "level" in record]
    clean = {one["condition"]: f"{one['controls_clean']} of {one['controls']}" for one in controls}
    rows = [
        "| condition | right at 1e-3 (detected) | right at 1e-4 (detected) | clean tubes NEGATIVE | clean called "
        "| answered, at 1e-3, 1e-4 and clean | controls clean | false events per million, mean (worst) |",
        "|---" * 8 + "|",
    ]

    def share(found: int, n: int) -> str:
        low, high = binomial_interval(found, n)
        return f"{found} of {n} ({100 * low:.0f} to {100 * high:.0f} %)"

    for condition in dict.fromkeys(record["condition"] for record in judged):
        own = [record for record in judged if record["condition"] == condition]
        at = {level: [record for record in own if record["level"] == level] for level in (1e-3, 1e-4, 0.0)}
        if not all(at.values()):
            continue
        right = [
            f"{share(sum(map(is_right, at[x])), len(at[x]))}; {sum(map(is_detected, at[x]))}" for x in (1e-3, 1e-4)
        ]
        told = ", ".join(str(sum(record["class"] != UNANSWERED for record in at[x])) for x in at)
        false = [1e6 * record["false"] / record["nucleated"] for group in at.values() for record in group]
        rows.append(
            f"| {condition} | {right[0]} | {right[1]} | {share(sum(map(is_negative, at[0.0])), len(at[0.0]))} "
            f"| {sum(map(is_detected, at[0.0]))} | {told} | {clean.get(condition, '-')} "
            f"| {np.mean(false):.1f} ({max(false):.0f}) |"
        )
    return "\n".join(rows)


def summary(records: list[Record], controls: list[Record]) -> str:
    """One row per condition, method and level.

    Parameters
    ----------
    controls
        Records of the references, one a condition.
    """
    groups: dict[tuple[str, str, float], list[Record]] = defaultdict(list)
    for record in records:
        if "level" in record:
            groups[(record["condition"], record["method"], record["level"])].append(record)
    rows = [HEADER]
    clean = {
        record["condition"]: f"{record['controls_clean']} of {record['controls']}"
        for record in controls
        if "controls_clean" in record
    }
    for (condition, method, level), group in groups.items():
        n = len(group)
        found, negative = sum(map(is_detected, group)), sum(map(is_negative, group))
        answered = sum(record.get("class") != UNANSWERED for record in group)
        low, high = binomial_interval(found, n)
        false = [1e6 * record["false"] / record["nucleated"] for record in group]
        real = [record for record in group if record["true"]]
        recall = [record["hit"] / record["true"] for record in real]
        f1 = [2 * record["hit"] / (record["called"] + record["true"]) for record in real]
        close = [abs(np.log10(max(record["called"], 0.5) / record["true"])) <= 0.5 for record in real]
        spikes = [r["spike"] == is_detected(r) for r in group if r.get("spike") is not None and level == 1e-4]
        rows.append(
            f"| {condition} | {method} | {level:g} | {n} | {found} ({100 * low:.0f}-{100 * high:.0f} %) "
            f"| {negative} | {n - found - negative} | {answered} of {n} "
            f"| {clean.get(condition, '-')} | {np.mean(false):.1f} ({max(false):.0f}) | "
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


def real_tubes(records: list[Record]) -> str:
    """Events called MRD against the expert's blast gate, in the tubes that have one."""
    rows = [
        "| real tube | expert: blasts of intact cells | found | event F1 | precision | recall | verdict | reasons |",
        "|" + "---|" * 8,
    ]
    for record in records:
        if not record.get("real"):
            continue
        hit, called, true = record["hit"], record["called"], record["true"]
        found = 100 * called / record["nucleated"]
        rows.append(
            f"| {record['marrow']} | {100 * record['expert_share']:.1f} % | {found:.1f} % of nucleated "
            f"| {2 * hit / max(called + true, 1):.3f} | {hit / max(called, 1):.3f} | {hit / true:.3f} "
            f"| {record['class']} | {', '.join(record['reasons']) or '-'} |"
        )
    return "\n".join(rows)


def failures(records: list[Record]) -> str:
    """Every tube that went wrong, with the likely cause."""
    rows = [
        "| condition | marrow | blasts | level | true | hit | false | oracle recall | verdict | cause |",
        "|" + "---|" * 10,
    ]
    for record in records:
        if record["method"] != "flowmrd":
            continue
        missed = record["level"] >= 1e-4 and not is_detected(record)
        wrong = record["level"] == 0 and not is_negative(record)
        if missed or wrong:
            rows.append(
                f"| {record['condition']} | {record['marrow']} | {record['blasts']} | {record['level']:g} "
                f"| {record['true']} | {record['hit']} | {record['false']} | {record['oracle']:.2f} "
                f"| {record['class']} | {cause(record)} |"
            )
    return "\n".join(rows) if len(rows) > 2 else "None."


def cause(record: Record) -> str:
    """The most telling fact about a failure."""
    reasons = record["reasons"]
    if "PHENOTYPE_LIKE_NORMAL" in reasons:
        return "cannot be told from normal precursors"
    if "TUBE_UNLIKE_CONTROLS" in reasons:
        return "tube unlike the controls"
    if record["level"] > 0 and record["true"] < COUNT_RULE:
        return "too few leukaemic events were drawn"
    if record["level"] > 0 and record["in_denominator"] < 0.8 * record["true"]:
        return "blasts outside the denominator"
    if record["level"] > 0 and record["in_window"] < 0.8 * record["true"]:
        return "blasts outside the B-lineage gate"
    if "WITHIN_BACKGROUND" in reasons:
        return "no more than an odd control holds"
    if record["oracle"] < 0.8:
        return "overlap with normal cells: the oracle fails too"
    if "UNRESOLVED_CLUSTER" in reasons:
        return "a group that is not counted forbids a negative"
    if "KINDS_MISSED" in reasons:
        return "more than a tenth of the leukaemias would be missed"
    if "SPIKE_IN_MISSED" in reasons:
        return "cells spiked into the tube were not found"
    return "group not convincing enough" if record["level"] > 0 else "normal cells taken for leukaemia"
