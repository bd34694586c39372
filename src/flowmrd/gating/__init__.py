"""Gating: placing and applying a panel's gate tree, gate references, overrides, GatingML and FlowJo."""
