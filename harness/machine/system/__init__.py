"""The system that crashes: boot, shell, crash, and its load after the dump."""
