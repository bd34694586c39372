"""Tubes in which one thing went wrong: what is found, what is lost, and what the answer says of it.

``python -m benchmarks.stress --help``; the table goes to ``docs/stress.md``. A new kind of fault is one function and
one entry in :mod:`benchmarks.stress.rows`.
"""
