"""Reading FCS files exactly, scrubbing identifiers, writing FCS."""
