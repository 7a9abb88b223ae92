"""Kernels from source: which one, its configuration, how it is compiled, what is in the image."""
