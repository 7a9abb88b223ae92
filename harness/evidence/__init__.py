"""The files of one run: their names, and who reads and writes them. No machine, no QEMU."""
