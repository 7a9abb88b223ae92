"""The formats of dumps: a reader for each, and a writer for some."""
