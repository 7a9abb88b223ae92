from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import BuildError, HostError
from harness.images.debian.apt import host_architecture
from harness.images.debian.kernel import DebianKernel
from harness.images.debian.module import MODULE, module_for
from harness.images.store import Store
from harness.progress import NoProgress
from tests.support.debian.debs import make_deb
from tests.support.fake_apt import FakeApt

KERNEL = DebianKernel("6.12.107+deb13-s390x", "6.12.107-1", "trixie")
OWN, COMMON = KERNEL.headers
KBUILD = "linux-kbuild-6.12.107+deb13"
SCRIPTS = f"usr/lib/{KBUILD}/scripts"
# modpost prints which program it is
PROGRAMS = {f"{SCRIPTS}/{name}": name for name in ("basic/fixdep", "genksyms/genksyms")}
MODPOST = {f"{SCRIPTS}/mod/modpost": "common", f"{SCRIPTS}/mod/modpost.real-msb-64": "big-endian"}
LOADER = "usr/lib/some-linux-gnu/ld-linux.so.2"


@pytest.fixture
def debs(apt: FakeApt, tmp_path: Path) -> Path:
    """Headers, kbuild and libc6 in the mirror."""
    place, native = tmp_path / "debs", host_architecture()
    place.mkdir()
    version = KERNEL.version
    make_deb(place, OWN, version, {f"usr/src/{OWN}/.config": ""}, depends=f"{KBUILD}, gcc-14")
    # a link to the programs of kbuild, as in Debian's package
    links = {f"usr/src/{COMMON}/scripts": f"../../../{SCRIPTS}"}
    make_deb(place, COMMON, version, {f"usr/src/{COMMON}/Makefile": ""}, links=links)
    make_deb(place, KBUILD, version, PROGRAMS | MODPOST, architecture=native)
    make_deb(place, "libc6", "2.41", {LOADER: "loader"}, architecture=native)
    offer(apt, place)
    return place


def offer(apt: FakeApt, place: Path) -> None:
    """Copies the packages that are asked for, whatever their version."""
    apt.says(
        script=f'[ "$1" = -qq ] || {{ shift 2; for name; do cp {place}/"${{name%%=*}}"_*.deb .; '
        "done; }"
    )


class FakeHost:
    """A make and a compiler; ``refuses`` is an option that the compiler does not know."""

    def __init__(self, programs: Path, asked: Path) -> None:
        self._programs, self._asked = programs, asked
        self.has(make=f'"$module/{MODULE}"')

    def has(self, *, make: str, refuses: str = "nothing") -> None:
        body = f"""printf '%s\\n' "$@" >{self._asked}
for each; do case "$each" in
M=*) module=${{each#M=}} ;;
-C*) scripts=${{each#-C}}/scripts ;;
esac; done
cat "$scripts/mod/modpost" >>{self._asked}
echo module >{make}"""
        compiler = f'case "$*" in *{refuses}*) exit 1 ;; esac; echo "gcc 12"'
        for name, text in (("make", body), ("s390x-linux-gnu-gcc", compiler)):
            (self._programs / name).write_text(f"#!/bin/sh\n{text}\n")
            (self._programs / name).chmod(0o755)

    @property
    def asked(self) -> list[str]:
        return self._asked.read_text().splitlines()


@pytest.fixture
def host(apt: FakeApt, tmp_path: Path) -> FakeHost:
    return FakeHost(tmp_path / "bin", tmp_path / "asked")


def test_the_module_is_compiled_against_the_suites_headers(
    debs: Path, host: FakeHost, store: Store
):
    module = module_for(store, NoProgress(), KERNEL)
    assert module.read_text() == "module\n"
    assert any(word.endswith(f"/usr/src/{COMMON}") for word in host.asked if word[:2] == "-C")
    assert any(word.endswith(f"/usr/src/{OWN}") for word in host.asked if word[:2] == "O=")
    assert "CROSS_COMPILE=s390x-linux-gnu-" in host.asked
    assert "CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT=" not in host.asked


def test_only_the_module_is_kept_and_its_packages_are_known(
    debs: Path, host: FakeHost, store: Store, apt: FakeApt
):
    module = module_for(store, NoProgress(), KERNEL)
    asked = apt.called("download")
    assert {path.name for path in module.parent.iterdir()} == {MODULE, "build.log", "manifest.json"}
    (image,) = store.images()
    assert [each["name"] for each in image.manifest["packages"]] == [COMMON, OWN, "libc6", KBUILD]
    assert module_for(store, NoProgress(), KERNEL) == module
    assert apt.called("download") == asked


def test_the_programs_of_kbuild_run_with_their_own_c_library(
    debs: Path, host: FakeHost, store: Store
):
    module_for(store, NoProgress(), KERNEL)
    (line,) = (line for line in host.asked if line.startswith("exec "))
    assert f"/root/{LOADER} --library-path" in line
    assert line.endswith('/mod/modpost.real-msb-64.program "$@"')


def test_an_older_compiler_is_not_asked_for_what_it_does_not_know(
    debs: Path, host: FakeHost, store: Store
):
    host.has(make=f'"$module/{MODULE}"', refuses="-fmin-function-alignment")
    module_for(store, NoProgress(), KERNEL)
    assert "CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT=" in host.asked


def test_a_module_that_does_not_compile_is_an_error(debs: Path, host: FakeHost, store: Store):
    host.has(make='/dev/null; echo "zcrash.c:1: error: no such function"; exit 2')
    with pytest.raises(BuildError, match="no such function"):
        module_for(store, NoProgress(), KERNEL)
    assert store.images() == []


def test_headers_of_another_version_are_refused(
    debs: Path, host: FakeHost, store: Store, apt: FakeApt
):
    apt.says(absent=f"={KERNEL.version}")
    with pytest.raises(HostError, match=r"belong to kernel 6\.12\.107"):
        module_for(store, NoProgress(), KERNEL)


def test_headers_that_name_no_kbuild_are_an_error(
    debs: Path, host: FakeHost, store: Store, tmp_path: Path, apt: FakeApt
):
    for old in debs.glob(f"{OWN}_*"):
        old.unlink()
    place = tmp_path / "other"
    place.mkdir()
    deb = make_deb(place, OWN, KERNEL.version, {f"usr/src/{OWN}/.config": ""}, depends="gcc-14")
    deb.rename(debs / deb.name)
    with pytest.raises(BuildError, match="does not say which linux-kbuild"):
        module_for(store, NoProgress(), KERNEL)


def test_a_compiler_is_needed(apt: FakeApt, store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(apt.directory))
    with pytest.raises(HostError, match="make"):
        module_for(store, NoProgress(), KERNEL)
