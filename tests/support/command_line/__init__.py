"""zharness as a command, and what a person at a terminal sees of it."""
