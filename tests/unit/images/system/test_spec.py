"""What a user may ask of a full system."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from harness.errors import UsageError
from harness.images.system.spec import GuestFile, SystemSpec


def test_a_file_and_its_place(tmp_path: Path) -> None:
    source = tmp_path / "a => b"
    source.touch(0o777)
    file = GuestFile.parse(f"{source} => /root/a b")
    assert file == GuestFile(source, PurePosixPath("/root/a b"))
    assert file.mode == 0o755
    SystemSpec(files=(file,)).check()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("x", "does not say where a file goes"),
        ("=> /x", "does not say where a file goes"),
        ("x =>", "does not say where a file goes"),
        ("x => y", "no place"),
        ("x => /a/../b", "no place"),
        ("x => /", "no place"),
        ("x => /proc/y", "/proc is not on the disk"),
        ("x => /run/y", "/run is not on the disk"),
    ],
)
def test_a_file_that_cannot_be_put(text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint) as refused:
        GuestFile.parse(text)
    assert refused.value.hint


def test_a_file_that_the_host_lacks(tmp_path: Path) -> None:
    file = GuestFile.parse(f"{tmp_path}/none => /root/x")
    with pytest.raises(UsageError, match=f"file {tmp_path}/none: No such file"):
        SystemSpec(files=(file,)).check()
    with pytest.raises(UsageError, match="is not a regular file"):
        SystemSpec(files=(replace(file, source=tmp_path),)).check()


@pytest.mark.parametrize("content", [b"", b"#", b"echo", b" #!/bin/sh"])
def test_a_first_boot_script_that_is_none(tmp_path: Path, content: bytes) -> None:
    script = tmp_path / "script"
    script.write_bytes(content)
    with pytest.raises(UsageError, match="does not begin with #!"):
        SystemSpec(first_boot=script).check()
    script.write_bytes(b"#!/bin/sh\n")
    SystemSpec(first_boot=script).check()


@pytest.mark.parametrize("suite", ["", "Bookworm", "../sid", "a b", "sid\nx"])
def test_a_suite_that_is_none(suite: str) -> None:
    with pytest.raises(UsageError, match="is no name of a suite"):
        SystemSpec(suite=suite).check()


@pytest.mark.parametrize("name", ["", "-y", "a b", "?essential", "Upper", "a/sid"])
def test_a_package_that_is_none(name: str) -> None:
    with pytest.raises(UsageError, match="is no name of a Debian package"):
        SystemSpec(packages=(name,)).check()
