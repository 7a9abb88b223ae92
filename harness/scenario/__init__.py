"""Scenarios: what is crashed and how it is dumped, as data."""
