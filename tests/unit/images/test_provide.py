from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from harness.dump_tools.table import S390_TOOLS
from harness.errors import HostError, UsageError
from harness.images import provide as images
from harness.images.disk import DiskSpec
from harness.images.initramfs import cpio
from harness.images.initramfs.build import IMAGE, PAYLOAD, PAYLOAD_RAMDISK, cpio_of
from harness.images.kernel.build import Kernel
from harness.images.kernel.spec import KernelSpec, Role, driver_of
from harness.images.provide import EXPORT_NAMES, Images
from harness.images.store import Built, Store
from harness.progress import NoProgress
from harness.run.inputs.dump import DumpInputs
from harness.run.plan import plan_of
from harness.s390x.disk_layout import DiskLayout
from harness.scenario.expect import DumpFormat
from harness.scenario.model import Scenario
from tests.support.guests.dump_tool import tool
from tests.support.guests.other_tool import OTHER

MIB = 1 << 20


def kernel(name: str) -> Kernel:
    return Kernel(Path(name), "6.12", sha256=name, origin=name)


class Played:
    """Fake builders of single images: their calls and their results."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.asked: list[Role] = []
        self.specs: list[KernelSpec] = []
        self.can_build = True
        self.spec: DiskSpec | None = None
        self.host: Kernel | None = None
        self.variables: Any = None

    def parameters(self, built: Built, file: str = "/etc/zfcpdump.conf") -> str | None:
        """Those of the dump tool, in its initramfs."""
        data = (built.path / IMAGE).read_bytes()
        found = {f"/{entry.name}": entry.data.decode() for entry in cpio.entries(data)}
        return found.get(file)

    def built_kernel(self, store: Store, spec: KernelSpec, progress: Any) -> Kernel:
        self.asked.append(spec.role)
        self.specs.append(spec)
        if not self.can_build:
            raise HostError("no linux-source")
        return kernel(f"{self.directory}/{spec.role}")

    def initramfs(
        self, store: Store, progress: Any, kind: str, lists: Any, variables: Any = None
    ) -> Built:
        self.variables = variables
        (self.directory / IMAGE).touch()
        return Built(kind, "0" * 20, self.directory, {"lists": list(lists)})

    def dump_disk(self, store: Store, progress: Any, spec: DiskSpec, host_kernel: Any) -> Built:
        self.spec, self.host = spec, host_kernel()
        return Built("disk", "0" * 20, self.directory, {"zipl": "2.16"})


@pytest.fixture
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Played:
    played = Played(tmp_path)
    for name in ("built_kernel", "initramfs", "dump_disk"):
        monkeypatch.setattr(images, name, getattr(played, name))
    monkeypatch.setattr(Images, "provide", lambda self, wanted: None)
    return played


@pytest.fixture
def subject(played: Played, tmp_path: Path) -> Images:
    return Images(Store(tmp_path / "store", NoProgress()), NoProgress())


def test_each_kernel_is_looked_up_once(subject: Images, played: Played):
    ramdisk = subject.dump_initramfs(DiskLayout.PARTITION)
    for _ in range(2):
        subject.crashed_kernel()
        subject.dump_disk(DiskLayout.PARTITION, MIB, subject.dump_kernel(), ramdisk)
    assert played.asked == [Role.CRASHED, Role.DUMP]


def test_builder_runs_the_own_kernel_whatever_shall_dump(subject: Images, played: Played):
    ramdisk = subject.dump_initramfs(DiskLayout.EXT4)
    subject.dump_disk(DiskLayout.EXT4, MIB, kernel("given"), ramdisk)
    assert played.host == kernel(f"{played.directory}/dump")
    assert played.spec
    assert played.spec.kernel == kernel("given")


def test_builder_runs_the_given_kernel_where_none_can_be_built(subject: Images, played: Played):
    played.can_build = False
    ramdisk = subject.dump_initramfs(DiskLayout.EXT4)
    subject.dump_disk(DiskLayout.EXT4, MIB, kernel("given"), ramdisk)
    assert played.host == kernel("given")


@pytest.mark.parametrize("layout", DiskLayout)
def test_size_follows_memory_unless_it_is_given(
    subject: Images, played: Played, layout: DiskLayout
):
    ramdisk = subject.dump_initramfs(layout)
    subject.dump_disk(layout, 512 * MIB, kernel("given"), ramdisk)
    assert played.spec
    assert played.spec.size > 512 * MIB
    subject.dump_disk(layout, 512 * MIB, kernel("given"), ramdisk, size=64 * MIB)
    assert played.spec.size == 64 * MIB


def test_the_parmline_of_a_dump_disk_ends_with_the_users(subject: Images, played: Played):
    ramdisk = subject.dump_initramfs(DiskLayout.EXT3)
    subject.dump_disk(DiskLayout.EXT3, MIB, kernel("given"), ramdisk, "dump_debug=6")
    assert played.spec
    assert played.spec.parmline.split() == [
        "root=/dev/ram0",
        "possible_cpus=1",
        "cgroup_disable=memory",
        "dump_debug=6",
    ]
    subject.dump_disk(DiskLayout.PARTITION, MIB, kernel("given"), ramdisk)
    assert played.spec.parmline == ""
    with pytest.raises(UsageError, match="zipl -d takes no kernel parameters"):
        subject.dump_disk(DiskLayout.PARTITION, MIB, kernel("given"), ramdisk, "dump_debug=6")


def test_the_initramfs_has_the_parameters_that_the_parmline_cannot_have(
    subject: Images, played: Played
):
    built = subject.dump_initramfs(DiskLayout.PARTITION, "dump_format=s390")
    assert played.parameters(built) == "dump_format=s390\n"


def test_the_initramfs_takes_the_program_of_a_tool(subject: Images, played: Played, tmp_path: Path):
    program = tmp_path / "zfcpdump"
    program.write_bytes(b"#!/bin/sh\n")
    subject.dump_initramfs(DiskLayout.PARTITION, tool=S390_TOOLS, program=program)
    assert played.variables == {"PROGRAM": str(program)}
    with pytest.raises(UsageError, match="the program of the dump tool s390-tools does not come"):
        subject.dump_initramfs(DiskLayout.PARTITION, tool=S390_TOOLS)
    with pytest.raises(UsageError, match="the dump tool other takes no program"):
        subject.dump_initramfs(DiskLayout.PARTITION, tool=OTHER, program=program)
    program.write_bytes(b"")
    with pytest.raises(UsageError, match="neither a script nor an ELF program"):
        subject.dump_initramfs(DiskLayout.PARTITION, tool=S390_TOOLS, program=program)


def test_the_initramfs_can_be_of_another_tool(subject: Images, played: Played):
    built = subject.dump_initramfs(DiskLayout.PARTITION, "format=lkcd", OTHER)
    assert played.parameters(built, "/other/options") == "format=lkcd\n"
    assert subject.dump_initramfs(DiskLayout.PARTITION, tool=OTHER).manifest["lists"] == [
        "/other/tool.list"
    ]


def with_driver(layout: DiskLayout) -> list[str]:
    return [driver_of(layout)] if layout.boots_from_beside else []


@pytest.mark.parametrize("form", DumpFormat)
@pytest.mark.parametrize("layout", DiskLayout)
def test_the_dump_tool_is_told_the_format(
    subject: Images, played: Played, layout: DiskLayout, form: DumpFormat
):
    dump: dict[str, Any] = {"layout": layout, "format": form, "config": with_driver(layout)}
    if layout.is_file_system:
        dump["parmline"] = "dump_debug=6"
    inputs = DumpInputs.prepare(
        subject, plan_of("x", Scenario.model_validate({"description": "x", "dump": dump}))
    )
    assert played.spec
    in_ramdisk = played.parameters(inputs.initramfs) if inputs.initramfs.key[0] != "0" else None
    told = f"{in_ramdisk or ''} {played.spec.parmline}".split()
    wanted = {
        DumpFormat.ELF: [],
        DumpFormat.S390: ["dump_format=s390"],
        DumpFormat.S390_EXT: ["dump_format=s390", "dump_compress=gzip"],
    }[form]
    mine = [word for word in told if word.startswith("dump_")]
    assert mine == wanted + (["dump_debug=6"] if layout.is_file_system else [])
    assert tool.Parameters(" ".join(told)).complaints == []


def prepared(subject: Images, **dump: Any) -> DumpInputs:
    data = {"description": "x", "dump": dump}
    return DumpInputs.prepare(subject, plan_of("x", Scenario.model_validate(data)))


@pytest.mark.parametrize("layout", DiskLayout)
def test_a_ramdisk_that_is_built_in_is_not_on_the_disk(
    subject: Images, played: Played, layout: DiskLayout
):
    how: dict[str, Any] = {"layout": layout, "format": "s390", "config": with_driver(layout)}
    built = prepared(subject, **how, built_in=True).initramfs
    assert built is not None
    config = tuple(how["config"])
    assert played.specs == [
        KernelSpec(Role.DUMP, configuration=config, built_in=built.path / IMAGE),
        KernelSpec(Role.DUMP),  # the builder's
    ]
    assert played.spec
    assert played.spec.ramdisk is None
    if not layout.is_file_system:
        assert played.parameters(built) == "dump_format=s390\n"
    on_disk = prepared(subject, **how).initramfs
    assert played.spec.ramdisk == on_disk


def test_a_kernel_that_is_given_has_its_ramdisk_built_in_already(
    subject: Images, played: Played, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Images, "dump_kernel", lambda self, image, spec: kernel(str(image)))
    given: dict[str, Any] = {"kernel": "image", "built_in": True}
    inputs = prepared(subject, **given)
    assert inputs.initramfs is None
    assert inputs.identity()["dump initramfs"] is None
    assert played.spec
    assert played.spec.ramdisk is None
    with pytest.raises(UsageError, match="cannot be told dump_format=s390"):
        prepared(subject, **given, format="s390")
    assert prepared(subject, **given, format="s390", layout="ext2").initramfs is None
    with pytest.raises(ValidationError, match="has its ramdisk built in"):
        prepared(subject, **given, initramfs="mine.list")


def test_zipl_finds_kernel_and_ramdisk_under_old_and_new_names(tmp_path: Path):
    for name in ("kernel", "ramdisk", "parmfile"):
        (tmp_path / name).write_text(name)
    variables = {name.upper(): str(tmp_path / name) for name in ("kernel", "ramdisk", "parmfile")}
    old, new = "usr/share/zfcpdump/zfcpdump", "lib/s390-tools/zfcpdump/zfcpdump"
    places = {f"{old}.image", f"{old}.rd", f"{new}-image", f"{new}-initrd"}
    for lists, left_out in (
        (PAYLOAD + PAYLOAD_RAMDISK, set()),
        (PAYLOAD, {f"{old}.rd", f"{new}-initrd"}),
    ):
        entries = {
            entry.name: entry.data.decode() for entry in cpio.entries(cpio_of(lists, variables))
        }
        files = {name for name in entries if name.startswith((f"{old}.", f"{new}-"))}
        assert files == places - left_out
        for name in files:
            data = entries.get(
                entries[name].lstrip("/"), entries[name]
            )  # a symbolic link, or a file
            assert data == ("kernel" if "image" in name else "ramdisk")


def test_export_under_old_and_new_names(subject: Images, played: Played, tmp_path: Path):
    (tmp_path / "dump").write_bytes(b"kernel")
    (tmp_path / IMAGE).write_bytes(b"ramdisk")
    out = tmp_path / "boot" / "deep"
    paths = subject.export(DiskLayout.PARTITION, out)
    assert sorted(path.name for path in paths) == [
        "zfcpdump-image",
        "zfcpdump-initrd",
        "zfcpdump.image",
        "zfcpdump.rd",
    ]
    for what, names in EXPORT_NAMES.items():
        assert {(out / name).read_text() for name in names} == {what}


def test_export_to_what_is_no_directory(subject: Images, played: Played, tmp_path: Path):
    (tmp_path / "dump").write_bytes(b"kernel")
    (tmp_path / IMAGE).write_bytes(b"ramdisk")
    played.can_build = False  # refused before anything is built
    for out in (tmp_path / "dump", tmp_path / "dump" / "below"):
        with pytest.raises(UsageError, match=r"(dump|below) is not a directory"):
            subject.export(DiskLayout.PARTITION, out)
    played.can_build = True
    (tmp_path / "boot" / "zfcpdump.image").mkdir(parents=True)
    with pytest.raises(HostError, match=r"cannot write .*/zfcpdump\.image: Is a directory"):
        subject.export(DiskLayout.PARTITION, tmp_path / "boot")


def test_a_suites_zipl_is_fetched_with_everything_else():
    def packages(**dump: str) -> set[str]:
        data = {"description": "x", "dump": dump}
        wanted = DumpInputs.wanted(plan_of("x", Scenario.model_validate(data)))
        return {f"{each.kind} of {each.suite}" for each in wanted.packages}

    assert packages(zipl="sid") - packages() == {"packages-zipl of sid"}
    assert packages(zipl="./tree") == packages()
