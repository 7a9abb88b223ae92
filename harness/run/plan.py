"""Everything that determines a run, as plain data: what ``run.json`` replays."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.build.layout import DiskLayout
from harness.errors import EvidenceError

DEFAULT_CRASH_PARMLINE = "console=ttysclp0 panic=0"


@dataclass(frozen=True)
class Plan:
    """Sizes in bytes; a kernel of None is one that the harness builds.

    ``parmline`` is the crashed system's, ``dump_parmline`` what is added for the dump tool.
    ``time_factor`` multiplies every deadline.
    """

    scenario: str
    trigger: str
    memory: int
    cpus: int
    hsa_size: int
    layout: DiskLayout
    cpu_model: str = "max"
    disk_size: int | None = None
    kernel: Path | None = None
    vmlinux: Path | None = None
    dump_kernel: Path | None = None
    parmline: str = DEFAULT_CRASH_PARMLINE
    dump_parmline: str = ""
    time_factor: float = 1.0

    def to_json(self) -> dict[str, Any]:
        data = asdict(self)
        for name in ("kernel", "vmlinux", "dump_kernel"):
            path: Path | None = data[name]
            data[name] = None if path is None else str(path.resolve())
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Plan:
        """The inverse of :meth:`to_json`; raises EvidenceError on anything else."""
        values = dict(data)
        try:
            values["layout"] = DiskLayout(values["layout"])
            for name in ("kernel", "vmlinux", "dump_kernel"):
                values[name] = None if values[name] is None else Path(values[name])
            return cls(**values)
        except (KeyError, TypeError, ValueError) as error:
            raise EvidenceError(f"not a run's plan: {error}") from error

    def snapshot_name(self, digests: Mapping[str, str]) -> str:
        """A name that holds everything that determines the crash, ``digests`` included.

        Plans that differ only in how the crash is dumped share it.
        """
        crash = {"cpu_model": self.cpu_model, "parmline": self.parmline, **digests}
        key = hashlib.sha256(json.dumps(crash, sort_keys=True).encode()).hexdigest()[:10]
        return f"{self.trigger}-{self.cpus}cpu-{self.memory >> 20}M-{key}"
