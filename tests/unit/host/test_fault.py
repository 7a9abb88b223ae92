"""Faults of the host are an ERROR; only a wrong name is a user's mistake."""

from __future__ import annotations

import errno
import os
import re
import resource
import threading
from pathlib import Path

import pytest
import typer

import harness
from harness.cli.app import app
from harness.errors import ExitCode, HarnessError
from harness.host.fault import cannot_grow, disk_is_full, host_fault, says_disk_is_full, unusable
from harness.host.paths import require_file
from harness.images.initramfs import gen_init
from harness.images.kernel import image as kernel_image
from harness.report.junit import check_writable
from harness.scenario.load import load

WRONG = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP)
FAULTS = (errno.EACCES, errno.EIO, errno.EMFILE, errno.ENOMEM, errno.ENOSPC, errno.EROFS)


@pytest.mark.parametrize("number", [*WRONG, *FAULTS])
def test_only_a_wrong_name_is_usage(number):
    error = unusable("a file", OSError(number, os.strerror(number)))
    assert error.exit_code == (ExitCode.USAGE if number in WRONG else ExitCode.ERROR)
    assert error.message == f"a file: {os.strerror(number)}"


@pytest.fixture
def out_of_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that the host refuses to open or to stat, also for root."""
    path = tmp_path / "refused.toml"
    path.write_text("description = 'x'\n")
    true_open, true_stat = Path.open, Path.stat

    def refusing(true):
        def call(self: Path, *arguments, **options):
            if self == path:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))
            return true(self, *arguments, **options)

        return call

    monkeypatch.setattr(Path, "open", refusing(true_open))
    monkeypatch.setattr(Path, "stat", refusing(true_stat))
    return path


@pytest.mark.parametrize(
    "use",
    [
        lambda path: require_file(path, "kernel"),
        lambda path: kernel_image.check(path),
        lambda path: list(gen_init.parse([path], {})),
        lambda path: check_writable(path),
        lambda path: load(str(path)),
    ],
    ids=["file", "kernel", "list", "junit", "scenario"],
)
def test_a_refusal_of_the_host_is_an_error(out_of_reach, use):
    with pytest.raises(HarnessError) as raised:
        use(out_of_reach)
    assert raised.value.exit_code == ExitCode.ERROR
    assert str(out_of_reach) in raised.value.message


def test_dev_null_counts_as_empty_even_if_it_is_missing(tmp_path, monkeypatch):
    """Where /dev/null is a regular file, or is missing."""
    monkeypatch.setattr(Path, "read_bytes", lambda self: self.open("rb").read())
    true = Path.open

    def opened(self: Path, *arguments, **options):
        if self == Path("/dev/null"):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self))
        return true(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", opened)
    file = tmp_path / "x.list"
    file.write_text("file /empty /dev/null 0644 0 0\n")
    (entry,) = gen_init.parse([file], {})
    assert entry.data == b""


def test_a_full_disk_is_told_from_a_file_that_is_too_large():
    numbers = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
    errors = [OSError(number, os.strerror(number)) for number in numbers]
    assert [disk_is_full(error) for error in errors] == [True, True, False, False]
    assert [cannot_grow(error) for error in errors] == [True, True, True, False]
    assert [says_disk_is_full(str(error)) for error in errors] == [True, False, False, False]


def test_a_full_disk_has_one_home():
    """No other module compares with the errors of a full disk."""
    package = Path(harness.__file__).parent
    said = [
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if re.search("ENOSPC|EDQUOT", path.read_text())
    ]
    assert said == ["host/fault.py"]


def test_a_working_directory_that_is_gone(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(FileNotFoundError) as raised:
        Path.cwd()
    fault = host_fault(raised.value)
    assert fault.message == "the working directory has been removed"
    monkeypatch.chdir(tmp_path)
    assert host_fault(raised.value) is None  # a name that is not there may be our mistake


def commands(group):
    for command in getattr(group, "commands", {}).values():
        yield command
        yield from commands(command)


def test_no_option_calls_a_file_that_may_not_be_read_a_users_mistake():
    """Typer's own check would do that. So the code that opens the file reports the error."""
    described = [
        (command.name, parameter.name, parameter.type_descriptor)
        for command in commands(typer.main.get_command(app))
        for parameter in command.params
        if "Path" in str(parameter.type_descriptor.annotation)
    ]
    assert len(described) > 20
    assert [where for *where, kind in described if kind.parameter_info.readable] == []


def test_a_thread_that_the_host_refuses_is_the_hosts_fault():
    before = threading.stack_size(1 << 45)  # more than there is to address
    try:
        with pytest.raises(RuntimeError) as refused:
            threading.Thread(target=print).start()
    finally:
        threading.stack_size(before)
    fault = host_fault(refused.value)
    assert fault is not None
    assert fault.message.startswith("no thread can be started (")
    assert host_fault(RuntimeError("a mistake of ours")) is None


def test_python_without_memory_may_say_that_it_is_at_fault(monkeypatch: pytest.MonkeyPatch):
    error = SystemError("error return without exception set")
    assert host_fault(error) is None
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1 << 30, resource.RLIM_INFINITY))
    fault = host_fault(error)
    assert fault is not None
    assert fault.message == "there is not enough memory (the limit is 1073741824)"
