"""Many runs at once: a worker process each, one loop that owns them all."""
