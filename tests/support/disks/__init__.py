"""Disks that dumps lie on."""
