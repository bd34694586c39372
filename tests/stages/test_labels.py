"""An expert's labels of a tube."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flowmrd.errors import ArtefactError
from flowmrd.stages.labels import read_labels


def test_labels_are_read_alike_from_every_kind_of_table(tmp_path: Path) -> None:
    table = pd.DataFrame({"event": [0, 3, 4], "blast": [True, False, True]})
    table.to_parquet(tmp_path / "a.parquet")
    table.to_csv(tmp_path / "a.tsv", sep="\t", index=False)
    table.rename(columns={"blast": "mrd"}).to_csv(tmp_path / "a.csv", index=False)
    for name in ("a.parquet", "a.tsv", "a.csv"):
        assert np.flatnonzero(read_labels(tmp_path / name, 6)).tolist() == [0, 4], name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("row\tblast\n1\ttrue\n", "event and blast or mrd"),
        ("event\tblast\n9\ttrue\n", "from 0 to 5"),
        ("event\tblast\n-1\ttrue\n", "from 0 to 5"),
        ("event\tblast\n1.5\ttrue\n", "from 0 to 5"),
        ("event\tblast\n1\tmaybe\n", "other words than true and false"),
        ("", "cannot be read"),
    ],
)
def test_labels_of_another_tube_or_another_kind_are_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "labels.tsv"
    path.write_text(text)
    with pytest.raises(ArtefactError, match=words):
        read_labels(path, 6)
