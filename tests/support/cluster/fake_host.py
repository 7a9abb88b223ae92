"""A host of a cluster whose runs need no QEMU: ``python -m`` this module FILE NAME DIRECTORY CPUS.

``unfit`` in DIRECTORY makes it unfit for runs.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from harness.cluster import carry
from harness.cluster.access import Access
from harness.cluster.member import Member, serve
from harness.errors import HostError
from tests.support import FAKE_WORKER


class FakeMember(Member):
    def require_sound(self, memory: int) -> None:
        if (self.directory.parent / "unfit").exists():
            raise HostError("the disk is full", hint="free some space")


def main() -> None:
    file, name, directory, cpus = sys.argv[1:]
    carry.worker_command = lambda: [sys.executable, str(FAKE_WORKER)]  # type: ignore[attr-defined]
    place = Path(directory)
    member = FakeMember(name, place / "store", place / "work", int(cpus))
    print("ready", flush=True)
    asyncio.run(serve(Access.of(file), member))


if __name__ == "__main__":
    main()
