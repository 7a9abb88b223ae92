"""Dumps in files on a file system, as zfcpdump 1 and 2 wrote them."""

import os
import select
import time

from . import machine
from .machine import SECTOR, DumpError, libc_call, mount, wait_for
from .output import Writer, copy

MOUNT_POINT = "/mnt"
EXT = ("ext4", "ext3", "ext2")
# byte, and what is there: XFS_SB_MAGIC; BTRFS_SUPER_INFO_OFFSET and its magic
EXT_MAGIC = (0x438, b"\x53\xef")
OTHERS = {"xfs": (0, b"XFSB"), "btrfs": (0x10040, b"_BHRfS_M")}
E2FSCK = "/sbin/e2fsck"
E2FSCK_FAILED = 4  # exit statuses from here on mean that errors remain
REMIND_SECONDS = 20  # from one question to the next, while there is no answer


class DiskFull(DumpError):
    """There is no room for the dump, and none can be made."""


def dump_to_file(disk, parameters, form, buffer, hsa_size, sector):
    """Write dump.N into the file system on ``disk``; returns Progress and the file's name."""
    partition = wait_for(lambda: f"{disk}{parameters.part}", machine.can_be_opened)
    kinds = file_systems(partition)
    if kinds == EXT:
        check_file_system(partition)
    mount_any(partition, kinds)
    try:
        directory = make_directory(parameters.dir)
        name = f"{directory}/dump.{next_number(directory)}"
        progress = write_file(name, form, buffer, hsa_size, parameters, sector)
    finally:
        os.sync()
        libc_call("umount", MOUNT_POINT.encode())
    return progress, f"{partition}:{name[len(MOUNT_POINT) :]}"


def make_directory(wanted):
    """The directory ``wanted`` of the file system, with the mount point before it.

    Nothing may lead out of the file system: what is written there would fill this system's memory.
    """
    path = MOUNT_POINT
    for name in wanted.split("/"):
        if name in ("", "."):
            continue
        path = f"{path}/{name}"
        if name == "..":
            raise DumpError(f"dump_dir={wanted}: .. is not allowed in it")
        if os.path.islink(path):
            raise DumpError(f"dump_dir={wanted}: {path[len(MOUNT_POINT) :]} is a symbolic link")
        if not os.path.exists(path):
            os.mkdir(path)
        elif not os.path.isdir(path):
            raise DumpError(f"dump_dir={wanted}: {path[len(MOUNT_POINT) :]} is not a directory")
    return path


def write_file(name, form, buffer, hsa_size, parameters, sector=SECTOR):
    """Write a new file; if the disk becomes full, delete an older dump beside it.

    If no room can be made, the file is removed: a part of a dump is none.
    """
    writer = Writer(name, holes=True, flags=os.O_CREAT | os.O_EXCL, sector=sector)
    writer.on_full = lambda: make_room(os.path.dirname(name), name, parameters)
    try:
        if form.size is not None:
            os.ftruncate(writer.fd, form.size)
        progress = copy(form, writer, buffer, hsa_size)
        os.ftruncate(writer.fd, form.size)  # now the size is known
    except DiskFull:
        os.unlink(name)
        raise
    finally:
        writer.close()
    return progress


def check_file_system(partition):
    pid = os.posix_spawn(E2FSCK, [E2FSCK, "-y", partition], {"PATH": "/sbin"})
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if not 0 <= status < E2FSCK_FAILED:
        raise DumpError(f"e2fsck cannot repair {partition} (status {status})")


def file_systems(partition):
    """The kinds that may be on ``partition``.

    e2fsck is for EXT. What OTHERS must repair, such as their journal, the mount itself repairs.
    """
    with open(partition, "rb", buffering=0) as content:

        def has(place):
            at, magic = place
            content.seek(at)
            return content.read(len(magic)) == magic

        if has(EXT_MAGIC):  # mke2fs leaves what was there before
            return EXT
        return next(((kind,) for kind, place in OTHERS.items() if has(place)), EXT)


def mount_any(partition, kinds):
    for file_system in kinds:
        try:
            mount(partition, MOUNT_POINT, file_system)
        except OSError as error:
            reason = error
        else:
            return
    raise DumpError(f"cannot mount {partition}: {reason}")


def dump_numbers(directory):
    """The N of every dump.N, oldest first."""
    names = (name for name in os.listdir(directory) if name.startswith("dump."))
    return sorted(int(name[5:]) for name in names if name[5:].isdigit())


def next_number(directory):
    taken = dump_numbers(directory)
    return next(number for number in range(len(taken) + 1) if number not in taken)


def make_room(directory, current, parameters):
    """Delete the oldest dump, asking first in interactive mode."""
    dumps = [f"{directory}/dump.{number}" for number in dump_numbers(directory)]
    dumps = sorted((name for name in dumps if name != current), key=os.path.getmtime)
    if not dumps:
        raise DiskFull("no space left on the disk, and no older dump to delete")
    oldest = dumps[0][len(MOUNT_POINT) :]
    if parameters.mode == "interactive":
        answer = ask(f"Disk full. Delete the oldest dump {oldest}?", parameters.wait)
        if answer is None:
            raise DiskFull(
                f"no space left on the disk, and no answer within {parameters.wait} s: "
                f"the oldest dump {oldest} is kept"
            )
        if not answer:
            raise DiskFull("no space left on the disk, and the oldest dump was to be kept")
    machine.say(f"disk full: deleting the oldest dump {oldest}")
    os.unlink(dumps[0])
    os.sync()


def ask(question, seconds):
    """Whether the operator agrees; None if there is no answer for so many ``seconds``."""
    console = select.poll()
    console.register(0, select.POLLIN)
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        os.write(1, f"zfcpdump: {question} (y/n, {left:.0f} s left) ".encode())
        if not console.poll(min(left, REMIND_SECONDS) * 1000):
            os.write(1, b"\n")
            continue
        answer = os.read(0, 80).strip().lower()
        if answer in (b"y", b"yes", b"n", b"no"):
            return answer.startswith(b"y")
        if not answer:
            time.sleep(0.1)  # a console that has ended can always be read
    return None
