"""Faults of the sample sheet and of the configuration, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from benchmarks.fuzz_runs.written_tube import Rng


def _line(text: str, change: Callable[[list[str]], list[str]], rng: Rng) -> bytes:
    """A sheet with one of its rows changed."""
    lines = text.splitlines()
    at = int(rng.integers(1, len(lines)))
    lines[at : at + 1] = ["\t".join(cells) for cells in [change(lines[at].split("\t"))]]
    return ("\n".join(lines) + "\n").encode()


def _cell(name: str, value: str) -> Callable[[str, Rng], bytes]:
    def change(text: str, rng: Rng) -> bytes:
        at = text.splitlines()[0].split("\t").index(name)
        return _line(text, lambda cells: [*cells[:at], value, *cells[at + 1 :]], rng)

    return change


def _without_column(text: str, rng: Rng) -> bytes:
    at = int(rng.integers(len(text.splitlines()[0].split("\t"))))
    rows = [line.split("\t") for line in text.splitlines()]
    return ("\n".join("\t".join(cells[:at] + cells[at + 1 :]) for cells in rows) + "\n").encode()


def _exchanged_files(text: str, rng: Rng) -> bytes:
    lines = [line.split("\t") for line in text.splitlines()]
    a, b = rng.choice(np.arange(1, len(lines)), 2, replace=False)
    lines[a][3], lines[b][3] = lines[b][3], lines[a][3]
    return ("\n".join("\t".join(cells) for cells in lines) + "\n").encode()


SHEETS: Final[dict[str, Callable[[str, Rng], bytes]]] = {
    "as it is": lambda text, rng: text.encode(),
    "UTF-8 with BOM": lambda text, rng: text.encode("utf-8-sig"),
    "UTF-16": lambda text, rng: text.encode("utf-16"),
    "Windows-1252": lambda text, rng: text.replace("day21", "Tag 21 f\xfcr").encode("cp1252"),
    "CRLF": lambda text, rng: text.replace("\n", "\r\n").encode(),
    "CR alone": lambda text, rng: text.replace("\n", "\r").encode(),
    "commas": lambda text, rng: text.replace("\t", ",").encode(),
    "semicolons": lambda text, rng: text.replace("\t", ";").encode(),
    "blanks for tabs": lambda text, rng: text.replace("\t", "  ").encode(),
    "blanks around cells": lambda text, rng: text.replace("\t", " \t ").encode(),
    "empty lines": lambda text, rng: text.replace("\n", "\n\n\t\t\n").encode(),
    "quoted cells": lambda text, rng: "\n".join(
        "\t".join(f'"{cell}"' for cell in line.split("\t")) for line in text.splitlines()
    ).encode(),
    "an open quote": lambda text, rng: text.replace("control", '"control', 1).encode(),
    "a row twice": lambda text, rng: (text + text.splitlines()[int(rng.integers(1, 6))] + "\n").encode(),
    "a file twice": lambda text, rng: (text + text.splitlines()[-1].replace("P01-day21", "P02-x", 1) + "\n").encode(),
    "role misspelt": _cell("role", "kontrol"),
    "role control": _cell("role", "control"),
    "role followup": _cell("role", "followup"),
    "role diagnosis": _cell("role", "diagnosis"),
    "role compensation": _cell("role", "compensation"),
    "no patient": _cell("patient", ""),
    "patient with blanks": _cell("patient", "A. N. Other"),
    "another patient": _cell("patient", "P77"),
    "an odd sample name": _cell("sample", "../../etc/passwd"),
    "a long sample name": _cell("sample", "x" * 300),
    "no such file": _cell("fcs", "../fcs/none.fcs"),
    "a folder as file": _cell("fcs", "../fcs"),
    "the sheet as file": _cell("fcs", "samples.tsv"),
    "a null byte in a path": _cell("fcs", "../fcs/a\0b.fcs"),
    "a therapy nobody gives": _cell("prior_therapy", "cd33"),
    "header alone": lambda text, rng: (text.splitlines()[0] + "\n").encode(),
    "empty": lambda text, rng: b"",
    "bytes": lambda text, rng: rng.bytes(400),
    "a column less": _without_column,
    "a row too long": lambda text, rng: _line(text, lambda cells: [*cells, "x", "y"], rng),
    "a row too short": lambda text, rng: _line(text, lambda cells: cells[:2], rng),
    "two files exchanged": _exchanged_files,
    "header in capitals": lambda text, rng: (text.split("\n", 1)[0].upper() + "\n" + text.split("\n", 1)[1]).encode(),
    "a column misspelt": lambda text, rng: text.replace("prior_therapy", "prior_terapy").encode(),
    "an unknown panel": lambda text, rng: "\n".join(
        line + "\t" + ("panel" if i == 0 else "lab77" if i == 3 else "") for i, line in enumerate(text.splitlines())
    ).encode(),
    "another panel": lambda text, rng: "\n".join(
        line + "\t" + ("panel" if i == 0 else "vienna_b8" if i == 3 else "") for i, line in enumerate(text.splitlines())
    ).encode(),
}
CONFIGS: Final[dict[str, str]] = {
    "an unknown key": "qualiti: {min_events: 100}\n",
    "an unknown key inside": "quality: {minevents: 100}\n",
    "a text for a number": "quality: {min_events: many}\n",
    "a list for a section": "quality: [1, 2]\n",
    "a number for a section": "laip: 3\n",
    "nothing in a section": "gating:\n",
    "a tab": "quality:\n\tmin_events: 100\n",
    "a bracket left open": "quality: {min_events: 100\n",
    "a key twice": "panel: ino10\n",
    "a share above one": "quality: {nonfinite_max: 3}\n",
    "an infinite number": "gating: {max_shift_decades: .inf}\n",
    "not a number": "gating: {max_shift_decades: .nan}\n",
    "a huge number": "quality: {min_events: 1000000000000000000000000000}\n",
    "huge shift": "gating: {max_shift_decades: 1.0e+30}\n",
    "all events to be plotted": "report: {max_plot_events: 100000000000}\n",
    "one control is enough": "reference: {min_controls: 1}\n",
    "more controls than there are": "reference: {min_controls: 40}\n",
    "a reference that is not there": "reference: stored/reference\n",
    "an empty reference": 'reference: ""\n',
    "no compensation": "compensation: none\n",
    "a matrix that is not there": "compensation: {source: csv, csv: {default: none.csv}}\n",
    "a batch without matrix": "compensation: {source: csv, csv: {other: none.csv}}\n",
    "csv without a table": "compensation: {source: csv}\n",
    "single stains that are not there": "compensation: {source: controls}\n",
    "a keyword that no file has": "compensation: {source: SPILL}\n",
    "a tube without matrix": "compensation: {tubes: {P01-day21: none}}\n",
    "a condition of one": "compensation: {max_condition: 1.0001}\n",
    "all controls excluded": "controls: {excluded: {CTRL01: a, CTRL02: b, CTRL03: c, CTRL04: d}}\n",
    "a control excluded": "controls: {excluded: {CTRL01: clotted}}\n",
    "a width": "transform: {width: fixed, default_width: 0}\n",
    "a width per tube": "transform: {width: sample}\n",
    "a background of nothing": "laip: {background_per_million: 1.0e-300}\n",
    "a background of everything": "laip: {background_per_million: 1.0e+300}\n",
    "a seed of 2^70": "laip: {seed: 1180591620717411303424}\n",
    "few cells at diagnosis": "laip: {min_diagnosis_cells: 100000000}\n",
    "no spike-in for hours": "mrd: {target: 0.01, spike_in_replicates: 100000}\n",
    "a target of nothing": "mrd: {target: 1.0e-300}\n",
    "power almost one": "mrd: {target: 0.01, power: 0.9999999999999999}\n",
    "alpha almost nothing": "mrd: {target: 0.01, alpha: 1.0e-300}\n",
    "detection from 10^9 events": "mrd: {target: 0.01, min_detect_events: 1000000000}\n",
    "few cells of a control": "reference: {max_events_per_control: 1000}\n",
    "many anchors": "gating: {min_anchor_events: 100000000}\n",
    "a library that is not there": "laip: {library: nowhere}\n",
    "decisions that are not there": "review: {decisions: nowhere.json}\n",
    "limits that are not there": "report: {control_limits: nowhere.json}\n",
    "a language nobody speaks": "report: {language: xx}\n",
    "another denominator": "mrd: {target: 0.01, denominator: mononuclear}\n",
    "time is not looked at": "quality: {time_mask: false}\n",
    "a panel that is a folder": "panel: panels\n",
    "a panel of another tube": "panel: vienna_b8\n",
    "a sheet that is a folder": "samples: config\n",
    "a date that is none": "trial: {cutoff: 2024-13-45}\n",
    "yes for a text": "report: {laboratory: yes}\n",
}


def with_lines(lines: str) -> Callable[[str, Rng], bytes]:
    """The configuration with more lines, which replace the keys that they set."""

    def change(text: str, rng: Rng) -> bytes:
        key = lines.split(":", 1)[0]
        kept = [line for line in text.splitlines() if key == "panel" or not line.startswith(f"{key}:")]
        if key == "panel" and "twice" not in lines and lines != "panel: ino10\n":
            kept = [line for line in kept if not line.startswith("panel:")]
        return ("\n".join([*kept, lines]) + "\n").encode()

    return change


CONFIG_BYTES: Final[dict[str, Callable[[str, Rng], bytes]]] = {
    "BOM": lambda text, rng: text.encode("utf-8-sig"),
    "CRLF": lambda text, rng: text.replace("\n", "\r\n").encode(),
    "UTF-16": lambda text, rng: text.encode("utf-16"),
    "Windows-1252": lambda text, rng: (text + "# f\xfcr\n").encode("cp1252"),
    "empty": lambda text, rng: b"",
    "bytes": lambda text, rng: rng.bytes(300),
    "two documents": lambda text, rng: (text + "---\npanel: ino10\n").encode(),
}
