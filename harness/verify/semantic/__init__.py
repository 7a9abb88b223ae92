"""The crashed kernel's own data structures, read from a dump with drgn.

``drgn_reader`` reads, in a process of its own, because drgn is C code on damaged data. ``process``
runs that process and limits its time. ``facts`` are what it returns. ``check`` compares them with
what they must be.
"""
