"""Output and dumps of zgetdump."""

from __future__ import annotations

from harness.dump.detect import open_dump
from harness.dump.reader import Dump
from harness.judges.zgetdump import Opinion

INFO = """Dump file "/dev/sda" is a user space core dump
General dump info:
  Dump format........: elf
  UTS kernel release.: 6.12.1-test
  System arch........: s390x (64 bit)
  CPU count (online).: 2
"""


class Written(Opinion):
    """Results as files in a directory instead of a disk image."""

    def dump(self, form: str) -> Dump:
        return open_dump(self.results / form)
