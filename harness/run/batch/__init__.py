"""Many runs in parallel: one worker process for each, and one loop that owns them all."""
