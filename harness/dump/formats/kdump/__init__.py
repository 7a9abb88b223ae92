"""kdump-compressed dumps of makedumpfile and QEMU, and the flattened form of makedumpfile."""
