from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from harness.qemu.binary import QemuBinary
from harness.qemu.disk import Disk, DiskError, Operation
from harness.qemu.spec import Endpoints, MachineSpec, qemu_argv
from harness.s390x.wiring import DUMP_DISK, SYSTEM_DISK, fcp_device

BINARY = QemuBinary(Path("/q/qemu-system-s390x"), (7, 2, 0))
PLAIN = MachineSpec(memory=512 << 20, cpus=2)
FDS = Endpoints(qmp=5, console=6, ram=7)


def values(argv: list[str], option: str) -> list[str]:
    return [value for name, value in pairwise(argv) if name == option]


def test_memory_is_the_inherited_file():
    argv = qemu_argv(BINARY, PLAIN, FDS)
    assert values(argv, "-machine") == ["s390-ccw-virtio,memory-backend=ram0"]
    assert values(argv, "-object") == [
        "memory-backend-file,id=ram0,size=536870912,mem-path=/proc/self/fd/7,share=on"
    ]
    assert values(argv, "-m") == ["size=536870912B"]


def test_nothing_but_what_is_asked_for():
    argv = qemu_argv(BINARY, PLAIN, FDS)
    assert argv[0] == "/q/qemu-system-s390x"
    assert {"-no-user-config", "-nodefaults", "-nographic", "-S"} <= set(argv)
    assert not {"-kernel", "-initrd", "-append", "-gdb", "-device", "-drive"} & set(argv)
    assert values(argv, "-chardev") == ["socket,id=qmp,fd=5", "socket,id=con,fd=6"]
    assert values(argv, "-serial") == ["chardev:con"]
    assert values(argv, "-smp") == ["cpus=2"]
    assert values(argv, "-cpu") == ["max"]


def test_a_binary_that_can_locks_itself_up():
    assert "-sandbox" not in qemu_argv(BINARY, PLAIN, FDS)
    argv = qemu_argv(replace(BINARY, sandbox=True), PLAIN, FDS)
    (sandbox,) = values(argv, "-sandbox")
    assert sandbox.split(",") == [
        "on",
        "obsolete=deny",
        "elevateprivileges=deny",
        "spawn=deny",
        "resourcecontrol=deny",
    ]


def test_direct_boot_passes_paths_and_parmline_unchanged():
    spec = replace(PLAIN, kernel=Path("/a,b"), initrd=Path("/c d"), append="x=1,2 y")
    argv = qemu_argv(BINARY, spec, FDS)
    assert values(argv, "-kernel") == ["/a,b"]
    assert values(argv, "-initrd") == ["/c d"]
    assert values(argv, "-append") == ["x=1,2 y"]


def test_a_machine_with_a_gdbstub_starts_paused():
    argv = qemu_argv(BINARY, replace(PLAIN, gdb=True, paused=True), replace(FDS, gdb=9))
    assert "socket,id=stub,fd=9" in values(argv, "-chardev")
    assert values(argv, "-gdb") == ["chardev:stub"]
    with pytest.raises(ValueError, match="start paused"):
        replace(PLAIN, gdb=True)


def test_disks_get_their_luns_behind_one_hba():
    disks = (Disk(Path("/first,one")), Disk(Path("/x:y"), lun=1, boot=True))
    argv = qemu_argv(BINARY, replace(PLAIN, disks=disks), FDS)
    assert values(argv, "-device") == [
        "virtio-scsi-ccw,id=hba,devno=fe.0.1234",
        "scsi-hd,id=scsi0,drive=disk0,bus=hba.0,channel=0,scsi-id=0,lun=0",
        "scsi-hd,id=scsi1,drive=disk1,bus=hba.0,channel=0,scsi-id=0,lun=1,bootindex=1",
    ]
    first, second = values(argv, "-drive")
    assert "file.filename=/first,,one,format=raw,cache=unsafe" in first
    assert second.startswith("if=none,id=disk1,")
    assert "file.filename=/x:y," in second


