"""The checks, one module each: evidence in, findings out."""
