"""The optional shared corpus: every whole file right, every broken one refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from flowmrd.errors import FcsError
from flowmrd.stages.inspect import inspect

pytestmark = pytest.mark.shared


def test_every_entry_of_the_corpus_is_right_or_refused_as_it_should_be(shared_data: Path) -> None:
    corpus = shared_data / "fcs_corpus"
    failures = []
    for entry in json.loads((corpus / "truth.json").read_text(encoding="utf-8")):
        try:
            found = inspect(corpus / entry["path"], sums=True)
        except FcsError:
            if entry["expectation"] == "read":
                failures.append(f"{entry['path']}: refused")
            continue
        if entry["expectation"] == "reject":
            failures.append(f"{entry['path']}: not refused")
            continue
        one = next(one for one in found["data_sets"] if one["index"] == entry["dataset_index"])
        names = [((c["pnn"] or "").strip(), (c["pns"] or "").strip()) for c in one["channels"]]
        truth = [((c["pnn"] or "").strip(), (c["pns"] or "").strip()) for c in entry["channels"]]
        sums = [float(value) for value in one["sums"]]
        expected = [float(value) for value in entry["raw_sums"]]
        if one["events"] != entry["events"] or names != truth:
            failures.append(f"{entry['path']}: events or names differ")
        elif not np.allclose(sums, expected, rtol=1e-9, atol=0, equal_nan=True):
            failures.append(f"{entry['path']}: sums differ")
    assert failures == []
