"""Running the workflow: planning, starting, locking, refusing input; no science."""
