"""Debian's packages: indexes, mirrors, pinned sets, the QEMU of another suite."""
