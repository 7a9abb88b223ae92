"""Images: kernels, initramfs, disks, in a content-addressed store."""
