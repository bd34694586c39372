"""How sure it is that a group is leukaemia: its gain beside those of controls and of spiked leukaemia."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def cluster_probabilities(
    gains: Sequence[float], *, false: Sequence[float], true: Sequence[float], limit: float
) -> tuple[float, ...]:
    """Logistic regression of being leukaemia on the logarithm of the gain, both kinds given equal weight.

    Parameters
    ----------
    gains
        Log likelihood gained by the groups in question.
    false, true
        Largest gain in every control, for a tube of this size, and in every spike-in (0 where nothing was found).
    limit
        Least gain that counts; a control with such a group is added, for the one that was not measured.

    Returns
    -------
    tuple of float
        One probability a group; 0.5 each where nothing was spiked in.
    """
    if not gains or not true:
        return tuple(0.5 for _ in gains)
    from sklearn.linear_model import LogisticRegression

    known = np.log1p(np.array([*false, limit, *true]))[:, None]
    leukaemia = np.r_[np.zeros(len(false) + 1), np.ones(len(true))]
    model = LogisticRegression(class_weight="balanced").fit(known, leukaemia)
    found = model.predict_proba(np.log1p(np.array(gains))[:, None])[:, 1]
    return tuple(float(value) for value in found)
