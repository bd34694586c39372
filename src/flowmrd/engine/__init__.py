"""Running the workflow: planning, starting, locking and refusing input. It holds no science."""
