"""Measurements against other tools, on the same content in one run."""
