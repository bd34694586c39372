"""Samples with their pages, made once."""

from __future__ import annotations

import pytest
from report_pages import build

from report_factory import MadeSample, make_sample


@pytest.fixture(scope="session")
def positive(tmp_path_factory: pytest.TempPathFactory) -> MadeSample:
    """A tube of 12,000 events with 60 blasts, and its page."""
    made = make_sample(tmp_path_factory.mktemp("positive"))
    build(made)
    return made


@pytest.fixture(scope="session")
def negative(tmp_path_factory: pytest.TempPathFactory) -> MadeSample:
    """A clean tube that could have shown 1e-4, and its page."""
    made = make_sample(tmp_path_factory.mktemp("negative"), "P02_d21", blasts=0, nucleated=331_204)
    build(made, visits=False)
    return made
