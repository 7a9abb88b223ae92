"""What the crashed kernel's own data structures say, read from a dump with drgn.

``python -m harness.verify.kernel`` reads, in a process of its own, since drgn is C code on damaged
data; ``process`` runs it and bounds its time; ``facts`` are what comes back. What they ought to be
is for ``harness.verify.semantic`` to say.
"""
