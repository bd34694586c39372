"""One tube in memory, and the steps that fill it: read, preprocess, gate.

:class:`Tube` is what every later step takes and gives back. A stage, a notebook and the spike-in call the same
functions: :func:`flowmrd.tube.read.read_tube`, :func:`flowmrd.tube.preprocess.preprocess` and
:func:`flowmrd.tube.gate.gate`.
"""

from flowmrd.tube.tube import Tube

__all__ = ["Tube"]
