"""Our private apt: it is asked before it fetches, and its refusals are quoted."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from harness.errors import HostError, UsageError
from harness.host.together import together
from harness.images.debian.apt import private_apt
from tests.support.fake_apt import SIZE, FakeApt


def test_its_configuration_is_private(apt: FakeApt) -> None:
    with private_apt() as private:
        private.find(["one"], "s390x", "bookworm")
    assert 'APT::Architecture "s390x";' in apt.configuration
    for name in ("SourceList", "State::Lists", "State::Status", "Cache::Archives"):
        (place,) = {line for line in apt.configuration.splitlines() if name in line}
        assert "/zharness-apt-" in place
    assert "http://mirror.example/debian/ bookworm main" in apt.configuration


def test_an_index_is_fetched_once_for_each_suite(apt: FakeApt, tmp_path: Path) -> None:
    with private_apt() as private:
        assert private.find(["one", "two"], "s390x", "bookworm") == 2 * SIZE
        assert private.download(["one"], tmp_path / "debs", "s390x", "bookworm") == []
        assert apt.called("update") == 1
        private.find(["one"], "s390x", "trixie")
        assert apt.called("update") == 2


def test_threads_share_an_index(apt: FakeApt) -> None:
    slow = "case $* in *update*) while ! [ -e $0.go ]; do sleep 0.01; done ;; esac"
    apt.says(script=slow)

    def ask() -> None:
        private.find(["one"], "s390x", "bookworm")

    def let_go() -> None:
        limit = time.monotonic() + 30
        while apt.called("update") == 0:
            assert time.monotonic() < limit
            time.sleep(0.01)
        (apt.directory / "apt-get.go").touch()

    with private_apt() as private:
        together([ask, ask, let_go])
    assert apt.called("update") == 1


def test_an_index_that_cannot_be_had_is_asked_for_once(apt: FakeApt) -> None:
    apt.says(script="echo 'E: no network'; exit 100")
    with private_apt() as private:
        private.fetch_indexes({("bookworm", "s390x"), ("trixie", "s390x")})
        assert apt.called("update") == 2
        for _ in range(2):
            with pytest.raises(HostError, match="no network"):
                private.find(["one"], "s390x", "bookworm")
    assert apt.called("update") == 2


def test_packages_that_are_not_there_are_named(apt: FakeApt, tmp_path: Path) -> None:
    apt.says(absent="t64")
    with private_apt() as private, pytest.raises(HostError) as failure:
        private.download(["one", "two-t64", "t64"], tmp_path / "debs", "s390x", "sid")
    assert failure.value.message == "Debian's suite sid has no s390x package two-t64, t64"
    assert not (tmp_path / "debs").exists()


@pytest.mark.parametrize(
    "said", ["The repository is not signed", "Failed to fetch http://mirror.example/x"]
)
def test_its_refusal_is_the_hosts_fault(apt: FakeApt, said: str) -> None:
    apt.says(script=f"echo 'Get:1'; echo 'E: {said}'; echo 'E: more'; exit 100")
    with private_apt() as private, pytest.raises(HostError) as failure:
        private.find(["one"], "s390x", "bookworm")
    what = "apt cannot fetch s390x packages of Debian's suite bookworm"
    assert failure.value.message == f"{what}: {said}"


RESOLVED = """\
case "$*" in
*" install "*) echo "Inst two (2-1 Debian:12)"; echo "Inst one (1-1 Debian:12)" ;;
esac"""


def test_a_set_with_all_that_it_needs(apt: FakeApt) -> None:
    apt.says(script=RESOLVED)
    apt.says_of_cache('printf "Installed-Size: 10\\nInstalled-Size: 20\\n"')
    with private_apt() as private:
        found = private.resolve(["one", "?essential"], "s390x", "bookworm")
    assert found.names == ("one", "two")
    assert (found.bytes, found.installed_bytes) == (2 * SIZE, 30 << 10)


@pytest.mark.parametrize(
    ("said", "message", "hint"),
    [
        (
            "E: Unable to locate package strees",
            "Debian's suite bookworm has no s390x package strees",
            "stress",
        ),
        (
            "one : Conflicts: two but 2-1 is to be installed\nE: Unable to correct problems",
            "these packages of Debian's suite bookworm do not go together: "
            "one : Conflicts: two but 2-1 is to be installed",
            "leave one of them out",
        ),
    ],
)
def test_a_set_that_cannot_be(apt: FakeApt, said: str, message: str, hint: str) -> None:
    apt.says(script=f"""case "$*" in *" install "*) echo "{said}"; exit 100 ;; esac""")
    apt.says_of_cache("echo stress; echo other")
    with private_apt() as private, pytest.raises(UsageError) as refused:
        private.resolve(["one"], "s390x", "bookworm")
    assert refused.value.message == message
    assert hint in (refused.value.hint or "")


def test_a_suite_that_does_not_exist(apt: FakeApt) -> None:
    said = "E: The repository 'http://x bookwrm Release' does not have a Release file."
    apt.says(script=f'echo "{said}"; exit 100')
    with private_apt() as private, pytest.raises(UsageError) as refused:
        private.resolve(["one"], "s390x", "bookwrm")
    assert refused.value.message == "Debian's archive has no suite 'bookwrm'"
    assert "bookworm" in (refused.value.hint or "")


def test_a_mirror_that_lacks_what_its_index_names(apt: FakeApt, tmp_path: Path) -> None:
    missing = "\n".join(
        f"Err:{n} http://x trixie/main s390x lib{n} s390x 1.{n}-1" for n in range(1, 8)
    )
    apt.says(
        script=f"""case "$*" in "-q download"*) echo "{missing}"; echo "E: 404"; exit 100 ;; esac"""
    )
    begun: list[float] = []
    names = [f"lib{n}" for n in range(9)]
    with private_apt() as private, pytest.raises(HostError) as failure:
        private.download(names, tmp_path / "debs", "s390x", "trixie", begun.append)
    assert failure.value.message == (
        "the mirror lacks 7 of 9 s390x packages of Debian's suite trixie, although its index names "
        "them: lib1 1.1-1, lib2 1.2-1, lib3 1.3-1, lib4 1.4-1, lib5 1.5-1 and 2 more"
    )
    assert "another suite" in (failure.value.hint or "")
