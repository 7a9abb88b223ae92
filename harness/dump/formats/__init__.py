"""The formats of dumps: a reader for each, and writers for those that can be written."""
