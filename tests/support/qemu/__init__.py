"""Fake QEMUs for QEMU's clients, and other releases of QEMU."""
