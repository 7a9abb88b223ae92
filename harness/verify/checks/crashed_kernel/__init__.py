"""Checks of what the crashed kernel says of itself."""
