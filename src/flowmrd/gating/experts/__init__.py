"""Gates that an expert drew in other software, read as memberships of a tube's events.

``read`` knows the kinds of file, ``tube_events`` reads the tube, ``expert_gates`` is what comes out. FlowJo workspaces
and GatingML are evaluated by FlowKit (``flowkit_gates``); FACSDiva (``diva``) and Kaluza (``kaluza``) by our own
reader of what is publicly known of them (``drawn_gates``).
"""

from flowmrd.gating.experts.expert_gates import ExpertGates
from flowmrd.gating.experts.flowkit_gates import GATINGML
from flowmrd.gating.experts.read import SUFFIXES, read_expert_gates

__all__ = ["GATINGML", "SUFFIXES", "ExpertGates", "read_expert_gates"]
