"""Damaged files end in a clear error or the right values; the long campaign is ``benchmarks/fuzz_fcs.py``."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest


@pytest.fixture(scope="module")
def campaign(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzz_fcs", repository / "benchmarks" / "fuzz_fcs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fuzz_fcs"] = module
    spec.loader.exec_module(module)
    return module


def test_damaged_files_are_refused_or_right(campaign: ModuleType, tmp_path: Path) -> None:
    originals = campaign.seeds(tmp_path, None)
    path = tmp_path / "damaged.fcs"
    outcomes: dict[str, int] = {}
    for number in range(600):
        rng = np.random.default_rng([77, number])
        original = originals[int(rng.integers(len(originals)))]
        _, data, touched = campaign.damage(original, rng)
        path.write_bytes(data)
        outcome = campaign.judge(path, original, touched)
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    assert set(outcomes) <= {"refused", "right", "other description"}, outcomes
    assert outcomes["refused"] > 100
    assert outcomes["right"] > 100
