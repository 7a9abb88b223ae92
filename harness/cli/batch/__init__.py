"""``run`` of many scenarios: the command, its display, the files of its report."""
