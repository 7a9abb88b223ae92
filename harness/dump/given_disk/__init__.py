"""A disk that somebody else prepared: unpack its image, read its boot map, find old dumps."""
