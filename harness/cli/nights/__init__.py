"""Nights from the command line: a series of batches, with what changed from one to the next."""
