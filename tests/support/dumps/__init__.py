"""Dumps in every format, right ones and hostile ones."""
