"""Each check on its own: green for right evidence, red for wrong evidence."""

from __future__ import annotations

import struct
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from harness.s390x.cpu import CpuState
from harness.s390x.storestatus import status_area as stored_by_the_machine
from harness.s390x.zipl import cksm
from harness.verify import status_area
from harness.verify.checks import memory_map, pages, registers, superblock
from harness.verify.checks.crashed_kernel import vmcoreinfo
from harness.verify.differing import DETAILED
from harness.verify.evidence import Evidence
from harness.verify.findings import CheckResult
from harness.verify.kinds import DifferingPages, PageOfDump, RegisterOfDump
from tests.support.checked import checked, said
from tests.support.cpus import make_cpu
from tests.support.evidence import (
    IDENTITY,
    IDENTITY_BASE,
    KERNEL_IMAGE,
    MEMORY,
    PAGE,
    VMCOREINFO,
    Load,
    SyntheticRun,
    crashed_memory,
    elf_note,
    file_offset,
    stored,
)
from tests.support.findings import details

# memory map


def identity(start: int, end: int) -> Load:
    return Load(start, end - start, IDENTITY_BASE + start)


RIGHT_MAPS = {
    "with the kernel image": (KERNEL_IMAGE, IDENTITY),
    "before Linux 6.10": (Load(0, MEMORY, 0),),
    "in two pieces": (identity(0, 1 << 20), identity(1 << 20, MEMORY)),
}
WRONG_MAPS = {
    "too short": ((identity(0, MEMORY - PAGE),), "no PT_LOAD covers 0x3ff000-0x3fffff, the end"),
    "gap": (
        (identity(0, 1 << 20), identity(2 << 20, MEMORY)),
        "no PT_LOAD covers 0x100000-0x1fffff",
    ),
    "gap at 0": ((identity(PAGE, MEMORY),), "no PT_LOAD covers 0x0-0xfff"),
    "overlap": (
        (identity(0, 2 << 20), identity(1 << 20, MEMORY)),
        "PT_LOADs overlap at 0x100000-0x1fffff",
    ),
    "twice the same": ((IDENTITY, IDENTITY), "PT_LOADs overlap at 0x0-0x3fffff"),
    "beyond memory": ((identity(0, MEMORY + PAGE),), "PT_LOADs reach to 0x400fff"),
    "two images": (
        (KERNEL_IMAGE, replace(KERNEL_IMAGE, vaddr=0x1000), IDENTITY),
        "2 PT_LOADs repeat parts of others",
    ),
    "two bases": (
        (identity(0, 1 << 20), Load(1 << 20, 3 << 20, 1 << 20)),
        "different bases: 0x0, 0x2a00000000",
    ),
    "empty": ((Load(0, 0, 0), IDENTITY), "PT_LOAD 0 (at 0x0) is empty"),
    "nothing": ((), "no PT_LOAD covers 0x0-0x3fffff"),
}


@pytest.mark.parametrize("name", RIGHT_MAPS)
def test_right_memory_map(tmp_path: Path, name: str):
    result = checked(memory_map.check, SyntheticRun(loads=RIGHT_MAPS[name]).write(tmp_path))
    assert result.passed, said(result)
    assert result.compared == len(RIGHT_MAPS[name])


@pytest.mark.parametrize("name", WRONG_MAPS)
def test_wrong_memory_map(tmp_path: Path, name: str):
    loads, message = WRONG_MAPS[name]
    result = checked(memory_map.check, SyntheticRun(loads=loads).write(tmp_path))
    assert not result.passed
    assert message in said(result)


OS_INFO_POINTER, OS_INFO = 0xE18, 0x160000


def with_os_info(memory: bytes, *, checksum: int = 0, **changed: int) -> bytes:
    """A crashed memory whose kernel says where it was."""
    values = {
        "identity_base": IDENTITY_BASE,
        "kaslr_offset": 0x100000,
        "image_start": KERNEL_IMAGE.vaddr,
        "image_end": KERNEL_IMAGE.vaddr + KERNEL_IMAGE.size,
        "image_phys": KERNEL_IMAGE.paddr,
    } | changed
    page = bytearray(PAGE)
    struct.pack_into(">QIHH", page, 0, 0x4F53494E464F535A, 0, 1, 1)
    for number, value in zip((4, 5, 10, 11, 12), values.values(), strict=True):
        struct.pack_into(">Q", page, 32 + number * 20, value)
    struct.pack_into(">I", page, 8, cksm(bytes(page[12:]), seed=0) ^ checksum)
    told = bytearray(memory)
    struct.pack_into(">Q", told, OS_INFO_POINTER, OS_INFO)
    told[OS_INFO : OS_INFO + PAGE] = page
    return bytes(told)


