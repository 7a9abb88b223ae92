"""Debian packages for tests."""
