"""QEMU's gdbstub: the protocol without I/O, its client, and recordings of its traffic."""
