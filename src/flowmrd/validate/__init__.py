"""Assay validation by in-silico dilution of the laboratory's own diagnosis tubes into its own controls."""
