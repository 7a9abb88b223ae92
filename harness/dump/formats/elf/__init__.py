"""ELF, as /proc/vmcore and ngdump write it."""
