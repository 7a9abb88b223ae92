"""Start systems from frozen ones, in place of their boot."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from harness.images.store import Store
from harness.machine.frozen.freeze import frozen_system
from harness.machine.frozen.thaw import thawed
from harness.machine.system.boot import Booter
from harness.machine.system.bootable import Bootable
from harness.machine.system.running import RunningSystem
from harness.phase import Phase


@dataclass(frozen=True)
class FrozenBooter(Booter):
    """Boots a system only if ``store`` has not frozen it yet."""

    store: Store = field(kw_only=True)

    @contextmanager
    def booted(
        self, system: Bootable, directory: Path, phase: Phase = Phase.BOOT, dies: str = ""
    ) -> Iterator[RunningSystem]:
        """As ``Booter.booted``, for a system that comes up: ``dies`` must be empty.

        Raises what ``frozen_system`` and ``thawed`` raise.
        """
        assert not dies, "a system that dies in its boot is never up"
        frozen = frozen_system(self.store, Booter(self.binary, self.phases, self.on_line), system)
        with thawed(self, frozen, directory) as running:
            yield running
