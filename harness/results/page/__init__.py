"""The report of a series as one HTML file that needs nothing else."""
