"""Scaling of raw values to 0..1: logicle, asinh, linear, and their inverses."""

from flowmrd.transform.logicle import inverse_logicle, logicle

__all__ = ["inverse_logicle", "logicle"]
