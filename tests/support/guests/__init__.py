"""The programs of the guests, run on this host."""
