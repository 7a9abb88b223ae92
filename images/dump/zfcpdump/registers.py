"""A stand-alone dump keeps the CPUs' registers in its memory, where store status puts them.

Sources: Principles of Operation, chapter 4 "Store Status" and "Store Additional Status"; Linux
arch/s390/include/asm/lowcore.h; for what a stand-alone dump tool writes: s390-tools
zipl/boot/stage2dump.c (copy_lowcore_64, should_dump_vx).
"""

import bisect
import struct

# note types (include/uapi/linux/elf.h)
PRSTATUS, FPREGS = 1, 2
TIMER, TOD_COMPARATOR, TOD_PROGRAMMABLE = 0x301, 0x302, 0x303
CONTROL, PREFIX = 0x304, 0x305
VECTOR_LOW, VECTOR_HIGH = 0x309, 0x30A

# in the 8 KiB at a CPU's prefix
LOWCORE_SIZE = 0x2000
MCESAD = 0x11B0  # address of the additional status area
FPRS_GPRS_PSW, PREFIX_FPC, TOD_TIMER_COMPARATOR, ACRS_CRS = 0x1200, 0x1318, 0x1324, 0x1340

# s390-tools ignore any other address, also one whose low bits have the size of the area
ADDITIONAL_ALIGNMENT = 1024


class Registers:
    """The registers of the CPUs in ``core`` that must be stored, and the prefixes of all CPUs."""

    def __init__(self, core):
        self.prefixes = []
        areas = {}
        for cpu in core.cpus():
            (prefix,) = struct.unpack(">I", cpu[PREFIX])
            self.prefixes.append(prefix)
            lowcore = core.read_memory(prefix, LOWCORE_SIZE)
            if lowcore is not None:
                areas.update(_status(cpu, prefix))
                areas.update(_additional_status(cpu, lowcore, core))
        self.areas = sorted(areas.items())
        self.longest = max(map(len, areas.values()), default=0)

    def store(self, view, address):
        """Put registers into ``view``, which is memory from an absolute ``address`` on."""
        end = address + len(view)
        at = bisect.bisect(self.areas, (address - self.longest, b""))
        while at < len(self.areas) and self.areas[at][0] < end:
            start, content = self.areas[at]
            low, high = max(start, address), min(start + len(content), end)
            if low < high:
                view[low - address : high - address] = content[low - start : high - start]
            at += 1


def _status(cpu, prefix):
    """Address -> bytes; the bytes between them belong to no register."""
    general, floating = cpu[PRSTATUS], cpu[FPREGS]
    psw, gprs, acrs = general[112:128], general[128:256], general[256:320]
    fpc, fprs = floating[:4], floating[8:136]
    return {
        prefix + FPRS_GPRS_PSW: fprs + gprs + psw,
        prefix + PREFIX_FPC: cpu[PREFIX] + fpc,
        # Linux keeps the comparator as store status does: a zero byte, then bits 0-55
        prefix + TOD_TIMER_COMPARATOR: cpu[TOD_PROGRAMMABLE] + cpu[TIMER] + cpu[TOD_COMPARATOR],
        prefix + ACRS_CRS: acrs + cpu[CONTROL],
    }


def _additional_status(cpu, lowcore, core):
    """V0-V31 at the lowcore's address, if that is valid and the machine has these registers."""
    (address,) = struct.unpack_from(">Q", lowcore, MCESAD)
    if not address or address % ADDITIONAL_ALIGNMENT or VECTOR_LOW not in cpu:
        return {}
    fprs, low = cpu[FPREGS][8:136], cpu[VECTOR_LOW]
    halves = [fprs[at : at + 8] + low[at : at + 8] for at in range(0, 128, 8)]
    vectors = b"".join(halves) + cpu[VECTOR_HIGH]
    return {} if core.read_memory(address, len(vectors)) is None else {address: vectors}
