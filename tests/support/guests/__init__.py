"""The programs of the guests, on this host."""
