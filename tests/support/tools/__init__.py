"""Dump tools of others."""
