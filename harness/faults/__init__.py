"""Faults that a scenario asks for: what goes wrong, where, and what the system promises then."""
