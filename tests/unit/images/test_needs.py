"""First check everything that a build needs, then fetch everything, then compile kernels."""

from __future__ import annotations

from typing import Any

import pytest

from harness.errors import HostError, UsageError
from harness.images import needs
from harness.images import provide as images
from harness.images.debian.apt import private_apt
from harness.images.debian.packages import FOR_ALL_IMAGES, PYTHON, USER_SPACE
from harness.images.kernel.source import SourcePackage, source_package
from harness.images.kernel.spec import KernelSpec, Role
from harness.images.needs import Item, Lacking, Wanted, examine, require
from harness.images.provide import MAIN_JOB, OWN_CRASHED_KERNEL, OWN_DUMP_KERNEL, Images
from harness.images.store import Store
from harness.progress import NoProgress
from tests.support.fake_apt import FakeApt

ALL = Lacking(
    (OWN_CRASHED_KERNEL,),
    FOR_ALL_IMAGES,
    (SourcePackage("linux-source-6.12", "trixie"),),
    machine=True,
)


def looked_at(lacking: Lacking, store: Store) -> dict[str, Item]:
    with private_apt() as private:
        return {item.name: item for item in examine(lacking, store.root, private)}


def test_an_empty_store_lacks_everything(store: Store) -> None:
    lacking = MAIN_JOB.lacking(store, NoProgress())
    assert lacking.kernels == (OWN_CRASHED_KERNEL, OWN_DUMP_KERNEL)
    assert lacking.packages == (USER_SPACE, PYTHON)
    assert [str(source) for source in lacking.sources] == ["linux-source-6.12@trixie"]


def test_nothing_is_asked_of_a_mirror_if_nothing_is_lacking(apt: FakeApt, store: Store) -> None:
    names = looked_at(Lacking(machine=True), store)
    assert {"QEMU", "memory", "disk"} <= names.keys()
    assert not {"s390x-linux-gnu-gcc", "Debian mirror", "apt-get"} & names.keys()
    assert not apt.calls.exists()


def test_a_compiler_is_needed_for_kernels_only(apt: FakeApt, store: Store) -> None:
    compilers = {"s390x-linux-gnu-gcc", "gcc", "make", "bc", "bison", "flex", "C headers"}
    assert compilers < looked_at(ALL, store).keys()
    assert not compilers & looked_at(Lacking(packages=(USER_SPACE,)), store).keys()


def test_every_package_is_looked_for(apt: FakeApt, store: Store) -> None:
    found = looked_at(ALL, store)
    assert found["s390x packages of bookworm"].found == f"{len(USER_SPACE.names)}, 0.0 MB to fetch"
    assert found["linux-source-6.12 of trixie"].ok


@pytest.mark.parametrize(
    ("absent", "item"),
    [
        ("libext2fs2", "s390x packages of bookworm"),
        ("linux-source", "linux-source-6.12 of trixie"),
    ],
)
def test_a_package_that_the_mirror_lacks(
    apt: FakeApt, store: Store, absent: str, item: str
) -> None:
    apt.says(absent=absent)
    found = looked_at(ALL, store)[item]
    assert not found.ok
    assert absent in found.found
    assert "--debian-mirror" in found.fix


def test_without_a_mirror_no_index_is_fetched(apt: FakeApt, store: Store) -> None:
    apt.says(listing="")
    found = looked_at(ALL, store)
    assert not found["Debian mirror"].ok
    assert "ZHARNESS_DEBIAN_MIRROR" in found["Debian mirror"].fix
    assert apt.called("update") == 0


def test_a_mirror_that_is_none_is_a_mistake_of_usage(
    apt: FakeApt, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZHARNESS_DEBIAN_MIRROR", "nonsense")
    with pytest.raises(UsageError, match="'nonsense' is not the URI"):
        looked_at(ALL, store)


def test_a_disk_that_is_too_small(
    apt: FakeApt, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(needs, "DISK", 1 << 60)
    with private_apt() as private, pytest.raises(HostError, match=r"disk: .* GB free") as failure:
        require(Lacking(packages=(USER_SPACE,)), store.root, private)
    assert "--store" in (failure.value.hint or "")


def test_several_things_missing_are_one_line(
    apt: FakeApt, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(needs, "_COMPILE", dict.fromkeys(("no-such-cc", "no-ld"), "to build"))
    with private_apt() as private, pytest.raises(HostError) as failure:
        require(ALL, store.root, private)
    assert "no-such-cc, no-ld" in failure.value.message
    assert not apt.calls.exists(), "the mirror is not asked for what is of no use"
    assert "zharness doctor" in (failure.value.hint or "")


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Fake steps of a build, recorded in order."""
    done: list[str] = []

    def step(name: str) -> Any:
        def take(*arguments: Any) -> None:
            what = next((a for a in arguments if isinstance(a, KernelSpec)), None)
            done.append(name if what is None else f"{name} {what.role}")

        return take

    for function in ("require", "unpacked", "kernel_source", "built_kernel"):
        monkeypatch.setattr(images, function, step(function))
    return done


def test_asked_then_fetched_then_compiled(store: Store, steps: list[str]) -> None:
    subject = Images(store, NoProgress())
    subject.provide(MAIN_JOB)
    assert steps[0] == "require"
    assert sorted(steps[1:]) == ["kernel_source", "unpacked", "unpacked"]
    subject.own_kernel(OWN_CRASHED_KERNEL)
    assert steps[-1] == "built_kernel crashed"


def test_nothing_is_fetched_or_compiled_on_a_host_that_lacks_something(
    apt: FakeApt, store: Store, steps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    apt.says(absent="libext2fs2")
    monkeypatch.setattr(images, "require", require)
    with pytest.raises(HostError, match="has no s390x package libext2fs2"):
        Images(store, NoProgress()).provide(MAIN_JOB)
    assert steps == []


def test_a_single_kernel_is_asked_for_too(store: Store, steps: list[str]) -> None:
    Images(store, NoProgress()).own_kernel(OWN_DUMP_KERNEL)
    assert steps == ["require", "kernel_source", "built_kernel dump"]


def test_needs_of_two_commands_are_added_once_each() -> None:
    other = KernelSpec(Role.DUMP, "linux-source-6.1")
    both = Wanted((OWN_DUMP_KERNEL,), (USER_SPACE,), machine=True) | Wanted(
        (other, OWN_DUMP_KERNEL), (USER_SPACE, PYTHON)
    )
    assert both == Wanted((OWN_DUMP_KERNEL, other), (USER_SPACE, PYTHON), machine=True)


@pytest.mark.parametrize(
    ("text", "package"),
    [
        (None, "linux-source-6.12@trixie"),
        ("linux-source-6.1", "linux-source-6.1@bookworm"),
        ("linux-source-5.10", "linux-source-5.10@bullseye"),
        ("linux-source-6.1@sid", "linux-source-6.1@sid"),
        ("linux-source-7.2@sid", "linux-source-7.2@sid"),
        ("~/linux@v6.9", None),
    ],
)
def test_a_source_package_has_a_suite_on_every_host(text: str | None, package: str | None) -> None:
    found = source_package(text)
    assert (found and str(found)) == package


def test_a_source_package_of_no_known_suite() -> None:
    with pytest.raises(UsageError, match="which suite of Debian") as failure:
        source_package("linux-source-7.2")
    assert "linux-source-7.2@sid" in (failure.value.hint or "")
