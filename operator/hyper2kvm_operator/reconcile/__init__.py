"""Reconciling: observe, decide, apply; from the state of the cluster alone, so that a restart costs nothing but time."""
