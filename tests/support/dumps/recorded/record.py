"""Record the dumps beside this file again, with the real makedumpfile for s390x.

    python -m tests.support.dumps.recorded.record DUMP.elf \\
        qemu-s390x -L ROOT ROOT/usr/bin/makedumpfile

ROOT has Debian's s390x packages makedumpfile, libc6, libdw1, libelf1, liblzo2-2, libbz2-1.0,
liblzma5 and zlib1g, unpacked. DUMP.elf is a dump from a run. makedumpfile needs the dump of a
kernel, which is large, but it reads only a few pages: a system call trace of qemu-s390x shows them.
The script records a core of these pages and of some zero pages, and the dumps that makedumpfile
makes from it. Recorded with makedumpfile 1.7.2 and a dump of Linux 6.12.
"""

from __future__ import annotations

import gzip
import re
import struct
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.dump.formats.elf.reader import ElfDump

HERE = Path(__file__).parent
PAGE = 4096
RECORDED = {
    "zlib": ("-c", "-d", "0"),
    "raw": ("-d", "0"),
    "lzo": ("-l", "-d", "0"),
    "flattened": ("-F", "-c", "-d", "0"),
    "flattened-elf": ("-F", "-E", "-d", "0"),
}
_SEEK = re.compile(r"lseek\(3,(\d+),SEEK_SET")


def main() -> None:
    dump, makedumpfile = Path(sys.argv[1]), sys.argv[2:]
    with TemporaryDirectory() as name:
        core = Path(name) / "core"
        core.write_bytes(cut_down(dump, offsets_read(dump, makedumpfile, Path(name) / "trial")))
        keep("core", core.read_bytes())
        for form, options in RECORDED.items():
            keep(form, made(makedumpfile, options, core, Path(name) / form))


def made(makedumpfile: list[str], options: tuple[str, ...], core: Path, target: Path) -> bytes:
    if "-F" in options:
        argv = [*makedumpfile, *options, str(core)]
        return subprocess.run(argv, check=True, stdout=subprocess.PIPE).stdout
    subprocess.run([*makedumpfile, *options, str(core), str(target)], check=True)
    return target.read_bytes()


def keep(form: str, content: bytes) -> None:
    (HERE / f"{form}.gz").write_bytes(gzip.compress(content, mtime=0))


def offsets_read(dump: Path, makedumpfile: list[str], target: Path) -> list[int]:
    """The offsets that makedumpfile reads before it begins to write."""
    argv = [makedumpfile[0], "-strace", *makedumpfile[1:], "-d", "0", str(dump), str(target)]
    trace = subprocess.run(argv, check=True, stderr=subprocess.PIPE).stderr.decode(errors="replace")
    opened = trace.index(f'"{dump}",O_RDONLY')
    created = re.compile(re.escape(str(target)) + r".*O_CREAT").search(trace)
    assert created is not None
    return [int(match[1]) for match in _SEEK.finditer(trace, opened, created.start())]


def cut_down(path: Path, offsets: list[int]) -> bytes:
    """An ELF core of the pages at ``offsets``, the first three and the last four of memory."""
    with ElfDump.open(path) as dump:
        end = max(segment.end for segment in dump.segments)
        wanted = {page * PAGE for page in range(3)} | {end - page * PAGE for page in range(1, 5)}
        for load in dump.layout.loads:
            wanted |= {
                load.paddr + (offset - load.offset) // PAGE * PAGE
                for offset in offsets
                if load.offset <= offset < load.offset + load.size
            }
        loads = [
            (page, page - load.paddr + load.vaddr)
            for load in dump.layout.loads
            for page in sorted(wanted)
            if load.paddr <= page < load.paddr + load.size
        ]
        notes = b"".join(dump.content.read(each.offset, each.size) for each in dump.layout.notes)
        memory = b"".join(dump.read(page, PAGE) for page, _ in loads)
    count = 1 + len(loads)
    notes_at = 64 + 56 * count
    at = -(-(notes_at + len(notes)) // PAGE) * PAGE
    head = b"\x7fELF\x02\x02\x01".ljust(16, b"\0")
    head += struct.pack(">HHIQQQIHHHHHH", 4, 22, 1, 0, 64, 0, 0, 64, 56, count, 0, 0, 0)
    head += struct.pack(">IIQQQQQQ", 4, 0, notes_at, 0, 0, len(notes), len(notes), 0)
    for number, (page, vaddr) in enumerate(loads):
        place = at + number * PAGE
        head += struct.pack(">IIQQQQQQ", 1, 7, place, vaddr, page, PAGE, PAGE, PAGE)
    return (head + notes).ljust(at, b"\0") + memory


if __name__ == "__main__":
    main()
