"""Dump tools, one row each: what their ramdisk contains, and how they report their result."""
