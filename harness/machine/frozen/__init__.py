"""A booted system that is frozen once, and thawed by every run that starts from it."""
