"""A fake apt-get in the first directory of PATH, and a host that has Debian's keyring."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.images.debian import mirror

LISTING = """\
Debian|Debian-Security|Packages|http://mirror.example/debian-security/
Debian|Debian|Translations|http://mirror.example/debian/
Debian|Debian|Packages|http://mirror.example/debian/
Debian|Debian|Packages|http://second.example/debian/
Debian Backports|Debian Backports|Packages|http://mirror.example/backports/
Somebody|Debian|Packages|http://elsewhere.example/debian/
||Packages|http://never-updated.example/debian/
"""
SIZE = 1000


@dataclass(frozen=True)
class FakeApt:
    """``says`` sets its answers: ``absent`` packages are missing, ``script`` runs for others."""

    directory: Path

    def says(self, *, absent: str = "none", script: str = "", listing: str = LISTING) -> None:
        (self.directory / "listing").write_text(listing)
        apt = self.directory / "apt-get"
        apt.write_text(
            f"""#!/bin/sh
echo "$*" >>{self.calls}
[ -z "$APT_CONFIG" ] || cat "$APT_CONFIG" "${{APT_CONFIG%apt.conf}}sources.list" \
    >>{self.directory}/configuration
case "$*" in
indextargets*) exec cat {self.directory}/listing ;;
*download*{absent}*) echo "E: it is not there"; exit 100 ;;
*--print-uris*) shift 3; for name; do echo "'http://x/$name' $name.deb {SIZE} SHA256:0"; done ;;
*) {script or ":"} ;;
esac
"""
        )
        apt.chmod(0o755)

    def says_of_cache(self, script: str) -> None:
        """What apt-cache does."""
        cache = self.directory / "apt-cache"
        cache.write_text(f"#!/bin/sh\n{script}\n")
        cache.chmod(0o755)

    @property
    def calls(self) -> Path:
        return self.directory / "calls"

    @property
    def configuration(self) -> str:
        """The settings and sources of each call of apt."""
        return (self.directory / "configuration").read_text()

    def called(self, word: str) -> int:
        """How often it was called with this word."""
        lines = self.calls.read_text().splitlines() if self.calls.exists() else []
        return sum(word in line.split() for line in lines)


def fake_apt(directory: Path, monkeypatch: pytest.MonkeyPatch) -> FakeApt:
    """A fake apt that has all packages, for one test."""
    directory.mkdir()
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    monkeypatch.delenv(mirror.ENVIRONMENT, raising=False)
    (directory / "keyring.gpg").touch()
    monkeypatch.setattr(mirror, "KEYRING", directory / "keyring.gpg")
    apt = FakeApt(directory)
    apt.says()
    return apt
