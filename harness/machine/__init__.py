"""Joins QEMU and the firmware: a system that crashes, and a machine that dumps it."""
