"""Assay validation by in-silico dilution of the laboratory's own diagnosis tubes into its own controls."""

from flowmrd.validate.dilution import Dilution, dilute
from flowmrd.validate.figures import figures
from flowmrd.validate.kinds import kinds_of

__all__ = ["Dilution", "dilute", "figures", "kinds_of"]
