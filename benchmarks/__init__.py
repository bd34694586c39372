"""Measurements of flowmrd: accuracy and speed. Not part of the installed package."""
