"""ELF dumps: an unchanged copy of /proc/vmcore."""

from .machine import PAGE
from .output import copy_range


class Elf:
    """A form (see output.copy). Source and dump have the same offsets."""

    def __init__(self, core):
        self.core, self.size = core, core.size

    def parts(self, hsa_size):
        saved, rest = [], [(PAGE, self.core.head - PAGE)]
        for offset, address, size in self.core.loads:
            low = min(size, max(0, hsa_size - address))
            saved.append((offset, low))
            rest.append((offset + low, size - low))
        return (
            [(offset, size) for offset, size in saved if size > 0],
            [(offset, size) for offset, size in rest if size > 0],
        )

    def copy(self, part, writer, buffer, progress):
        offset, size = part
        copy_range(self.core.source, offset, size, writer, offset, buffer, progress)

    def finish(self, writer):
        pass

    def first_page(self):
        return self.core.first_page
