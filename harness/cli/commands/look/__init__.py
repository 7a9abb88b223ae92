"""The commands that look into what a run has left."""
