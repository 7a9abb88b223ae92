"""Results for people: verdicts, dumps, kernels, progress."""
