"""A machine that stays where it is, for a person who wants to look at it."""
