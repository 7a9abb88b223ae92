"""z/Architecture layouts and numbers. No I/O; every fact names its source."""
