"""Dumps in files on a file system, as zfcpdump 1 and 2 wrote them."""

import os

from . import machine
from .machine import SECTOR, DumpError, libc_call, mount, wait_for
from .output import Writer, copy

MOUNT_POINT = "/mnt"
FILE_SYSTEMS = ("ext4", "ext3", "ext2")
E2FSCK = "/sbin/e2fsck"
E2FSCK_FAILED = 4  # exit statuses from here on mean that errors remain


def dump_to_file(disk, parameters, form, buffer, hsa_size, sector):
    """Write dump.N into the file system on ``disk``; returns Progress and the file's name."""
    partition = wait_for(lambda: f"{disk}{parameters.part}", os.path.exists)
    check_file_system(partition)
    mount_any(partition)
    directory = MOUNT_POINT + parameters.dir.rstrip("/")
    os.makedirs(directory, exist_ok=True)
    name = f"{directory}/dump.{next_number(directory)}"
    progress = write_file(name, form, buffer, hsa_size, parameters.mode, sector)
    os.sync()
    libc_call("umount", MOUNT_POINT.encode())
    return progress, f"{partition}:{name[len(MOUNT_POINT) :]}"


def write_file(name, form, buffer, hsa_size, mode, sector=SECTOR):
    """Write a new file; if the disk becomes full, delete an older dump beside it."""
    writer = Writer(name, holes=True, flags=os.O_CREAT | os.O_EXCL, sector=sector)
    writer.on_full = lambda: make_room(os.path.dirname(name), name, mode)
    if form.size is not None:
        os.ftruncate(writer.fd, form.size)
    progress = copy(form, writer, buffer, hsa_size)
    os.ftruncate(writer.fd, form.size)  # now the size is known
    writer.close()
    return progress


def check_file_system(partition):
    pid = os.posix_spawn(E2FSCK, [E2FSCK, "-y", partition], {"PATH": "/sbin"})
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if not 0 <= status < E2FSCK_FAILED:
        raise DumpError(f"e2fsck cannot repair {partition} (status {status})")


def mount_any(partition):
    for file_system in FILE_SYSTEMS:
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


def make_room(directory, current, mode):
    """Delete the oldest dump, asking first in interactive mode."""
    dumps = [f"{directory}/dump.{number}" for number in dump_numbers(directory)]
    dumps = sorted((name for name in dumps if name != current), key=os.path.getmtime)
    if not dumps:
        raise DumpError("no space left on the disk, and no older dump to delete")
    oldest = dumps[0][len(MOUNT_POINT) :]
    if mode == "interactive" and not confirmed(f"Disk full. Delete the oldest dump {oldest}?"):
        raise DumpError("no space left on the disk, and the oldest dump was to be kept")
    machine.say(f"disk full: deleting the oldest dump {oldest}")
    os.unlink(dumps[0])
    os.sync()


def confirmed(question):
    while True:
        os.write(1, f"zfcpdump: {question} (y/n) ".encode())
        answer = os.read(0, 80).strip().lower()
        if answer in (b"y", b"yes", b"n", b"no", b""):
            return answer.startswith(b"y")
