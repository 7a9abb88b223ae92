"""QEMU's gdbstub: the protocol without I/O, its client, and its traffic on record."""
