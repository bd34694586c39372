"""Agreement of two methods that measured the same specimens: this program, an expert, PCR or NGS.

:mod:`flowmrd.compare.tables` reads the levels of both, :mod:`flowmrd.compare.comparison` computes every figure.
"""
