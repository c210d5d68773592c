"""What of the Helm chart is made from code: its values, its rights. Nothing here runs in a cluster."""
