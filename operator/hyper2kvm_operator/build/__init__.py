"""Builders: Kubernetes objects as JSON, from documents. Pure: no I/O, no clock, no environment."""
