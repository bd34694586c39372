"""The page of the stress table: lines of rows that were not run again stay, and all lines are counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.accuracy.acquire import Spillover
from benchmarks.stress.__main__ import BEGIN, END, write_tables
from benchmarks.stress.raw_tube import TOP, RawTube
from benchmarks.stress.rows import shifted

OLD = "| blasts without CD45 | vienna_b8 | hard | yes | 1 / 0 / 0 | 0 / 0 / 1 | 0 / 1 / 0 | -2.0 % | 4 | 1 |"


def record(level: float, **facts: Any) -> dict[str, Any]:
    """What was found in a tube of the first row of the table."""
    found = {"setting": "without", "nucleated": 990, "true_nucleated": 1000, "class": "NEGATIVE", "false": 0}
    common = {"row": "nothing", "panel": "ino10", "patient": 0, "leukaemia": "hard", "detected": False}
    return {**common, **found, "level": level, "true": round(3e5 * level), "mrd_negative": True, **facts}


def test_lines_of_rows_that_were_not_run_again_stay_and_count(tmp_path: Path) -> None:
    page, records = tmp_path / "page.md", tmp_path / "records.jsonl"
    page.write_text(f"before\n{BEGIN}\n{OLD}\n{END}\nafter\n", encoding="utf-8")
    made = [record(1e-3, detected=True, mrd_negative=False), record(1e-4), record(0.0)]
    records.write_text("".join(json.dumps(one) + "\n" for one in made), encoding="utf-8")
    write_tables(records, page)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before")
    assert text.endswith("after\n")
    assert OLD in text
    assert "| nothing | ino10 | hard | no | 1 / 0 / 0 | 0 / 1 / 0 | 0 / 1 / 0 | -1.0 % | 0 | 1 |" in text
    assert text.index("| nothing |") < text.index(OLD)
    assert "negative with at least 20 leukaemic cells in the file: 2 of 6" in text
    assert "clean tubes that should still be negative: 2 of 2 are" in text


def test_events_beyond_the_ceiling_get_dimmer_with_their_dye_and_do_not_gather_in_one_place(tmp_path: Path) -> None:
    from flowmrd.fcs.reader import read_fcs

    n, detectors = 400, {"CD45": "PerCP-A", "SYTO41": "PacificBlue-A"}
    seen = {name: np.full(n, 500.0, dtype=np.float32) for name in ("FSC-A", *detectors.values(), "Time")}
    seen["PacificBlue-A"] = (TOP * np.linspace(0.5, 3.0, n)).astype(np.float32)
    nobody = np.zeros(n, dtype=bool)
    spill = Spillover(np.eye(2))
    tube = RawTube(
        "vienna_b8", seen, detectors, np.eye(2), nobody, ~nobody, nobody, nobody, spill, other_instrument=True
    )
    shifted("SYTO41", -0.5)(tube, np.random.default_rng(0))
    tube.write(tmp_path / "tube.fcs")
    stored = read_fcs(tmp_path / "tube.fcs")[0].scaled()[2]
    assert len(np.unique(stored)) == n
    assert stored.max() < TOP


def test_doublets_of_a_changed_marrow_are_of_its_own_cells() -> None:
    n = 300
    doublet = np.arange(n) >= 200
    columns = {"FSC-A": np.full(n, 1000.0, dtype=np.float32), "PerCP-A": np.full(n, 100.0, dtype=np.float32)}
    nobody = np.zeros(n, dtype=bool)
    tube = RawTube(
        "vienna_b8", columns, {"CD45": "PerCP-A"}, np.eye(1), nobody, ~doublet, nobody, doublet, Spillover(np.eye(1))
    )
    columns["PerCP-A"][:200] = 700.0
    tube.pair_again(np.random.default_rng(0))
    assert (tube.columns["PerCP-A"][doublet] == 1400.0).all()
    assert np.allclose(tube.columns["FSC-A"][doublet], 1940.0)
    assert (tube.columns["PerCP-A"][~doublet] == 700.0).all()
