"""Dumps in every format, right and hostile."""
