"""Read a configuration from a file, a kernel image, or a kernel in the store."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UsageError
from harness.host.paths import require_file
from harness.images.kernel import configuration
from harness.images.kernel.build import Kernel, complete_configuration
from harness.images.kernel.dependencies import Loss
from harness.images.provide import Images
from harness.images.store import sha256
from harness.lab.rules import Version, version_of
from harness.s390x.zipl import ENTRY_MARK, ENTRY_OFFSET

# "# Linux/s390 6.12.63 Kernel Configuration": scripts/kconfig/confdata.c, conf_write
_HEADER = re.compile(r"^# Linux/(\S+) (\S+) .*Kernel Configuration$", re.MULTILINE)
_ENOUGH = 1 << 22  # bytes; a configuration has some hundred thousand


@dataclass(frozen=True)
class Given:
    """A configuration's ``values``, and the kernel's ``release`` if it is known.

    ``sha256`` is the digest of what was given: a file, or a kernel image. ``image`` is that image.
    ``losses`` are lines that a source does not keep when it completes the configuration.
    """

    name: str
    sha256: str
    values: Mapping[str, str]
    release: str | None
    image: Path | None = None
    losses: tuple[Loss, ...] = ()

    @property
    def version(self) -> Version | None:
        """The release's first two numbers; None if it has none."""
        return None if self.release is None else version_of(self.release)


def given(images: Images, word: str, source: str | None = None) -> Given:
    """Read a ``.config``, a kernel image that contains one, or a kernel in the store.

    A file without the header of a complete configuration is a defconfig or a part of one;
    ``source``, or the default source, completes it. A complete one is what it is, unless a
    ``source`` is named: then its options are those that it has with that source. Raises UsageError
    for anything else, and for a kernel whose configuration is not available.
    """
    path = Path(word)
    if path.is_file() and not _is_image(path):
        return _from_text(images, path, source)
    kernel = images.given_kernel(path)
    if kernel.config is None:
        raise UsageError(
            f"kernel {word} does not carry its configuration (CONFIG_IKCONFIG)",
            hint="give its .config, or put that beside it as config-RELEASE",
        )
    return _from_kernel(word, kernel)


def _is_image(path: Path) -> bool:
    require_file(path, "configuration")
    with path.open("rb") as file:
        head = file.read(ENTRY_OFFSET + len(ENTRY_MARK))
    return b"\0" in head[:4096] or head.endswith(ENTRY_MARK)


def _from_kernel(word: str, kernel: Kernel) -> Given:
    assert kernel.config is not None
    values = configuration.parse(kernel.config)
    return Given(word, kernel.sha256, values, kernel.release, kernel.image)


def _from_text(images: Images, path: Path, source: str | None) -> Given:
    with path.open("rb") as file:
        text = file.read(_ENOUGH).decode(errors="replace")
    if not _parsed(path, text):
        raise UsageError(f"{path} is no kernel configuration: it sets no option")
    header = _header(path, text)
    losses: tuple[Loss, ...] = ()
    if source is not None or header is None:
        completed = complete_configuration(images.store, source, text, images.progress)
        text, losses = completed.text, completed.losses
        header = _header(path, text)
    assert header is not None
    return Given(str(path), sha256(path), _parsed(path, text), header, losses=losses)


def _header(path: Path, text: str) -> str | None:
    """The release that a complete configuration names; None for another."""
    header = _HEADER.search(text)
    if header is not None and header[1] != "s390":
        raise UsageError(f"{path} is a configuration of {header[1]}, not of s390")
    return None if header is None else header[2]


def _parsed(path: Path, text: str) -> dict[str, str]:
    try:
        return configuration.parse(text)
    except UsageError as error:
        raise UsageError(f"{path}: {error.message}", hint=error.hint) from None
