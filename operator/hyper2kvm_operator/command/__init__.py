"""The parts of the `h2k` command that talk to a cluster."""
