"""Is the dump right? Pure functions from evidence to findings.

Nothing here knows the emulated machine's code: what a dump must contain comes from the crash
snapshot and from published layouts, so that the machine does not certify itself.
"""
