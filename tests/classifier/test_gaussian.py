"""The quantile that spares an import is that of the library."""

from __future__ import annotations

import pytest
from scipy.stats import chi2

from flowmrd.classifier.mixture import chi2_quantile


@pytest.mark.parametrize("probability", [0.025, 0.5, 0.975, 0.999])
@pytest.mark.parametrize("degrees", [1, 2.5, 9, 400])
def test_chi_squared_quantile_is_that_of_scipy(probability: float, degrees: float) -> None:
    assert chi2_quantile(probability, degrees) == pytest.approx(chi2.ppf(probability, degrees), rel=1e-12)
