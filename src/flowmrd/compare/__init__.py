"""Agreement of two methods that measured the same specimens: this program, an expert, PCR or NGS.

:mod:`flowmrd.compare.tables` reads the levels of both, :func:`compare_methods` computes every figure.
"""

from flowmrd.compare.comparison import Comparison, compare_methods
from flowmrd.compare.measurement import MeasuredPair, Measurement, parse_measurement
from flowmrd.compare.tables import TableColumns, read_long_table, read_run, read_wide_table

__all__ = [
    "Comparison",
    "MeasuredPair",
    "Measurement",
    "TableColumns",
    "compare_methods",
    "parse_measurement",
    "read_long_table",
    "read_run",
    "read_wide_table",
]