def test_a_map_as_the_crashed_kernel_tells_it(tmp_path: Path):
    run = SyntheticRun(memory=with_os_info(crashed_memory()))
    result = checked(memory_map.check, run.write(tmp_path))
    assert result.passed, said(result)


NO_IMAGE = "no PT_LOAD has the kernel's image at 0x3ffe0000000 (0x40000 bytes at 0x100000)"
NOT_AS_TOLD = {
    "no image": ((IDENTITY,), NO_IMAGE),
    "another address": ((replace(KERNEL_IMAGE, vaddr=0x1000), IDENTITY), NO_IMAGE),
    "a part of it": ((replace(KERNEL_IMAGE, size=PAGE), IDENTITY), NO_IMAGE),
    "another identity mapping": (
        (KERNEL_IMAGE, Load(0, MEMORY, 0)),
        "the identity mapping is at 0x0, the crashed kernel's os_info says 0x2a00000000",
    ),
}


@pytest.mark.parametrize("name", NOT_AS_TOLD)
def test_a_map_that_is_not_as_the_crashed_kernel_tells(tmp_path: Path, name: str):
    loads, message = NOT_AS_TOLD[name]
    run = SyntheticRun(memory=with_os_info(crashed_memory()), loads=loads)
    result = checked(memory_map.check, run.write(tmp_path))
    assert [finding.message.startswith(message) for finding in result.findings] == [True]


@pytest.mark.parametrize("changed", [{"checksum": 1}, {"kaslr_offset": 0}])
def test_an_os_info_that_does_not_tell_the_map(tmp_path: Path, changed: dict[str, int]):
    memory = with_os_info(crashed_memory(), **changed)
    assert checked(
        memory_map.check, SyntheticRun(memory=memory, loads=(IDENTITY,)).write(tmp_path)
    ).passed


@pytest.mark.parametrize(
    ("release", "passes"),
    [
        ("5.10.0-30-s390x", True),
        ("6.9.12", True),
        ("6.10.0-rc3", False),
        ("7.2", False),
        ("unknown", False),
    ],
)
def test_an_old_dump_kernel_knows_nothing_of_the_image(tmp_path: Path, release: str, passes: bool):
    run = SyntheticRun(memory=with_os_info(crashed_memory()), loads=(IDENTITY,))
    with Evidence.open(run.write(tmp_path)) as evidence:
        result = memory_map.check(replace(evidence, dump_release=release))
    assert result.passed is passes
    assert bool(result.notes) is passes


# pages


def test_memory_that_the_machine_never_had(tmp_path: Path):
    run = SyntheticRun(loads=(identity(0, MEMORY + PAGE),))
    result = checked(pages.check, run.write(tmp_path))
    assert "0x400000-0x400fff not compared: the machine had no such memory" in said(result)


def test_dump_without_pages_is_red(tmp_path: Path):
    result = checked(pages.check, SyntheticRun(loads=()).write(tmp_path))
    assert (result.compared, result.passed) == (0, False)


def test_everything_shifted_is_summed_up(tmp_path: Path):
    run = SyntheticRun(layout="ext4")
    root = run.write(tmp_path)
    with (root / "dump/dump").open("r+b") as dump:
        dump.seek(file_offset(PAGE))
        dump.write(run.dumped_memory()[:-PAGE])
    result = checked(pages.check, root)
    # page 0 stayed, and each run of data came out one page longer
    ranges = [(PAGE, 0x21000), (0x100000, 0x1A1000), (0x3F0000, MEMORY)]
    differing = sum(end - start for start, end in ranges) // PAGE
    assert result.findings[0].message == (
        f"{differing} of 1088 pages differ: 0x1000-0x20fff, 0x100000-0x1a0fff, 0x3f0000-0x3fffff"
    )
    assert details(result.findings[0], DifferingPages).ranges == tuple(ranges)
    assert len(result.findings) == 1 + DETAILED
    assert "page 0x3000" in said(result)
    assert "that of page 0x3000 (shifted by +0x1000)" in said(result)


