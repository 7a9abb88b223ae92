from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import BuildError, ZiplRefused
from harness.images import zipl_guest
from harness.images.initramfs.build import IMAGE
from harness.images.kernel.build import Kernel
from harness.images.store import Built
from harness.images.zipl.chosen import Zipl
from harness.images.zipl_guest import BootFiles, run_zipl
from harness.qemu.disk import Disk
from harness.s390x.disk_layout import DiskLayout

WORDS = "Error: Invalid dump device: Extended partitions not allowed"
ZIPL = Zipl("zipl 2.35.0-1 of trixie", (), {})


@pytest.mark.parametrize(
    ("zipl", "kind", "message"),
    [
        (
            ZIPL,
            ZiplRefused,
            f"zipl 2.35.0-1 of trixie refused to prepare the partition disk: {WORDS}",
        ),
        (None, BuildError, f"zipl did not prepare the partition disk: {WORDS}"),
    ],
)
def test_a_refusal_has_zipls_own_words(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    zipl: Zipl | None,
    kind: type[BuildError],
    message: str,
):
    monkeypatch.setattr(zipl_guest, "run_job", lambda *_: WORDS)
    file = tmp_path / IMAGE
    file.write_bytes(b"")
    kernel = Kernel(file, "6.12", sha256="", origin="")
    guest = Built("initramfs-builder", "1", tmp_path, {})
    boot = BootFiles(file, file, "")
    with pytest.raises(BuildError) as caught:
        run_zipl(guest, kernel, Disk(file), DiskLayout.PARTITION, boot, tmp_path / "log", zipl=zipl)
    assert type(caught.value) is kind
    assert caught.value.message == message
