"""The zipl that prepares disks, if it is under test itself."""
