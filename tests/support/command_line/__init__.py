"""zharness as a command, and its output on a terminal."""
