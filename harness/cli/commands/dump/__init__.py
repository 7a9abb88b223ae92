"""The commands on dumps, and the one that dumps a stored crash again."""
