"""Demonstrations: what a person sees who tries the product for the first time."""
