"""The part of an s390 machine that QEMU lacks, without any I/O.

Everything here works on values and on an :class:`AbsoluteStorage`; ``harness.machine`` brings
the stops of a real QEMU to it and carries its answers back.
"""
