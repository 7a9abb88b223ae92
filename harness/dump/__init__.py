"""Dumps as they lie on disks: readers and collectors. Knows nothing of the emulated machine."""
