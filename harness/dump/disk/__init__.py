"""What lies on a dump disk: partition tables, superblocks, file systems, containers."""
