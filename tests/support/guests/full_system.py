"""A full Debian in a real QEMU, for tests of what reaches it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.deadline import Deadline
from harness.host.paths import default_store
from harness.images.provide import Images
from harness.images.store import Store
from harness.images.system.debian import DebianSystem
from harness.images.system.spec import SystemSpec
from harness.machine.system.boot import Booter
from harness.machine.system.bootable import Bootable
from harness.machine.system.running import RunningSystem
from harness.phase import Phase
from harness.progress import NoProgress
from harness.qemu.binary import find_qemu
from harness.qemu.spec import MachineSpec
from harness.ssh.handshake import Login

BOOT_SECONDS = 600  # on a host that has more to do
MEMORY = 1 << 30


class LongPhases:
    """Phases with one deadline; what is noted is kept."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    @contextmanager
    def phase(self, phase: Phase) -> Iterator[Deadline]:
        yield Deadline(BOOT_SECONDS)

    def note(self, event: str, /, **details: object) -> None:
        self.notes.append(event)


def debian() -> DebianSystem:
    """From the store, or built in some minutes."""
    return Images(Store(default_store(), NoProgress()), NoProgress()).full_system(SystemSpec())


def login_of(system: DebianSystem) -> Login:
    return Login("root", system.key, system.host_key)


@contextmanager
def booted(
    system: DebianSystem,
    directory: Path,
    *,
    direct: bool,
    login: Login | None = None,
    cpus: int = 2,
) -> Iterator[RunningSystem]:
    """The system, ``direct`` or IPLed from its disk, when it lets its user in."""
    spec = MachineSpec(
        memory=MEMORY,
        cpus=cpus,
        kernel=system.kernel,
        initrd=system.initrd,
        append=system.root_parmline,
    )
    whole = Bootable(spec, system.disk, login=login_of(system), direct=direct)
    with Booter(find_qemu(), LongPhases()).booted(whole, directory) as running:
        yield running
