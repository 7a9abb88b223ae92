"""The system that is to crash: boot, shell, crash, and its load after the dump."""
