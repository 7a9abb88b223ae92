"""Compare a dump with what the crashed system said of itself just before.

``facts`` are read from the dump by ``harness.verify.semantic.drgn_reader``, in a process of its
own. ``check`` compares them with the witnesses; the other modules do so for one part each.
"""
