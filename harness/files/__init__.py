"""Files: atomic replacement, reading with limits, sparse files, JSON."""
