"""The names of all files in the evidence of a run; see docs/evidence.md."""

# of the whole run
VERDICT = "verdict.json"
RUN = "run.json"
JOURNAL = "journal.jsonl"
DISK = "disk.img"  # written to by the dump system
# of a power cut: the disk before the load, all writes to it, the guest's SCSI commands
DISK_BEFORE, DISK_WRITES, DISK_COMMANDS = "disk-before.img", "disk-writes.log", "disk-scsi.trace"
WORKER_LOG = "worker.log"
SLIMMED = "slimmed.json"  # the large files that a run which passed had
PACKED = "packed.json"  # the large files that are in the page store
PAGES = "pages"  # the page store of a series, beside its nights
HELD = "held.json"  # while a machine is kept for a person
CRASH_DIRECTORY, DUMP_DIRECTORY, REIPL_DIRECTORY = "crash", "dump", "reipl"

# of each QEMU
CONSOLE = "console.log"
ARGV = "qemu-argv.json"

# of the crash
RAM = "ram.img"
CPUS = "cpus.json"
MACHINE = "machine.json"
SYSTEM_IMAGE = "system.img"  # the system's own disk, if it was loaded from one
DIGESTS = "digests.json"
WITNESSES = "witnesses.json"  # what the running system said before

# of the dump
DUMP = "dump"
SUPERBLOCK = "superblock.bin"
COLLECTED = "collected.json"
OUTCOME = "outcome.json"  # of the re-IPL, too
FILES = "files.json"  # of the dump disk, from before the dump
DUMP_SYSTEM = "dump-system.elf"  # the dump system itself, as it was at its end

# of several runs
BATCH = "batch.json"
REPORT = "report.json"
SUMMARY = "summary.txt"
