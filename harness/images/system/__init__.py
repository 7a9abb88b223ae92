"""A full Debian on a disk: packages, root file system, configuration, boot map."""
