"""Disks with dumps."""
