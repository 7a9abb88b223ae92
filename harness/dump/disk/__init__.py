"""The structures on a dump disk: partition tables, superblocks, file systems, containers."""
