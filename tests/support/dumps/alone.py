"""Check a dump by itself, without a crash."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.dump.disk.zipl_superblock import FoundSuperblock
from harness.dump.formats.elf.reader import ElfDump
from harness.dump.reader import Dump, Segment
from harness.inspect import check as alone
from harness.progress import NoProgress
from harness.s390x.cpu import DumpedCpu
from harness.verify.findings import CheckResult
from tests.support.dumps.byte_source import Memory
from tests.support.evidence import IDENTITY, KERNEL_IMAGE, MEMORY, stored, vmcore
from tests.support.kernels.crashed_kernel import CrashedKernel, vmcoreinfo


def read(elf: bytes) -> ElfDump:
    return ElfDump(Memory(elf, "some.elf"))


def checked(dump: Dump, found: FoundSuperblock | None = None) -> dict[str, CheckResult]:
    return {result.check: result for result in alone.check(dump, found, NoProgress())}


def reds(results: dict[str, CheckResult]) -> set[str]:
    return {name for name, result in results.items() if not result.passed}


def said(results: dict[str, CheckResult]) -> str:
    return "\n".join(finding.message for item in results.values() for finding in item.findings)


CRASHED = CrashedKernel()


def limited_elf(limit: int, crashed: CrashedKernel = CRASHED) -> bytes:
    """An ELF dump of the memory below ``limit``, which says that it is limited."""
    memory, cpus = bytes(crashed.memory()), [stored(cpu) for cpu in crashed.cpus]
    loads = [
        replace(load, size=min(load.size, limit - load.paddr))
        for load in (KERNEL_IMAGE, IDENTITY)
        if load.paddr < limit
    ]
    return vmcore(memory, cpus, vmcoreinfo=vmcoreinfo(), loads=loads, limited=(limit, MEMORY))


class OtherDump(Dump):
    """The segments and CPUs of a dump under the name of another format."""

    name, length = "other", 0

    def __init__(
        self,
        segments: Sequence[Segment],
        form: str = "s390",
        cpus: Sequence[DumpedCpu] = tuple(CRASHED.cpus),
        why: str | None = None,
    ) -> None:
        self.format, self.segments, self._cpus = form, tuple(segments), tuple(cpus)
        self.content, self._why = Memory(b"", "other"), why

    @property
    def cpus(self) -> tuple[DumpedCpu, ...]:
        return self._cpus

    @property
    def incomplete(self) -> str | None:
        return self._why


def segment(start: int, end: int, memory: bytes = bytes(CRASHED.memory())) -> Segment:
    return Segment(start, end - start, Memory(memory[start:end], "other"))
