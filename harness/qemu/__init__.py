"""A stock QEMU as a machine: its command line, its process, and its interfaces."""
