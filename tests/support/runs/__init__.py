"""Runs without QEMU: their machines, engines, workers and reports."""