def test_content_from_elsewhere_is_said_to_be(tmp_path: Path):
    root = SyntheticRun().write(tmp_path)
    with (root / "dump/dump").open("r+b") as dump:
        dump.seek(file_offset(0x180000))
        dump.write(b"no such page".ljust(PAGE, b"!"))
    assert "occurs nowhere in the crashed memory" in said(checked(pages.check, root))


def test_same_content_at_several_addresses(tmp_path: Path):
    run = SyntheticRun()
    memory = bytearray(run.memory)
    for at in (0x181000, 0x190000):
        memory[at : at + PAGE] = memory[0x170000 : 0x170000 + PAGE]
    run.memory = bytes(memory)
    root = run.write(tmp_path)
    with (root / "dump/dump").open("r+b") as dump:
        dump.seek(file_offset(0x180000))
        dump.write(memory[0x170000 : 0x170000 + PAGE])
    result = checked(pages.check, root)
    assert details(result.findings[1], PageOfDump).content_of == (0x170000, 0x181000, 0x190000)


def test_dump_without_stored_status_is_like_the_memory(tmp_path: Path):
    run = SyntheticRun(layout="ext4")
    root = run.write(tmp_path)
    with (root / "dump/dump").open("r+b") as dump:
        dump.seek(file_offset(0x1000))
        dump.write(run.memory[0x1000:0x2000])
    result = checked(pages.check, root)
    assert result.passed
    assert result.allowed == ()


# status area


def test_two_descriptions_of_store_status_agree():
    cpu = make_cpu(7)
    area = bytearray(512)
    for register in status_area.stored_registers(cpu):
        area[register.offset : register.offset + len(register.content)] = register.content
    assert bytes(area) == stored_by_the_machine(cpu)


def test_bytes_between_registers_may_stay_as_they_were():
    cpu, before = make_cpu(7), b"\xaa" * PAGE
    area = bytearray(before[0x200:0x400])
    for register in status_area.stored_registers(cpu):
        area[register.offset : register.offset + len(register.content)] = register.content
    page = before[:0x200] + bytes(area) + before[0x400:]
    ipl_area = next(status_area.areas([cpu], cpu, ram=None, form="elf"))
    assert status_area.faults(0x1000, page, before, [ipl_area]) == ()
    assert status_area.faults(0x1000, page, bytes(PAGE), [ipl_area]) != ()


# registers


def flipped(state: CpuState, name: str, number: int) -> CpuState:
    value: Any = getattr(state, name)
    if isinstance(value, tuple):
        changed = (*value[:number], value[number] ^ 1, *value[number + 1 :])
        return replace(state, **{name: changed})
    return replace(state, **{name: value ^ 1})


EACH_REGISTER = [
    (field.name, number)
    for field in fields(CpuState)
    for number in range(16 if isinstance(getattr(make_cpu(1), field.name), tuple) else 1)
]


def test_every_single_register_counts(tmp_path: Path):
    run = SyntheticRun(memory=bytes(MEMORY))
    root = run.write(tmp_path)
    with Evidence.open(root) as evidence:
        assert evidence.dump is not None
        right = list(evidence.dump.cpus)
        for name, number in EACH_REGISTER:
            wrong = [right[0], flipped(right[1], name, number)]
            expected = [registers.Expected(at, state) for at, state in enumerate(right)]
            matching = registers.match(expected, wrong)
            assert matching.surplus == matching.missing == ()
            differing = [
                found
                for cpu, at in matching.pairs
                for found in registers.paired_registers(cpu.state, wrong[at])
                if found.one != found.other
            ]
            assert len(differing) == 1, (name, number)


def dumped(tmp_path: Path, *cpus: CpuState) -> CheckResult:
    run = SyntheticRun(memory=bytes(MEMORY), dumped_cpus=list(cpus))
    return checked(registers.check, run.write(tmp_path))


FIRST, SECOND = stored(make_cpu(1)), stored(make_cpu(2))


def test_differing_register_is_named_with_both_values(tmp_path: Path):
    result = dumped(
        tmp_path, FIRST, replace(SECOND, gprs=(*SECOND.gprs[:5], 0xAB, *SECOND.gprs[6:]))
    )
    assert [finding.message for finding in result.findings] == [
        f"CPU 1: gpr5 is 00000000000000ab in the dump, {SECOND.gprs[5]:016x} at the crash"
    ]
    assert details(result.findings[0], RegisterOfDump).register == "gpr5"


