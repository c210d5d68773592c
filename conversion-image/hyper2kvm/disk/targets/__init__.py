"""Targets: what a copy is written to. One protocol, a class a format; each knows its own bytes and nothing else."""
