"""Spillover matrices: reading, checking, estimating from single stains, applying, measuring residual spillover."""

from flowmrd.preprocess.compensation.apply import compensate_columns
from flowmrd.preprocess.compensation.matrix import Spillover, check_spillover, normal_name, read_spillover_csv

__all__ = ["Spillover", "check_spillover", "compensate_columns", "normal_name", "read_spillover_csv"]
