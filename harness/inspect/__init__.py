"""Check one dump alone, or compare two: ``zharness dump check`` and ``compare``."""
