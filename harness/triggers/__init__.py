"""Every way to make a system crash, a row each."""
