"""Counts, limits, sensitivity and verdict of a judged tube: the content of ``mrd.json``."""
