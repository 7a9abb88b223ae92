from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest

from harness.errors import HostError
from harness.qemu.binary import DEFAULT_NAME, ENVIRONMENT, QemuBinary, find_qemu

FAKE = """#!/bin/sh
case "$*" in
    --version) echo "{version}"; exit ;;
    *-sandbox*) {sandbox} ;;
esac
printf 'none empty\\n{machine} x\\n'
"""
REFUSES = "echo '-sandbox support is not enabled in this QEMU binary' >&2; exit 1"


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Makes the only QEMU on PATH."""
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")

    def make(
        version: str,
        machine: str = "s390-ccw-virtio",
        name: str = DEFAULT_NAME,
        sandbox: str = ":",
    ) -> Path:
        path = tmp_path / name
        path.write_text(FAKE.format(version=version, machine=machine, sandbox=sandbox))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    return make


def test_found_on_path(fake):
    path = fake("QEMU emulator version 7.2.22 (Debian 1:7.2)")
    found = find_qemu()
    assert (found.path, found.version, found.release) == (path, (7, 2, 22), "7.2.22")


@pytest.mark.parametrize("by_name", [True, False])
def test_the_environment_wins(fake, monkeypatch: pytest.MonkeyPatch, by_name: bool):
    fake("QEMU emulator version 7.2.0")
    mine = fake("QEMU emulator version 10.0.3", name="my-qemu")
    monkeypatch.setenv(ENVIRONMENT, mine.name if by_name else str(mine))
    assert find_qemu().version == (10, 0, 3)


@pytest.mark.parametrize("version", ["7.1.99", "6.2.0"])
def test_too_old_names_both_versions(fake, version: str):
    fake(f"QEMU emulator version {version}")
    with pytest.raises(HostError, match=rf"version {version}; at least 7\.2 is needed") as error:
        find_qemu()
    assert "qemu-system-misc" in str(error.value.hint)


def test_exactly_the_minimum_is_enough(fake):
    fake("QEMU emulator version 7.2.0")
    assert find_qemu().version == (7, 2, 0)


def test_a_qemu_that_does_not_emulate_s390x_is_refused(fake):
    fake("QEMU emulator version 9.0.0", machine="pc-q35")
    with pytest.raises(HostError, match="does not emulate s390x"):
        find_qemu()


@pytest.mark.parametrize(("answer", "has_it"), [(":", True), (REFUSES, False)])
def test_it_is_asked_for_its_sandbox(fake, answer: str, has_it: bool):
    fake("QEMU emulator version 10.0.3", sandbox=answer)
    assert find_qemu().sandbox is has_it


def test_another_target_without_a_sandbox(fake):
    fake("QEMU emulator version 9.0.0", machine="pc-q35", sandbox=REFUSES)
    with pytest.raises(HostError, match="does not emulate s390x"):
        find_qemu()


def test_identity_follows_version_and_content_alone(fake, tmp_path: Path):
    path = fake("QEMU emulator version 9.0.0")
    known = find_qemu().identity()
    assert known.startswith("9.0.0 ")
    os.utime(path, (0, 0))
    copy = Path(shutil.copy(path, tmp_path / "copy"))
    assert QemuBinary(copy, (9, 0, 0)).identity() == known
    with path.open("a") as file:
        file.write("# mended by the distribution\n")
    assert find_qemu().identity() != known
    with pytest.raises(HostError, match=r"gone cannot be read: No such file"):
        QemuBinary(tmp_path / "gone", (9, 0, 0)).identity()


def test_another_program_is_refused(fake):
    fake("sh 1.0")
    with pytest.raises(HostError, match=r"printed 'sh 1\.0'"):
        find_qemu()


def test_a_qemu_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(ENVIRONMENT, "no-such-qemu")
    with pytest.raises(HostError, match="no-such-qemu was not found") as error:
        find_qemu()
    assert ENVIRONMENT in str(error.value.hint)


def test_not_executable(fake, monkeypatch: pytest.MonkeyPatch):
    path = fake("QEMU emulator version 9.0.0")
    path.chmod(0o644)
    monkeypatch.setenv(ENVIRONMENT, str(path))
    with pytest.raises(HostError, match="not an executable file"):
        find_qemu()


def test_not_runnable(fake, tmp_path: Path):
    fake("").write_bytes(b"\x7fELF of another world")
    with pytest.raises(HostError, match=r"^/[^ ]* cannot be run: Exec format error$"):
        find_qemu()


def test_one_that_starts_no_machine_tells_why(fake):
    qemu = QemuBinary(fake("QEMU emulator version 7.2.0", machine="out of memory"), (7, 2, 0))
    with pytest.raises(HostError, match="does not start a machine; it said: out of memory x"):
        qemu.require_start()


def test_one_that_starts_a_machine_and_ends_it(fake):
    path = fake("QEMU emulator version 7.2.0")
    path.write_text("""#!/bin/sh\ncat >/dev/null; echo '{"event": "SHUTDOWN"}'\n""")
    QemuBinary(path, (7, 2, 0)).require_start()
