"""Real labelled tubes as other instruments and panels would have recorded them, with a panel file from their labels.

``python -m benchmarks.real_tubes --help``; the table goes to ``docs/experts-gates.md``.
"""
