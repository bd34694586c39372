"""Inputs that are not what they seem: each variant is refused, read right or told; none may be silently wrong."""
