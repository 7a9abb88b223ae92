"""Verdicts out: for machines and for people."""
