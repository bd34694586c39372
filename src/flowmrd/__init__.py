"""Measurable residual disease of B-ALL from 10-colour flow cytometry files."""

__version__ = "0.1.0"
