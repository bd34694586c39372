"""A pytest plugin that runs tests with one number of the classifier changed: which tests fail without it?

CHANGED_NUMBER=carry_over_share=0.4 python -m pytest -p benchmarks.changed_number tests/classifier/test_carry_over.py
"""

from __future__ import annotations

import ast
import inspect
import os

from flowmrd.classifier.parameters import ClassifierParameters


def change(name: str, value: object) -> None:
    """Give the parameters another default."""
    names = list(inspect.signature(ClassifierParameters).parameters)
    defaults = list(ClassifierParameters.__init__.__defaults__ or ())
    defaults[names.index(name)] = value
    ClassifierParameters.__init__.__defaults__ = tuple(defaults)
    setattr(ClassifierParameters, name, value)


_name, _, _value = os.environ["CHANGED_NUMBER"].partition("=")
change(_name, ast.literal_eval(_value))