def test_a_disk_is_said_once_with_all_that_protects_host_and_guest():
    disk = Disk(Path("/a,b:c"), lun=3, read_only=True)
    assert disk.options() == [
        "-drive",
        "if=none,id=disk3,file.driver=file,file.filename=/a,,b:c,format=raw,cache=unsafe,"
        "werror=stop,rerror=stop,read-only=on",
        "-device",
        "scsi-hd,id=scsi3,drive=disk3,bus=hba.0,channel=0,scsi-id=0,lun=3",
    ]


def test_a_disk_that_fails_tells_the_guest():
    errors = (
        DiskError(Operation.WRITE, 5, 4096),
        DiskError(Operation.READ, 28, once=True),
    )
    drive = Disk(Path("/a,b"), errors=errors).options()[1]
    assert (
        "file.driver=blkdebug,file.image.driver=file,file.image.filename=/a,,b,"
        "file.inject-error.0.event=none,file.inject-error.0.iotype=write,"
        "file.inject-error.0.errno=5,file.inject-error.0.sector=8,"
        "file.inject-error.1.event=none,file.inject-error.1.iotype=read,"
        "file.inject-error.1.errno=28,file.inject-error.1.once=on,"
        "format=raw,cache=unsafe,werror=report,rerror=report"
    ) in drive


def test_a_disk_whose_flushes_fail_has_a_cache_that_is_flushed():
    drive = Disk(Path("/a"), errors=(DiskError(Operation.FLUSH, 5),)).options()[1]
    assert "cache=writeback" in drive
    assert "iotype=flush" in drive


def test_a_slow_disk():
    assert "throttling.bps-total=1048576" in Disk(Path("/a"), rate=1 << 20).options()[1]


def test_zeros_become_holes_of_a_disk_for_dumps_only():
    dump = Disk.for_dump(Path("/d"))
    assert {"discard=unmap", "detect-zeroes=unmap"} <= set(dump.options()[1].split(","))
    others = (
        Disk.of_system(Path("/s")),
        replace(dump, errors=(DiskError(Operation.READ, 5),)),
        replace(dump, log=Path("/l")),
    )
    assert not any("unmap" in option for disk in others for option in disk.options())


def test_a_disk_with_larger_sectors_says_so():
    disk = Disk.for_dump(Path("/d"), 4096)
    assert disk.options()[-1].endswith(",logical_block_size=4096,physical_block_size=4096")


def test_the_disks_of_a_dump_and_of_a_system_hang_where_the_ipl_blocks_say():
    dump, system = Disk.for_dump(Path("/d")), Disk.of_system(Path("/s"))
    assert (fcp_device(dump.lun), fcp_device(system.lun)) == (DUMP_DISK, SYSTEM_DISK)
    assert dump.boot
    assert system.boot


def test_a_network_leads_only_from_one_port_of_this_host_to_the_guests_ssh():
    argv = qemu_argv(BINARY, replace(PLAIN, network=True), FDS)
    (netdev,) = values(argv, "-netdev")
    assert netdev.split(",") == [
        "user",
        "id=n0",
        "restrict=on",
        "ipv6=off",
        "hostfwd=tcp:127.0.0.1:0-10.0.2.15:22",
    ]
    assert values(argv, "-device") == ["virtio-net-ccw,netdev=n0,devno=fe.0.0000"]


def test_a_machine_has_no_network_by_default():
    assert not {"-netdev", "-nic", "-net"} & set(qemu_argv(BINARY, PLAIN, FDS))


def test_a_machine_that_waits_for_its_state_starts_paused():
    argv = qemu_argv(BINARY, replace(PLAIN, paused=True, incoming=True), FDS)
    assert values(argv, "-incoming") == ["defer"]
    assert "-incoming" not in qemu_argv(BINARY, PLAIN, FDS)
    with pytest.raises(ValueError, match="paused"):
        replace(PLAIN, incoming=True)
