"""The commands on kernels: build and compare them, check configurations, bisect dump bugs."""
