"""Runs without QEMU: fake machines, engines, workers and reports."""
