"""The crash utility as a judge: ``guest`` runs it, ``output`` reads what it says, ``agreement``
compares that with our reader and drgn.
"""
