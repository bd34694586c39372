"""A normal reference of four small marrows, built once."""

from __future__ import annotations

import pytest
from laip_marrow import marrow

from flowmrd.classifier.normal_reference import ReferenceModel, build_reference
from flowmrd.classifier.parameters import ClassifierParameters


@pytest.fixture(scope="session")
def reference() -> ReferenceModel:
    return build_reference("toy", [marrow(f"c{i}", i)[0] for i in range(4)], parameters=ClassifierParameters(seed=1))
