"""The host: its programs, processes, signals and faults."""
