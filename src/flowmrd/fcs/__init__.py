"""Reading FCS files exactly, scrubbing identifiers, writing FCS."""

from flowmrd.fcs.writer import ChannelSpec, write_fcs

__all__ = ["ChannelSpec", "write_fcs"]
