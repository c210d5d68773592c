"""Disks: image formats, the block graph, copies. Nothing here knows what a guest is."""
