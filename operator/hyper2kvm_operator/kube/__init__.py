"""The Kubernetes client. Objects are JSON here and nowhere else without a builder or a reader."""
