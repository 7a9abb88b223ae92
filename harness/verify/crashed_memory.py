"""The crashed system as a dump shows one: its memory, and its registers at the crash."""

from __future__ import annotations

from io import BufferedReader
from pathlib import Path

from harness.dump.byte_source import File
from harness.dump.reader import Dump, Segment
from harness.evidence.names import CRASH_DIRECTORY, RAM
from harness.s390x.cpu import CpuState


class CrashedMemory(Dump):
    """Memory in ``file``, where absolute address = file offset; whoever opened it closes it."""

    format = "snapshot"

    def __init__(self, file: BufferedReader, cpus: tuple[CpuState, ...]) -> None:
        self.content = File(Path(CRASH_DIRECTORY, RAM), file)
        self.name, self._cpus = self.content.name, cpus
        self.segments = (Segment(0, self.content.size, self.content),)

    @property
    def cpus(self) -> tuple[CpuState, ...]:
        return self._cpus

    @property
    def length(self) -> int:
        return self.content.size