def test_vector_registers_are_numbered_as_the_architecture_does(tmp_path: Path):
    high = (*SECOND.vxrs_high[:15], 1)
    assert "CPU 1: vr31 is 0000" in said(dumped(tmp_path, FIRST, replace(SECOND, vxrs_high=high)))


def test_values_that_are_not_zero_are_counted(tmp_path: Path):
    result = dumped(tmp_path / "all", FIRST, SECOND)
    assert (result.passed, result.compared, result.nonzero) == (True, 206, 206)
    cpus = (make_cpu(1), replace(make_cpu(2), gprs=(0,) * 16, fpc=0))
    run = SyntheticRun(memory=bytes(MEMORY), cpus=cpus)
    result = checked(registers.check, run.write(tmp_path / "zeros"))
    assert (result.passed, result.compared, result.nonzero) == (True, 206, 206 - 17)


def test_what_the_dump_does_not_show_is_a_finding(tmp_path: Path):
    result = dumped(tmp_path, FIRST, SECOND.without_vectors())
    assert len(result.findings) == 32
    assert result.findings[0].message == (
        "CPU 1: the dump does not show right half of vr0, which was "
        f"{SECOND.vxrs_low[0]:016x} at the crash"
    )
    assert result.compared == 206 - 32


def test_zeros_that_the_dump_does_not_show_are_not_compared(tmp_path: Path):
    cpus = (make_cpu(1), replace(make_cpu(2), vxrs_low=(0,) * 16, vxrs_high=(0,) * 16))
    run = SyntheticRun(
        memory=bytes(MEMORY), cpus=cpus, dumped_cpus=[FIRST, SECOND.without_vectors()]
    )
    result = checked(registers.check, run.write(tmp_path))
    assert (result.passed, result.compared, result.nonzero) == (True, 206 - 32, 206 - 32)
    assert "CPU 1: the dump shows no right half of vr0-vr31" in result.notes[0]


def test_shifted_comparator_must_be_shifted(tmp_path: Path):
    assert "CPU 0: clock comparator" in said(dumped(tmp_path, make_cpu(1), SECOND))


def test_wrong_order_is_told(tmp_path: Path):
    result = dumped(tmp_path, SECOND, FIRST)
    assert [finding.message for finding in result.findings] == [
        "the CPUs are not in CPU address order: [1, 0]"
    ]


def test_extra_cpu_is_told(tmp_path: Path):
    result = dumped(tmp_path, FIRST, SECOND, make_cpu(5))
    assert "entry 2 (prefix 0x30000) is none of the machine's CPUs" in said(result)


def test_missing_ipl_cpu_is_told(tmp_path: Path):
    result = dumped(tmp_path, SECOND)
    assert [finding.message for finding in result.findings] == [
        "CPU 0 (prefix 0x10000) is missing: the dump has 1 of 2 CPUs"
    ]


@pytest.mark.parametrize("prefixes", [(0, 0), (0, 0x10000)])
def test_only_a_crash_before_any_cpu_has_a_prefix_leaves_no_registers(
    tmp_path: Path, prefixes: tuple[int, int]
):
    cpus = tuple(replace(make_cpu(at), prefix=prefix) for at, prefix in enumerate(prefixes, 1))
    run = SyntheticRun(memory=bytes(MEMORY), cpus=cpus, dumped_cpus=[])
    result = checked(registers.check, run.write(tmp_path))
    if any(prefixes):
        assert "CPU 1 (prefix 0x10000) is missing" in said(result)
    else:
        assert "at the crash every CPU had prefix 0" in str(result.skipped_reason)


def test_a_dump_must_not_make_up_cpus_that_were_not_started(tmp_path: Path):
    cpus = (replace(make_cpu(1), prefix=0),)
    run = SyntheticRun(memory=bytes(MEMORY), cpus=cpus, dumped_cpus=[FIRST])
    assert "is none of the machine's CPUs" in said(checked(registers.check, run.write(tmp_path)))


def test_no_cpu_at_all(tmp_path: Path):
    result = dumped(tmp_path)
    assert result.compared == 0
    assert len(result.findings) == 2


def test_incomplete_notes_are_a_finding(tmp_path: Path):
    root = SyntheticRun().write(tmp_path)
    content = (root / "dump/dump").read_bytes()
    (root / "dump/dump").write_bytes(
        content.replace(
            bytes.fromhex("00000006 00000004 00000305"), bytes.fromhex("00000006 00000004 00000777")
        )
    )
    result = checked(registers.check, root)
    assert not result.passed
    assert "CPU 0: ELF note 0x305 is missing" in said(result)


