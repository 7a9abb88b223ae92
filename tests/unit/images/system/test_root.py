"""The only kernel of a full system, wherever its package puts it."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import BuildError
from harness.images.system.root import the_kernel


def put(root: Path, *files: str) -> None:
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)


@pytest.mark.parametrize(
    "files",
    [
        ("boot/vmlinuz-6.1.0-s390x",),
        ("usr/lib/modules/6.1.0-s390x/vmlinuz",),  # since Debian 14
        ("boot/vmlinuz-6.1.0-s390x", "usr/lib/modules/6.1.0-s390x/vmlinuz"),
    ],
)
def test_it_is_in_boot_afterwards(tmp_path, files):
    put(tmp_path, *files)
    release, kernel = the_kernel(tmp_path)
    assert release == "6.1.0-s390x"
    assert kernel == tmp_path / "boot/vmlinuz-6.1.0-s390x"
    assert kernel.read_text() == files[0]


@pytest.mark.parametrize(
    "files",
    [
        (),
        ("usr/lib/modules/6.1.0/modules.dep",),
        ("boot/vmlinuz-1", "boot/vmlinuz-2"),
        ("boot/vmlinuz-1", "usr/lib/modules/2/vmlinuz"),
    ],
)
def test_none_or_several_are_refused(tmp_path, files):
    put(tmp_path, *files)
    with pytest.raises(BuildError, match=f"{len(files) if 'dep' not in str(files) else 0} kernels"):
        the_kernel(tmp_path)
