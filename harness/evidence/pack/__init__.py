"""Large files of evidence, packed: equal pages of all runs of a series are stored once."""
