"""Where Debian's packages come from does not depend on what the host runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import HostError, UsageError
from harness.images.debian import mirror
from tests.support.fake_apt import LISTING, FakeApt


def test_the_first_main_archive_that_apt_has() -> None:
    assert mirror.main_archive(LISTING) == "http://mirror.example/debian/"


field = st.text(st.characters(exclude_characters="|", exclude_categories=["C", "Z"]))
labels = st.sampled_from(["Debian", "Debian-Security", "Ubuntu", ""]) | field
uris = st.sampled_from(["http://a.example/debian", "cdrom://disc/", "file:/srv/debian"]) | field


@given(st.lists(st.tuples(labels, labels, st.sampled_from(["Packages", "Sources"]), uris)))
def test_no_foreign_archive_slips_in(targets: list[tuple[str, ...]]) -> None:
    found = mirror.main_archive("\n".join("|".join(target) for target in targets))
    allowed = [
        uri
        for *what, uri in targets
        if what == ["Debian", "Debian", "Packages"]
        and uri in ("http://a.example/debian", "file:/srv/debian")
    ]
    if found is not None:
        assert ("Debian", "Debian", "Packages", found) in targets
        assert not found.startswith("cdrom")
    else:
        assert not allowed


def test_a_source_names_suite_architecture_and_keyring(apt: FakeApt) -> None:
    assert mirror.source("bookworm", "s390x") == (
        f"deb [arch=s390x signed-by={mirror.KEYRING}] http://mirror.example/debian/ bookworm main"
    )


def test_the_mirror_that_is_named_counts(apt: FakeApt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(mirror.ENVIRONMENT, "http://near.example/debian")
    assert "] http://near.example/debian sid main" in mirror.source("sid", "amd64")
    assert not apt.calls.exists(), "apt is not asked about its own sources"


@pytest.mark.parametrize("text", ["near.example/debian", "http://x y", "http://x\ndeb x", "/srv"])
def test_an_invalid_mirror_is_refused(
    apt: FakeApt, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv(mirror.ENVIRONMENT, text)
    with pytest.raises(UsageError, match="is not the URI of a Debian mirror"):
        mirror.source("sid", "amd64")


@pytest.mark.parametrize("listing", ["", LISTING.replace("Debian", "Ubuntu")])
def test_a_host_without_debian_sources(apt: FakeApt, listing: str) -> None:
    apt.says(listing=listing)
    with pytest.raises(HostError, match="has no Debian packages") as failure:
        mirror.source("bookworm", "s390x")
    assert mirror.OPTION in (failure.value.hint or "")


def test_a_host_without_the_keyring(
    apt: FakeApt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "KEYRING", tmp_path / "none.gpg")
    with pytest.raises(HostError, match=r"none\.gpg is missing"):
        mirror.source("bookworm", "s390x")
