"""Files: replaced whole, read with limits, sparse, JSON."""
