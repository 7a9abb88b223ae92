"""The machine and its kernel: /proc, /sys, the HSA, the disk, re-IPL and power off."""

import ctypes
import os
import struct
import time

PAGE = 4096
SECTOR = 512  # of nearly all disks
DISK_SECONDS = 30  # SCSI disks appear some time after the start

VMCORE = "/proc/vmcore"
ZCORE = "/sys/kernel/debug/zcore"
IPL = "/sys/firmware/ipl"

# zipl's SCSI boot record (s390-tools zipl/include/boot.h)
MBR_MAGIC = b"zIPL"
BOOT_INFO = struct.Struct(">4sBBBBQ")  # magic, version, type, device, flags, superblock offset
BOOT_INFO_AT = 0x70
BOOT_INFO_DUMP = 1

POWER_OFF = 0x4321FEDC  # include/uapi/linux/reboot.h


class DumpError(Exception):
    """The dump cannot be written; the message is for the result line."""


def set_up():
    for what, where in (("proc", "/proc"), ("sysfs", "/sys"), ("debugfs", "/sys/kernel/debug")):
        mount(what, where, what)
    # a kernel without it uses the nodes that are in the ramdisk
    if "devtmpfs" in read_text("/proc/filesystems").split():
        mount("devtmpfs", "/dev", "devtmpfs")


def source():
    for path in (VMCORE, f"{ZCORE}/mem"):
        if os.path.exists(path):
            return path
    raise DumpError(f"the kernel shows no crashed memory: neither {VMCORE} nor {ZCORE}/mem")


def hsa_size():
    """Bytes of crashed memory that are in the HSA; 0 if there is none."""
    return int(read_text(f"{ZCORE}/hsa") or "0", 16)


def release_hsa():
    if os.path.exists(f"{ZCORE}/hsa"):
        write_text(f"{ZCORE}/hsa", "0")


def available_memory():
    """Available memory in bytes, from /proc/meminfo."""
    for line in read_text("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    return 0


def cpu_id():
    """The result of STORE CPU ID: version, identification, machine type; 0 if unknown."""
    for line in read_text("/proc/cpuinfo").splitlines():
        if line.startswith("processor 0:"):
            fields = dict(field.split(" = ") for field in line.split(": ")[1].split(", "))
            values = {name.strip(): int(value, 16) for name, value in fields.items()}
            return (
                values["version"] << 56 | values["identification"] << 32 | values["machine"] << 16
            )
    return 0


def reipl_or_power_off():
    """Load the original system again; without a re-IPL block, power off."""
    os.sync()
    if os.path.exists(f"{ZCORE}/reipl"):
        write_text(f"{ZCORE}/reipl", "1")
    libc_call("reboot", POWER_OFF)


# --- the disk --------------------------------------------------------------------------------


def ipl_disk():
    """Node of the disk that this system was loaded from, once it has appeared."""
    device = read_text(f"{IPL}/device")
    if not device:
        raise DumpError("not loaded from a SCSI disk for a dump: /sys/firmware/ipl has no device")
    wanted = read_text(f"{IPL}/wwpn"), read_text(f"{IPL}/lun")
    adapter = f"/sys/bus/ccw/devices/{device}"
    scan_first_target(adapter)
    say_how_loaded()
    name = wait_for(lambda: find_disk(adapter, wanted), bool, f"a disk on {device}")
    return wait_for(lambda: f"/dev/{name}", can_be_opened)


def say_how_loaded():
    """What the IPL parameter block says besides the device, if it says anything."""
    asked = [f"{name} {read_text(f'{IPL}/{name}')}" for name in ("bootprog", "br_lba")]
    data = read_text(f"{IPL}/scp_data")
    if asked != ["bootprog 0", "br_lba 0"] or data:
        say(f"loaded with {', '.join(asked)}, SCPDATA '{data}'")


def can_be_opened(path):
    """Whether the node can be opened: it exists shortly before the disk answers."""
    try:
        os.close(os.open(path, os.O_RDONLY))
    except OSError:
        return False
    return True


def scan_first_target(adapter):
    """Ask SCSI hosts for target 0; images/kernel/dump.bootconfig turns off the full scan."""
    if read_text("/sys/module/scsi_mod/parameters/scan") != "manual":
        return
    for path, directories, _ in os.walk(os.path.realpath(adapter)):
        if os.path.basename(path) == "scsi_host":
            for host in directories:
                write_text(f"{path}/{host}/scan", "0 0 -")
            directories.clear()


def find_disk(adapter, wanted):
    """Name of a disk below an adapter: the one with this WWPN and LUN, otherwise with this LUN.

    Other SCSI devices than zfcp's have no WWPN. Their names end in the LUN (include/scsi/scsi.h,
    scsilun_to_int), of which the first 16 bits are the number here.
    """
    disks = []
    for path, directories, _ in os.walk(os.path.realpath(adapter)):
        if os.path.basename(path) == "block":
            disks += [(path, name) for name in directories]
            directories.clear()
    for path, name in sorted(disks):
        # only zfcp's SCSI devices have these attributes
        scsi = os.path.dirname(path)
        if (read_text(f"{scsi}/wwpn"), read_text(f"{scsi}/fcp_lun")) == wanted:
            return name
    number = int(wanted[1] or "0", 16) >> 48
    same = [name for path, name in sorted(disks) if path.split("/")[-2].endswith(f":{number}")]
    return same[0] if same else None


def wait_for(value, good, what=None):
    """Call ``value()`` until the result is ``good``. Nothing announces nodes without udev."""
    deadline = time.monotonic() + DISK_SECONDS
    while not good(found := value()):
        if time.monotonic() > deadline:
            raise DumpError(f"{what or found} did not appear within {DISK_SECONDS} s")
        time.sleep(0.02)
    return found


def sector_size(disk):
    """Bytes of a sector of the disk."""
    path = f"/sys/block/{os.path.basename(disk)}/queue/logical_block_size"
    return int(read_text(path) or SECTOR)


def superblock_offset(disk):
    """Byte offset of the dump superblock, or None if the disk carries a file system."""
    fd = os.open(disk, os.O_RDONLY)
    mbr = read_exactly(fd, SECTOR, 0)
    os.close(fd)
    if mbr[:4] != MBR_MAGIC:
        raise DumpError(f"{disk} has no zIPL boot record")
    magic, _, kind, _, _, offset = BOOT_INFO.unpack_from(mbr, BOOT_INFO_AT)
    return offset if magic == MBR_MAGIC and kind == BOOT_INFO_DUMP else None


# --- helpers ---------------------------------------------------------------------------------


def mount(what, where, file_system):
    os.makedirs(where, exist_ok=True)
    libc_call("mount", what.encode(), where.encode(), file_system.encode(), 0, None)


def libc_call(name, *arguments):
    """Call a C library function that returns -1 and sets errno on failure."""
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments) == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def read_exactly(fd, size, offset):
    data = os.pread(fd, size, offset)
    if len(data) != size:
        raise DumpError(f"only {len(data)} of {size} bytes could be read at {offset:#x}")
    return data


def read_text(path):
    """Content of a small file, stripped; empty if there is none."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:
        return ""
    try:
        return os.read(fd, 4 * PAGE).decode().strip()
    finally:
        os.close(fd)


def write_text(path, text):
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def say(text):
    os.write(1, f"zfcpdump: {text}\n".encode())
