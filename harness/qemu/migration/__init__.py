"""The state of a stopped QEMU's devices, out of one QEMU and into another."""
