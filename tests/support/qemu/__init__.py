"""Peers of QEMU's clients, and other QEMUs."""
