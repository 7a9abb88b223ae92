"""One file with all that another person needs to dump a crash again, and to verify it."""
