"""The host: its programs, its processes and signals, and faults that are its own."""
