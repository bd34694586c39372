"""Scaling of raw values to 0..1: logicle, asinh, linear, and their inverses."""

from flowmrd.preprocess.transform.logicle import inverse_logicle, logicle
from flowmrd.preprocess.transform.parameters import choose_top, estimate_width, negative_reference, upper_value
from flowmrd.preprocess.transform.scale import ChannelScale

__all__ = [
    "ChannelScale",
    "choose_top",
    "estimate_width",
    "inverse_logicle",
    "logicle",
    "negative_reference",
    "upper_value",
]
