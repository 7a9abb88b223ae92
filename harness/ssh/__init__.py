"""SSH to a guest: keys, one connection, its commands and its files."""
