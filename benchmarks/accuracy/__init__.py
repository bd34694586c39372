"""How well leukaemic cells are found, measured by diluting real patients' blasts into other patients' marrow.

``python -m benchmarks.accuracy --help``; the tables go to ``docs/accuracy.md``.
"""
