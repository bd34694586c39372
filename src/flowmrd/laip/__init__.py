"""laip."""
