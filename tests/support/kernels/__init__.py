"""Small kernels for tests."""
