"""The initramfs of each guest: lists of files, cpio archives, compiled Python."""
