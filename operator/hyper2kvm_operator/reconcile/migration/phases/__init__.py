"""What each phase of a migration does: one module a phase, each a pure function of what is observed."""
