"""Image formats, as far as they must be understood before QEMU opens them: sizes, references, and whether they are whole.

Everything here reads hostile input: bounded reads, every offset checked against the file.
"""
