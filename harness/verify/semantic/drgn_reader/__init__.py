"""Reads a dump with drgn, in a process of its own (``python -m`` and the name of this folder)."""
