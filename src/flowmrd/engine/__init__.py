"""Planning, starting, locking and refusing: everything around Snakemake that is not science."""
