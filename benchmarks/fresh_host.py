"""How long a new host takes to its first PASS.

    python benchmarks/fresh_host.py trixie
    python benchmarks/fresh_host.py bookworm --without-sources
    python benchmarks/fresh_host.py sid -- ./bootstrap.sh setup

Makes a minimal Debian of a suite with debootstrap, puts a clone of this checkout (the committed
files) into it, and runs a command in it, by default ``./bootstrap.sh demo``. Needs root,
debootstrap, and 12 GB below ``--directory``. It uses the mirror of this host's apt, or
$ZHARNESS_DEBIAN_MIRROR. With ``--without-sources`` the programs are installed first, then apt's
sources are removed, and the demo gets the mirror as an option. ``--ccache`` copies objects of
earlier compilations into the host, for a quick trial. The exit code is the command's.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from harness.images.debian.mirror import KEYRING, OPTION, mirror

CHECKOUT = Path(__file__).parents[1]
PLACE = "/harness"  # of the clone, in the new host
DEMO = ("./bootstrap.sh", "demo")
# the new host trusts the same certificates, because the package index may be behind a proxy
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
CERTIFICATES_INSIDE = "/root/certificates.crt"
# a separate mount and process namespace, so that nothing stays mounted or running. chroot alone is
# not enough, because no user namespace can be made in it
ENTER = """
set -e
mount --bind "$1" "$1"
mount -t proc proc "$1/proc"
mount -t sysfs sysfs "$1/sys"
mount --rbind /dev "$1/dev"
cd "$1"
mkdir -p .outside
pivot_root . .outside
umount -l /.outside
shift
exec chroot . sh -c 'cd "$0" && exec "$@"' "$@"
"""
# settings of this host's apt: how it reaches the mirror, and whether it checks dates
APT_SETTINGS = ("Acquire::Check-", "Acquire::http", "Acquire::ftp", "Acquire::Retries")


@contextmanager
def new_host(suite: str, directory: Path) -> Iterator[Path]:
    """The root of a minimal Debian with a clone of this checkout; removed at the end."""
    root = Path(tempfile.mkdtemp(prefix=f"{suite}-", dir=directory))
    try:
        options = ("--variant=minbase", f"--keyring={KEYRING}")
        subprocess.run(["debootstrap", *options, suite, str(root), mirror()], check=True)
        clone = ["git", "clone", "-q", "--no-hardlinks", str(CHECKOUT), f"{root}{PLACE}"]
        subprocess.run(clone, check=True)
        shutil.copy("/etc/resolv.conf", root / "etc" / "resolv.conf")
        (root / "etc" / "apt" / "apt.conf.d" / "99outside").write_text(apt_settings())
        if CERTIFICATES.is_file():
            shutil.copy(CERTIFICATES, f"{root}{CERTIFICATES_INSIDE}")
        yield root
    finally:
        shutil.rmtree(root)


def apt_settings() -> str:
    done = subprocess.run(
        ["apt-config", "dump", "Acquire"], capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    return "".join(f"{line}\n" for line in lines if line.startswith(APT_SETTINGS))


def inside(root: Path, command: Sequence[str]) -> int:
    """Run a command in the clone, without the environment of this host."""
    settings = {
        "HOME": "/root",
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
    }
    if (root / CERTIFICATES_INSIDE.lstrip("/")).is_file():
        settings["PIP_CERT"] = CERTIFICATES_INSIDE
    enter = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", ENTER, "sh"]
    return subprocess.run(
        [*enter, str(root), PLACE, *command], env=settings, check=False
    ).returncode


def take_along(objects: Path, root: Path) -> None:
    """Copy a ccache directory into the default store of the new host."""
    store = root / "root/.cache/zharness/store"
    store.mkdir(parents=True)
    shutil.copytree(objects, store / ".ccache")


def take_sources_away(root: Path) -> None:
    """Remove all sources and lists of apt, as on a host that is not Debian."""
    shutil.rmtree(root / "var/lib/apt/lists")
    (root / "var/lib/apt/lists/partial").mkdir(parents=True)
    for path in (root / "etc/apt").glob("sources.list*"):
        path.rename(root / "root" / path.name)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("suite", help="Debian suite: bookworm, trixie or sid")
    parser.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--without-sources", action="store_true")
    parser.add_argument("--ccache", type=Path, metavar="DIR")
    parser.add_argument("command", nargs="*", help="command to run in the new host, after --")
    arguments = parser.parse_args()
    if os.geteuid() or shutil.which("debootstrap") is None:
        parser.error("this needs root, and the package debootstrap")
    command = tuple(arguments.command) or DEMO
    with new_host(arguments.suite, arguments.directory) as root:
        if arguments.ccache:
            take_along(arguments.ccache, root)
        start = time.monotonic()
        if arguments.without_sources:
            inside(root, ("./bootstrap.sh", "setup"))
            take_sources_away(root)
            command += () if arguments.command else (OPTION, mirror())
        status = inside(root, command)
        minutes, seconds = divmod(round(time.monotonic() - start), 60)
    what = " ".join(command)
    print(f"{arguments.suite}: '{what}' ended with {status} after {minutes} min {seconds} s")
    return status


if __name__ == "__main__":
    sys.exit(main())
