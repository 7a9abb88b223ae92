"""The dump load: the machine on the crashed system's memory, until the dump system has ended."""
