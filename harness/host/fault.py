"""Which errors of Python and the operating system are the host's fault, and what to do then."""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path

from harness.errors import HarnessError, HostError, UsageError

NO_SPACE = errno.ENOSPC  # what a full disk gives
_DISK_FULL = (NO_SPACE, errno.EDQUOT)
# what a name brings about that a user has got wrong; all else is for the host to answer
_WRONG_NAME = (
    *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY),
    *(errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL, errno.ENXIO),
)
_FILES = (errno.EMFILE, errno.ENFILE)
_MEMORY = (errno.ENOMEM,)
_PROCESSES = (errno.EAGAIN,)
# Python's only message if the host refuses a thread (CPython Modules/_threadmodule.c)
_NO_THREAD = "can't start new thread"
_DEVICE = (errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM, errno.ESTALE, errno.ENODEV)


def host_fault(error: BaseException) -> HostError | None:
    """``error`` as a fault of the host; None if it may be a mistake of the harness."""
    if isinstance(error, MemoryError) or (isinstance(error, SystemError) and _memory_is_limited()):
        return _no_memory()
    if isinstance(error, ImportError):
        return HostError(
            f"a part of the harness or of Python cannot be loaded: {error}",
            hint="check the installation, and the limits that ulimit -a shows",
        )
    if isinstance(error, OSError):
        return _of_system(error)
    if isinstance(error, RuntimeError) and str(error) == _NO_THREAD:
        return _no_process("thread")
    return None


def unusable(what: str, error: OSError, *, hint: str | None = None) -> HarnessError:
    """UsageError if a name is wrong, otherwise HostError; ``what`` was to be used."""
    message = f"{what}: {error.strerror}"
    if error.errno in _WRONG_NAME:
        return UsageError(message, hint=hint)
    fault = host_fault(error)
    return HostError(message, hint=fault.hint if fault and fault.hint else hint)


def disk_is_full(error: OSError) -> bool:
    """Whether a disk, or the user's quota on it, is full."""
    return error.errno in _DISK_FULL


def cannot_grow(error: OSError) -> bool:
    """Whether a file could not grow: the disk is full, or the limit of a file's size is reached."""
    return disk_is_full(error) or error.errno == errno.EFBIG


def says_disk_is_full(text: str) -> bool:
    """Whether a tool says so in what it printed."""
    return os.strerror(NO_SPACE) in text


def no_space(error: OSError, where: object) -> HostError:
    """For an ``error`` that is ``cannot_grow``; ``where`` is the file or directory."""
    if error.errno == errno.EFBIG:
        limit = _limit(resource.RLIMIT_FSIZE)
        return HostError(
            f"{where} would become larger than a file may be here ({limit})",
            hint="raise the limit (ulimit -f), or choose another file system",
        )
    return HostError(f"no space left for {where}", hint="free some space, or choose another place")


def _of_system(error: OSError) -> HostError | None:
    where = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
    if cannot_grow(error):
        return no_space(error, "a file" if error.filename is None else error.filename)
    if error.errno in _FILES:
        return HostError(
            f"{where}too many files are open ({_limit(resource.RLIMIT_NOFILE)})",
            hint="raise the limit: ulimit -n 1024",
        )
    if error.errno == errno.ENOENT and not _have_working_directory():
        return HostError("the working directory has been removed", hint="change to another one: cd")
    if error.errno in _MEMORY:
        return _no_memory()
    if error.errno in _PROCESSES:
        return _no_process("process", where)
    if error.errno in _DEVICE:
        return HostError(f"{where}{error.strerror}")
    return None


def _have_working_directory() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return False
    return True


def _no_process(what: str, where: str = "") -> HostError:
    return HostError(
        f"{where}no {what} can be started ({_limit(resource.RLIMIT_NPROC)})",
        hint="raise the limit (ulimit -u), or end other programs",
    )


def _memory_is_limited() -> bool:
    """Whether ``ulimit -v`` is set. Then C code that gets no memory may raise SystemError."""
    return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY


def _no_memory() -> HostError:
    return HostError(
        f"there is not enough memory ({_limit(resource.RLIMIT_AS)})",
        hint="raise the limit (ulimit -v), or end other programs",
    )


def _limit(which: int) -> str:
    soft, _ = resource.getrlimit(which)
    return "no limit is set" if soft == resource.RLIM_INFINITY else f"the limit is {soft}"
