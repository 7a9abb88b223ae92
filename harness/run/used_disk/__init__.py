"""A dump disk that was in use before: known files, older dumps, and damage."""
