"""The kernel lab: configurations checked, kernels compared, dump bugs bisected."""