def test_a_register_with_half_of_another_behind_it_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """As Linux wrote NT_S390_TODPREG before 6.1."""

    def note(name: bytes, kind: int, desc: bytes) -> bytes:
        return elf_note(name, kind, desc + (b"half" if kind == 0x303 else b""))

    monkeypatch.setattr("tests.support.evidence.elf_note", note)
    result = checked(registers.check, SyntheticRun().write(tmp_path))
    assert said(result).splitlines() == [
        f"CPU {cpu}: ELF note 0x303 has 8 bytes instead of 4" for cpu in (0, 1)
    ]


# VMCOREINFO


WRONG_VMCOREINFO = {
    "no release": (VMCOREINFO.replace(b"OSRELEASE", b"XSRELEASE"), "no OSRELEASE=version line"),
    "release is no version": (VMCOREINFO.replace(b"6.12.1-test", b""), "no OSRELEASE"),
    "page size": (VMCOREINFO.replace(b"4096", b"8192"), "no line PAGESIZE=4096"),
    "no symbol": (VMCOREINFO.replace(b"SYMBOL(", b"SYMBOL["), "no SYMBOL(name)=address line"),
    "another kernel's": (VMCOREINFO.replace(b"6.12.1", b"6.12.2"), "differs from the one in"),
    "cut": (VMCOREINFO[:-3], "differs from the one in the crashed memory"),
}


@pytest.mark.parametrize("name", WRONG_VMCOREINFO)
def test_wrong_vmcoreinfo(tmp_path: Path, name: str):
    note, message = WRONG_VMCOREINFO[name]
    result = checked(vmcoreinfo.check, SyntheticRun(vmcoreinfo=note).write(tmp_path))
    assert not result.passed
    assert message in said(result)


def test_empty_vmcoreinfo_is_red(tmp_path: Path):
    result = checked(vmcoreinfo.check, SyntheticRun(vmcoreinfo=b"").write(tmp_path))
    assert not result.passed


@pytest.mark.parametrize("pointer", [0, MEMORY - 8, 1 << 63, 0x160000])
def test_crashed_memory_without_vmcoreinfo(tmp_path: Path, pointer: int):
    run = SyntheticRun()
    run.memory = run.memory[:0xE0C] + pointer.to_bytes(8, "big") + run.memory[0xE14:]
    with Evidence.open(run.write(tmp_path)) as evidence:
        assert vmcoreinfo.note_in_memory(evidence.ram) is None
        assert vmcoreinfo.check(evidence).passed


# superblock


WRONG_SUPERBLOCK = {  # offset, content, message
    "magic": (0, b"zfcpdump", "magic is 0x7a66"),
    "version": (15, b"\2", "version is 2, not 1"),
    "no partition": (16, bytes(16), "is none"),
    "dump behind the partition": (32, b"\1", "the dump at 0x100000000000000"),
    "dump larger than the partition": (40, b"\1", "the dump at 0x0"),
    "dump larger than allowed": (40, (PAGE).to_bytes(8, "big"), "the superblock allows 4096"),
    "checksum elsewhere": (48, b"\1", "the checksummed area at 0x1"),
    "checksum of another size": (56, (512).to_bytes(8, "big"), "csum_size is 512, not 4096"),
    "checksum": (71, b"\0", "checksum is 0x"),
    "checksum of more than 32 bits": (64, b"\1", "checksum is 0x1000000"),
}


@pytest.mark.parametrize("name", WRONG_SUPERBLOCK)
def test_wrong_superblock(tmp_path: Path, name: str):
    offset, content, message = WRONG_SUPERBLOCK[name]
    root = SyntheticRun().write(tmp_path)
    path = root / "dump/superblock.bin"
    block = bytearray(path.read_bytes())
    assert block[offset : offset + len(content)] != content
    block[offset : offset + len(content)] = content
    path.write_bytes(block)
    result = checked(superblock.check, root)
    assert not result.passed
    assert message in said(result)


def test_dump_that_covers_the_superblock(tmp_path: Path):
    """Seen with a tool that took the partition's size for the room."""
    result = checked(superblock.check, SyntheticRun(superblock_at=(2 << 20) + 512).write(tmp_path))
    assert [finding.message for finding in result.findings] == [
        "the dump covers the superblock itself, at 0x200200 of the disk",
        "the room for the dump covers the superblock itself, at 0x200200 of the disk",
    ]
