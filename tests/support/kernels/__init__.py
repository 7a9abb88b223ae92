"""Kernels that are small enough for a test."""
