"""Our private apt: it is asked before it fetches, and its refusals are quoted."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import HostError
from harness.images.debian.apt import private_apt
from tests.support.fake_apt import SIZE, FakeApt, fake_apt


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeApt:
    return fake_apt(tmp_path / "bin", monkeypatch)


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
