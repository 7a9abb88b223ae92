"""Where Debian's packages come from, on any host, and who signs them.

A mirror is Debian's main archive. The host's own distribution does not matter: apt, Debian's
keyring and a mirror are enough to fetch any suite for any architecture.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from harness.errors import HostError, UsageError
from harness.host.tools import find_tool

ENVIRONMENT = "ZHARNESS_DEBIAN_MIRROR"
OPTION = "--debian-mirror"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

# origin and label are those of the Release file, whose signature the host's apt has verified
_TARGET = "$(ORIGIN)|$(LABEL)|$(CREATED_BY)|$(REPO_URI)"
_MAIN_ARCHIVE = ("Debian", "Debian", "Packages")  # Debian-Security and others have other labels
_URI = re.compile(r"[a-z][a-z0-9+.-]*:/[^\s\[\]]+")
_NEEDS_A_HAND = "cdrom:"


def mirror() -> str:
    """The URI of Debian's archive: $ZHARNESS_DEBIAN_MIRROR, or that of the host's apt.

    Raises HostError if there is neither, UsageError if the mirror is not a URI.
    """
    chosen = os.environ.get(ENVIRONMENT)
    if chosen:
        if not _URI.fullmatch(chosen):
            raise UsageError(
                f"'{chosen}' is not the URI of a Debian mirror",
                hint=f"{OPTION} (or {ENVIRONMENT}) takes a URI such as http://HOST/debian",
            )
        return chosen
    listing = subprocess.run(
        [find_tool("apt-get"), "indextargets", "--format", _TARGET],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    found = main_archive(listing)
    if found is None:
        raise HostError(
            "apt on this host has no Debian packages, so it is not known where to fetch them from",
            hint=f"on Debian: apt-get update; elsewhere: name a Debian mirror with {OPTION} "
            f"or {ENVIRONMENT}",
        )
    return found


def main_archive(listing: str) -> str | None:
    """The first source of Debian's main archive among apt's index targets; None if there is none.

    The suite does not matter: an archive has all suites.
    """
    for line in listing.splitlines():
        origin, label, created_by, uri = line.split("|")
        is_main = (origin, label, created_by) == _MAIN_ARCHIVE
        if is_main and _URI.fullmatch(uri) and not uri.startswith(_NEEDS_A_HAND):
            return uri
    return None


def source(suite: str, architecture: str) -> str:
    """A line of a sources.list; raises what ``mirror`` and ``require_keyring`` raise."""
    require_keyring()
    return f"deb [arch={architecture} signed-by={KEYRING}] {mirror()} {suite} main"


def require_keyring() -> None:
    """Raises HostError if Debian's signing keys are missing."""
    if not KEYRING.is_file():
        raise HostError(
            f"{KEYRING} is missing, so Debian's packages cannot be verified",
            hint="apt-get install debian-archive-keyring (Fedora: dnf install debian-keyring)",
        )
