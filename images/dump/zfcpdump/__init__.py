"""The dump tool: the only process of a zfcpdump dump system, started by its /init.

The machine saved the low part of the crashed system's memory in its HSA and loaded this dump
system there. The kernel shows the crashed memory, HSA included, as one ELF core file,
/proc/vmcore. This program copies it to the disk that it was loaded from:

- to the raw dump partition that ``zipl -d`` prepared, with zfcpdump 3's protocol (superblock,
  busy marker, checksum), or
- if that disk carries a file system, to a new file dump.N in it, as zfcpdump 1 and 2 did.

In both cases the part in the HSA is written first, so that the HSA can be released early. The first
page is written last: a dump that was interrupted has no header and never looks complete. The last
line is ``zfcpdump result: ok ...`` or ``zfcpdump result: failed: why``. Then the original system is
loaded again, if it has stored a re-IPL block; otherwise the machine powers off.

Kernel parameters, as in the original zfcpdump, and four more:

dump_dir=/          directory for dump files
dump_part=1         partition that holds the file system
dump_mem=all        or a number: dump only so many bytes of memory
dump_mode=auto      or interactive: ask before the oldest dump is overwritten on a full disk
dump_wait=120       seconds to wait for an answer; without one the oldest dump is kept
dump_debug=2        1 (quiet) to 6 (chatty; from 4 on with tracebacks)
dump_format=elf     or s390: the format of the stand-alone dump tools; always of zcore/mem
dump_compress=none  or gzip: the compressed form of s390
dump_map=auto       or never: whether memory behind the HSA may be mapped

They may also be in /etc/zfcpdump.conf, because ``zipl -d`` takes none for the dump system.

Only a small part of the standard library is used: everything must fit into an HSA of 32 MiB.

machine     the kernel's interfaces, the disk, the end
vmcore, zcore  the memory to dump
source      reads it
elf, standalone, registers     the forms of a dump
output, partition, filesystem  write it to the disk
"""

import os
import sys

from . import machine
from .elf import Elf
from .filesystem import dump_to_file
from .machine import DumpError, say
from .parameters import Parameters
from .partition import dump_to_partition
from .source import Buffer
from .standalone import Compressed, StandAlone
from .vmcore import Core
from .zcore import CopyOfZcoreMem, ZcoreMem

CONFIGURATION = "/etc/zfcpdump.conf"
# source, format, compression -> form
FORMS = {
    (Core, "elf", "none"): Elf,
    (Core, "s390", "none"): StandAlone,
    (Core, "s390", "gzip"): Compressed,
    (ZcoreMem, "s390", "none"): CopyOfZcoreMem,
    (ZcoreMem, "s390", "gzip"): Compressed,
}
# (memory available from, size of the buffer)
BUFFER_SIZES = ((32 << 20, 2 << 20), (6 << 20, 1 << 20), (0, 256 << 10))


def dump(parameters):
    """Write the dump; returns the text for the result line."""
    for complaint in parameters.complaints:
        say(complaint)
    source = machine.source()
    kind = Core if source == machine.VMCORE else ZcoreMem
    wanted = parameters.format or ("elf" if kind is Core else "s390")
    form_of = FORMS.get((kind, wanted, parameters.compress))
    if form_of is None:
        raise DumpError(
            f"dump_compress={parameters.compress} is not possible with dump_format={wanted} "
            f"from {source}"
        )
    available = machine.available_memory()
    say(f"{available / 1e6:.1f} MB memory available")
    core, hsa = kind(source, parameters.mem), machine.hsa_size()
    if parameters.map == "never":
        core.may_map = False
    if core.limit is not None:
        say(f"dump_mem: {core.limit} of {core.memory_end} bytes of memory are dumped")
    form = form_of(core)
    disk = machine.ipl_disk()
    offset = machine.superblock_offset(disk)
    if parameters.debug >= 3:
        say(f"{form.size} bytes to {disk}, HSA {hsa:#x}, ranges {core.loads}")
    sector = machine.sector_size(disk)
    size = next(size for least, size in BUFFER_SIZES if available >= least)
    buffer = Buffer(size)
    if offset is None:
        progress, where = dump_to_file(disk, parameters, form, buffer, hsa, sector)
    else:
        progress, where = dump_to_partition(disk, offset, form, buffer, hsa, sector)
    progress.show()
    packed = f", {form.size} when compressed," if parameters.compress != "none" else ""
    speed = f"in {progress.seconds():.2f} s, {progress.rate():.1f} MB/s"
    return f"{progress.done} bytes{packed} to {where} {speed}"


def main():
    parameters = Parameters("")
    try:
        machine.set_up()
        words = machine.read_text(CONFIGURATION) + " " + machine.read_text("/proc/cmdline")
        parameters = Parameters(words)
        result = f"ok {dump(parameters)}"
    except DumpError as error:
        result = f"failed: {error}"
    except BaseException as error:  # this is the only process: report every error, and end
        result = f"failed: {type(error).__name__}: {error}"
        if parameters.debug >= 4:
            sys.excepthook(*sys.exc_info())
    os.write(1, f"\nzfcpdump result: {result}\n".encode())
    machine.reipl_or_power_off()
