"""The kernel lab: checks configurations, compares kernels, bisects dump bugs."""
