"""Guests: what is inside the disks, and how it is changed."""
