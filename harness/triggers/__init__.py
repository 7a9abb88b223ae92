"""Every way to make a system crash, one row each."""
