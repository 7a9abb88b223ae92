"""Reads what witnesses of a running system tell: tasks, modules, mounts, sockets, cached files."""
