"""The checks, a module each: evidence in, findings out."""
