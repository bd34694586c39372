"""Simulated tubes with the truth of every event, calibrated on real marrows (see docs/methods/simulator.md)."""
