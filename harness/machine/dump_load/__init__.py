"""The dump load: a machine with the crashed system's memory, until the dump system ends."""
