"""One dump alone, or two side by side: ``zharness dump check`` and ``compare``."""
