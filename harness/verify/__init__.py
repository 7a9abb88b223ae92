"""Is the dump right? Pure functions from evidence to findings.

Nothing here uses the code of the emulated machine. What a dump must contain comes from the crash
snapshot and from published layouts. So the machine does not verify itself.
"""
