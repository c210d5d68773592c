"""The installed operator and its migrations as tests use them: what is applied, what comes of it, what goes wrong."""
