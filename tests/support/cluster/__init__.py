"""Processes of a cluster, without QEMU."""
