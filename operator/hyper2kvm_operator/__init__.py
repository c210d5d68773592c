"""The operator: it watches custom resources, starts Jobs of the conversion image, and hands disks to KubeVirt."""
