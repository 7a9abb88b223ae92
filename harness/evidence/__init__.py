"""The files of one run: their names, readers and writers. No machine, no QEMU."""
