"""Bad input: one clear line, the right exit code, nothing lost."""

from __future__ import annotations

import json
import subprocess

import pytest

from harness.images.command import Tools
from harness.images.debian.apt import private_apt
from tests.support.command_line.zharness import command

pytestmark = pytest.mark.e2e


def message(ran) -> str:
    """The only error line."""
    lines = [line for line in ran.err.splitlines() if line.startswith("zharness: ")]
    told = [line for line in lines if not line.startswith("zharness: hint: ")]
    assert len(told) == 1, ran.err
    assert "Traceback" not in ran.err
    return told[0]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "an empty file"),
        (b"\x7fELF" + bytes(0x20000), "an ELF file"),
        (b"MZ" + bytes(0x200) + b"HdrS" + bytes(0x20000), "an x86 bzImage"),
        (b"just text\n", "no 'S390EP'"),
    ],
)
def test_a_kernel_that_is_not_s390(zharness, images, tmp_path, content, what):
    kernel = tmp_path / "bzImage"
    kernel.write_bytes(content)
    for option in ("--kernel", "--dump-kernel"):
        ran = zharness("run", "panic", option, kernel, "--output", tmp_path / option.strip("-"))
        assert ran.code == 2, ran.err
        assert what in message(ran)


@pytest.fixture(scope="session")
def debian_kernel(tmp_path_factory):
    """The kernel image of Debian's own package for s390x."""
    directory = tmp_path_factory.mktemp("debian")
    tools = Tools(directory / "log", "Debian's kernel")
    # an empty package; it depends on the package of the current version
    with private_apt() as apt:
        (current,) = apt.download(["linux-image-s390x"], directory / "current", "s390x", "bookworm")
        control = ["dpkg-deb", "-f", str(current), "Depends"]
        depends = subprocess.run(control, capture_output=True, text=True, check=True).stdout
        (package,) = apt.download([depends.split()[0]], directory / "package", "s390x", "bookworm")
    tools.run(["dpkg-deb", "-x", str(package), str(directory / "root")])
    (image,) = (directory / "root/boot").glob("vmlinuz-*")
    return image


def test_a_kernel_that_cannot_dump(zharness, debian_kernel, tmp_path):
    """Debian's own kernels for s390x have CONFIG_CRASH_DUMP off."""
    ran = zharness(
        "run", "panic", "--dump-kernel", debian_kernel, "--output", tmp_path / "evidence"
    )
    assert ran.code == 2, ran.err
    assert "CONFIG_CRASH_DUMP is not set" in message(ran)
    assert str(debian_kernel) in message(ran)


def test_a_guest_that_never_panics_is_an_error_that_names_the_phase(run_panic, dump_kernel):
    # the dump kernel has no sysrq, so the trigger does nothing
    ran, evidence = run_panic("--kernel", dump_kernel, "--time-factor", "0.2")
    assert ran.code == 3, ran.out
    document = ran.json
    assert (document["verdict"], document["phase"]) == ("ERROR", "crash")
    assert "waited" in document["error"]
    assert "/proc/sysrq-trigger" in document["error"], "no console lines"
    assert json.loads((evidence / "verdict.json").read_bytes())["phase"] == "crash"


def test_no_space_for_the_memory_image(images, tmp_path):
    small = 'mount -t tmpfs -o size=8M small "$0" && exec "$@"'
    run = command("run", "panic", "--json", "--output", tmp_path / "evidence")
    ran = subprocess.run(
        # a mount that only this process sees
        ["unshare", "--map-root-user", "--mount", "sh", "-c", small, str(tmp_path), *run],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 3, ran.stderr
    document = json.loads(ran.stdout)
    assert document["phase"] == "snapshot"
    assert "no space left" in document["error"]
    assert "ram.img" in document["error"]


def test_evidence_is_never_overwritten(zharness, tmp_path):
    (tmp_path / "precious").write_text("data")
    ran = zharness("run", "panic", "--output", tmp_path)
    assert ran.code == 2
    assert str(tmp_path) in message(ran)
    assert (tmp_path / "precious").read_text() == "data"


def test_contradictions_are_usage_errors(zharness, tmp_path):
    for options, what in (
        (("--hsa-size", "4G"), "--hsa-size"),
        (("--smp", "0"), "--smp"),
        (("--memory", "1M"), "--memory"),
        (("--disk-layout", "partition", "--dump-parmline", "quiet"), "zipl"),
    ):
        ran = zharness("run", "panic", *options, "--output", tmp_path / "evidence")
        assert ran.code == 2, ran.err
        assert what in message(ran)
        assert not (tmp_path / "evidence").exists()


def test_qemu_missing_or_too_old(zharness, images, tmp_path):
    missing = zharness("run", "panic", "--output", tmp_path / "a", ZHARNESS_QEMU="no-such-qemu")
    assert missing.code == 3
    assert "no-such-qemu" in missing.out + missing.err
    old = tmp_path / "old-qemu"
    old.write_text(
        '#!/bin/sh\nexec qemu-system-s390x "$@" | sed "s/version 7.2[.0-9]*/version 6.2.0/"\n'
    )
    old.chmod(0o755)
    ran = zharness("run", "panic", "--output", tmp_path / "b", ZHARNESS_QEMU=str(old))
    assert ran.code == 3
    assert "6.2" in ran.out + ran.err
    assert "7.2" in ran.out + ran.err
