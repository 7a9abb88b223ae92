"""What Linux tells about itself in its memory: VMCOREINFO, page tables, the log."""
