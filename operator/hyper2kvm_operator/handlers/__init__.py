"""kopf's handlers: they put what the watches tell into the cache and the queue, and nothing else."""
