"""What the crashed kernel's own data structures say, read from a dump with drgn.

``drgn_reader`` reads, in a process of its own, because drgn is C code on damaged data. ``process``
runs that process and bounds its time. ``facts`` are what it returns. ``check`` says what they ought
to be.
"""
