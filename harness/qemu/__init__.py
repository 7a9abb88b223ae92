"""A stock QEMU as a machine: its command line, process, and the interfaces it offers."""
