"""Verdicts and reports, for programs and for people."""
