"""From stored values to compensated, scaled columns with quality masks."""
