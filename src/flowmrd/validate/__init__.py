"""Assay validation by in-silico dilution of the laboratory's own diagnosis tubes into its own controls."""

from flowmrd.validate.dilution import Dilution, dilute
from flowmrd.validate.figures import figures

__all__ = ["Dilution", "dilute", "figures"]
