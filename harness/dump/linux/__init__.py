"""Linux's own data in its memory: VMCOREINFO, page tables, the log."""
