"""One fault at random in a small run directory: what ``check`` and the run make of it."""
