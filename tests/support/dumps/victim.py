"""A copy of a run's evidence whose dump is damaged where the kernel has a structure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from drgn import Object, Program
from drgn.helpers.linux.mm import follow_phys

from harness.dump.formats.elf.reader import ElfDump


def vmlinux_of(evidence: Path) -> Path:
    machine = json.loads((evidence / "crash/machine.json").read_bytes())
    return Path(machine["kernel"]["vmlinux"]["path"])


@dataclass(frozen=True)
class Victim:
    """A copy of a run's evidence, and its kernel before the damage."""

    evidence: Path
    dump: ElfDump
    program: Program

    def overwrite(self, what: Object, content: bytes, at: int = 0) -> None:
        """All offsets in the dump of the byte ``at`` bytes behind the start of ``what``."""
        assert what.address_ is not None
        kernel = self.program["init_mm"].address_of_()
        physical = int(follow_phys(kernel, what.address_ + at))
        self.overwrite_physical(physical, content)

    def overwrite_physical(self, physical: int, content: bytes) -> None:
        with (self.evidence / "dump/dump").open("r+b") as file:
            for load in self.dump.layout.loads:
                if load.paddr <= physical < load.paddr + load.size:
                    file.seek(load.offset + physical - load.paddr)
                    file.write(content)
