"""Reads a dump with other people's tools, and compares. Knows nothing of the emulated machine."""
