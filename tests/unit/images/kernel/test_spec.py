from __future__ import annotations

import pytest

from harness.images.kernel import configuration
from harness.images.kernel.build import Kernel, _kept, kernel_from_store, kind_of
from harness.images.kernel.spec import KernelSpec, Role
from harness.images.store import Built

SYSTEMD_NEEDS = (
    *("DEVTMPFS", "CGROUPS", "INOTIFY_USER", "SIGNALFD", "TIMERFD", "EPOLL", "UNIX", "FHANDLE"),
    *("AUTOFS_FS", "TMPFS_XATTR", "TMPFS_POSIX_ACL", "SECCOMP", "INET", "NET_NS", "USER_NS"),
)
BOOTS_ALONE = ("DEVTMPFS_MOUNT", "SCSI_VIRTIO", "EXT4_FS", "VIRTIO_NET", "VIRTIO_CONSOLE")


def fragment(role: Role, *, trimmed: bool = True) -> dict[str, str]:
    files = KernelSpec(role, trimmed=trimmed).fragments
    return configuration.parse("".join(path.read_text() for path in files))


def test_a_full_system_gets_what_systemd_needs_and_no_driver_as_a_module():
    values = fragment(Role.SYSTEM)
    assert {name: values.get(f"CONFIG_{name}") for name in SYSTEMD_NEEDS + BOOTS_ALONE} == (
        dict.fromkeys(SYSTEMD_NEEDS + BOOTS_ALONE, "y")
    )
    assert "m" not in values.values()


def test_a_full_system_dies_in_all_the_ways_in_which_the_small_one_does():
    small, full = fragment(Role.CRASHED, trimmed=False), fragment(Role.SYSTEM)
    assert {option: full[option] for option in small} == small
    assert full != small


@pytest.mark.parametrize("role", [Role.CRASHED, Role.DUMP])
@pytest.mark.parametrize(
    ("trimmed", "names"),
    [(True, ["{}.config", "{}.trim.config"]), (False, ["{}.config"])],
)
def test_a_kernel_is_trimmed_on_request(role: Role, trimmed: bool, names: list[str]):
    found = [path.name for path in KernelSpec(role, trimmed=trimmed).fragments]
    assert found == [name.format(role) for name in names]


def test_the_kernel_of_a_full_system_is_not_trimmed():
    names = [path.name for path in KernelSpec(Role.SYSTEM).fragments]
    assert names == ["crashed.config", "system.config"]


def test_every_role_has_a_kind_in_the_store_and_a_section_of_a_scenario():
    assert len(set(map(kind_of, Role))) == len(Role)
    assert {role: role.section for role in Role} == {
        Role.DUMP: "dump",
        Role.CRASHED: "crashed",
        Role.SYSTEM: "crashed",
    }


def test_a_full_system_is_told_which_drivers_are_built_in(stored: Built):
    assert "modules.builtin" in _kept(Role.SYSTEM, "")
    assert "modules.builtin" not in _kept(Role.CRASHED, "")
    kernel: Kernel = kernel_from_store(stored)
    assert [path.name for path in kernel.built_in] == ["modules.builtin"]


def test_a_dump_kernel_keeps_its_vmlinux_if_it_has_debug_information():
    assert _kept(Role.DUMP, "# CONFIG_DEBUG_INFO is not set\nCONFIG_DEBUG_INFO_NONE=y\n") == ()
    assert _kept(Role.DUMP, "CONFIG_X=y\nCONFIG_DEBUG_INFO=y\n") == ("vmlinux",)


@pytest.fixture
def stored(tmp_path) -> Built:
    files = {"bzImage": {"sha256": "12"}, "modules.builtin": {"sha256": "34"}}
    return Built("kernel-system", "0" * 20, tmp_path, {"release": "6.12", "files": files})
