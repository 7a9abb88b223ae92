"""Dump tools, a row each: what their ramdisk is made of, and what they say of their end."""
