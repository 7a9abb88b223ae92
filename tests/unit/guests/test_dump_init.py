"""The dump tool, images/dump/zfcpdump, on this host: its protocol against ordinary files."""

from __future__ import annotations

import errno
import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.dump.formats.elf.reader import ElfDump
from harness.dump_tools.table import ZFCPDUMP
from harness.dump_tools.tool import Said
from harness.s390x import zipl
from harness.s390x.layouts.c_zipl import c_zipl
from tests.support.guests.dump_tool import IMAGES, LOADS, PAGE, make_core, new_buffer, tool

HSA = 8 * PAGE
START, SIZE = 64 * 1024, 4 << 20
SUPERBLOCK_AT = START + SIZE - 64 * 1024
ROOM = 2 << 20


@pytest.fixture
def disk(tmp_path):
    """A disk as zipl -d leaves it."""
    path = tmp_path / "disk"
    image = bytearray(START + SIZE)
    mbr = c_zipl.scsi_mbr(
        magic=zipl.MAGIC,
        version_id=1,
        boot_info_magic=zipl.MAGIC,
        boot_info_version=1,
        bp_type=zipl.BOOT_INFO_DUMP,
        dev_type=zipl.BOOT_INFO_SCSI,
        flags=1,
        sb_off=SUPERBLOCK_AT,
    ).dumps()
    image[: len(mbr)] = mbr
    area = bytes(image[START : START + PAGE])
    superblock = c_zipl.scsi_dump_sb(
        magic=zipl.DUMP_SB_MAGIC,
        version=1,
        part_start=START,
        part_size=SIZE,
        dump_offset=0,
        dump_size=ROOM,
        csum_offset=0,
        csum_size=PAGE,
        csum=zipl.cksm(area),
    ).dumps()
    image[SUPERBLOCK_AT : SUPERBLOCK_AT + len(superblock)] = superblock
    path.write_bytes(image)
    return path


def dump(disk, source, buffer=16 * PAGE):
    return tool.dump_to_partition(
        str(disk),
        tool.machine.superblock_offset(str(disk)),
        tool.Elf(tool.Core(str(source))),
        new_buffer(buffer),
        HSA,
    )


def read_superblock(disk):
    data = disk.read_bytes()[SUPERBLOCK_AT:]
    return c_zipl.scsi_dump_sb(data[: zipl.DUMP_SB_SIZE])


def test_the_partition_holds_the_dump_and_its_checksum(disk, source, released):
    dump(disk, source)
    content = source.read_bytes()
    written = disk.read_bytes()[START : START + len(content)]
    assert written == content
    superblock = read_superblock(disk)
    assert superblock.csum == zipl.cksm(written[:PAGE])
    assert superblock.dump_size == ROOM, "the next dump may be larger"
    assert released == ["release"]


def test_order_hsa_part_release_rest_first_page(disk, source, released, monkeypatch):
    pwrite = os.pwrite

    def recording(fd, data, offset):
        released.append(offset)
        return pwrite(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", recording)
    dump(disk, source)
    at = released.index("release")
    before, after = released[:at], released[at + 1 :]
    assert before[0] == START, "the busy marker comes first"
    low = range(START + 2 * PAGE, START + 2 * PAGE + HSA)
    assert before[1:]
    assert all(offset in low for offset in before[1:])
    assert not [offset for offset in after if offset in low]
    assert after[-2:] == [START, SUPERBLOCK_AT], "first page, then the checksum"
    assert after.index(START) == len(after) - 2


def test_a_dump_torn_at_any_write_never_looks_whole(disk, source, released, monkeypatch):
    whole, pwrite = disk.read_bytes(), os.pwrite
    total = 0

    def counting(fd, data, offset):
        nonlocal total
        total += 1
        return pwrite(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", counting)
    dump(disk, source)
    for survivors in range(total - 2):  # the last two are the first page and the checksum
        disk.write_bytes(whole)
        left = survivors

        def tearing(fd, data, offset):
            nonlocal left
            if left == 0:
                raise OSError(errno.EIO, "power cut")
            left -= 1
            return pwrite(fd, data, offset)

        monkeypatch.setattr(os, "pwrite", tearing)
        with pytest.raises(OSError, match="power cut"):
            dump(disk, source)
        assert disk.read_bytes()[START : START + 4] != b"\x7fELF"


def test_a_dump_that_does_not_fit_is_refused_before_anything_is_written(disk, tmp_path, released):
    big = tmp_path / "big"
    big.write_bytes(make_core([(0, ROOM)]))
    before = disk.read_bytes()
    with pytest.raises(tool.DumpError, match="Disk too small"):
        dump(disk, big)
    assert disk.read_bytes() == before


@pytest.mark.parametrize(
    ("offset", "what"),
    [
        (SUPERBLOCK_AT, "no dump superblock"),
        (SUPERBLOCK_AT + 15, "no dump superblock"),
        (START + 100, "checksum"),
        (0, "no zIPL boot record"),
    ],
)
def test_a_disk_that_is_not_a_dump_disk_is_left_alone(disk, source, released, offset, what):
    with disk.open("r+b") as file:
        file.seek(offset)
        file.write(b"\x55")
    before = disk.read_bytes()
    with pytest.raises(tool.DumpError, match=what):
        dump(disk, source)
    assert disk.read_bytes() == before


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (0, "memory at 0x0: "),
        (HSA - 1, "memory at 0x7000: "),
        (HSA, "memory at 0x8000 after the HSA was released: "),
        (64 * PAGE, "memory at 0x10000 after the HSA was released: "),
    ],
)
def test_memory_that_cannot_be_read_is_named(disk, source, released, monkeypatch, at, said):
    preadv, bad = os.preadv, 2 * PAGE + at

    def failing(fd, views, offset):
        if offset <= bad < offset + len(views[0]):
            raise OSError(errno.EFAULT, "Bad address")
        return preadv(fd, views, offset)

    monkeypatch.setattr(os, "preadv", failing)
    with pytest.raises(tool.DumpError) as caught:
        dump(disk, source, buffer=PAGE)
    assert str(caught.value) == f"cannot read {said}[Errno 14] Bad address"
    result = f"zfcpdump result: failed: {caught.value}"
    assert ZFCPDUMP.released_early is not None
    assert bool(ZFCPDUMP.released_early.match(result)) is ("after the HSA" in said)


def test_a_boot_record_without_dump_means_a_file_system(disk):
    with disk.open("r+b") as file:
        file.seek(0x70)
        file.write(bytes(16))
    assert tool.machine.superblock_offset(str(disk)) is None


@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.integers(1, 20)).map(lambda t: (t[0] * PAGE, t[1] * PAGE)),
        min_size=1,
        max_size=4,
    ),
    st.integers(0, 50).map(lambda pages: pages * PAGE),
)
def test_both_parts_together_are_everything_once(tmp_path_factory, loads, hsa):
    path = tmp_path_factory.mktemp("core") / "vmcore"
    content = make_core(loads)
    path.write_bytes(content)
    core = tool.Core(str(path))
    saved, rest = tool.Elf(core).parts(hsa)
    covered = bytearray(len(content))
    for offset, size in saved + rest:
        for at in range(offset, offset + size):
            covered[at] += 1
    assert core.size == len(content)
    assert all(count == 1 for count in covered[PAGE:])
    assert not any(covered[:PAGE])
    below = sum(min(size, max(0, hsa - address)) for address, size in loads)
    assert sum(size for _, size in saved) == below
    os.close(core.fd)


def test_a_memory_limit_shortens_the_ranges_and_their_headers(source):
    core = tool.Core(str(source), limit=20 * PAGE)
    assert [size for _, _, size in core.loads] == [20 * PAGE, 4 * PAGE]
    size = tool.vmcore.PROGRAM_HEADER.unpack_from(core.first_page, 64 + 56)[5]
    assert size == 20 * PAGE


def test_a_limit_that_is_no_whole_pages_is_reported_and_rounded_down():
    parameters = tool.Parameters("dump_mem=10000")
    assert parameters.mem == 2 * PAGE
    assert parameters.complaints == ["dump_mem=10000 is no whole pages, 8192 used"]


@pytest.mark.parametrize("pages", [1, 10, 16, 17, 19, 20, 63])
def test_a_limited_dump_has_memory_up_to_the_limit_and_says_so(tmp_path, source, released, pages):
    target, limit = tmp_path / "dump.0", pages * PAGE
    source.write_bytes(make_core(LOADS, notes=bytes(PAGE)))
    form = tool.Elf(tool.Core(str(source), limit))
    tool.filesystem.write_file(str(target), form, new_buffer(2 * PAGE), HSA, "auto")
    with ElfDump.open(source) as whole, ElfDump.open(target) as dump:
        assert dump.limited == (limit, 64 * PAGE)
        assert whole.limited is None
        assert dump.memory_map == ((0, limit),)
        ends = [min(segment.end, limit) for segment in whole.segments if segment.paddr < limit]
        assert [segment.end for segment in dump.segments] == ends
        for segment, before in zip(dump.segments, whole.segments, strict=False):
            kept = segment.read(segment.paddr, segment.size)
            assert kept == before.read(segment.paddr, segment.size)
        assert dump.missing == 0
        assert dump.length == dump.content.size


@pytest.mark.parametrize("pages", [64, 65, 1 << 40])
def test_a_limit_above_all_memory_changes_nothing(source, pages):
    core = tool.Core(str(source), limit=pages * PAGE)
    assert core.limit is None
    assert core.first_page == source.read_bytes()[:PAGE]


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("root=/dev/ram0 dump_mem=1 possible_cpus=1", "mem", None),
        ("dump_mem=all", "mem", None),
        ("dump_mem=1048576", "mem", 1 << 20),
        ("dump_mem=0x100000 dump_mem=1", "mem", 1 << 20),
        ("dump_mem=1048576 dump_mem=all", "mem", None),
        ("dump_dir=/dumps/", "dir", "/dumps"),
        ("dump_part=2", "part", 2),
        ("dump_mode=interactive", "mode", "interactive"),
        ("dump_wait=5", "wait", 5),
        ("dump_debug=6", "debug", 6),
        ("dump_format=s390", "format", "s390"),
        ("dump_compress=gzip", "compress", "gzip"),
        ("dump_format=s390 dump_format=elf", "format", "elf"),
        ("", "debug", 2),
    ],
)
def test_parameters(line, field, value):
    parameters = tool.Parameters(line)
    assert getattr(parameters, field) == value
    assert parameters.complaints == []


@pytest.mark.parametrize(
    "word",
    [
        "dump_compress=lzo",
        "dump_format=core",
        "dump_level=31",
        "dump_mode=manual",
        "dump_part=0",
        "dump_wait=0",
        "dump_debug=7",
        "dump_mem=x",
        "dump_mem=0",
        "dump_mem=-4096",
        "dump_mem=64M",
        "dump_mem=4095",
    ],
)
def test_invalid_parameters_are_reported_and_ignored(word):
    parameters = tool.Parameters(word)
    assert len(parameters.complaints) == 1
    assert word.partition("=")[0] in parameters.complaints[0]
    assert (parameters.mode, parameters.part, parameters.debug) == ("auto", 1, 2)


@given(st.binary(min_size=0, max_size=400).map(lambda data: data[: len(data) // 4 * 4]))
def test_checksum_is_the_machines(data):
    assert tool.partition.cksm(data) == zipl.cksm(data)


def test_the_ramdisk_has_every_module():
    listed = (IMAGES / "zfcpdump.list").read_text()
    modules = sorted((IMAGES / "zfcpdump").glob("*.py"))
    assert modules
    for module in modules:
        path = f"zfcpdump/{module.name}"
        assert f"file /usr/lib/python3.11/{path} ${{IMAGES}}/dump/{path} 0644 0 0\n" in listed


@pytest.mark.parametrize("devtmpfs", [True, False])
def test_without_devtmpfs_the_nodes_of_the_ramdisk_stay(monkeypatch, devtmpfs):
    texts = {"/proc/filesystems": "nodev\tproc\n\text4\n" + "nodev\tdevtmpfs\n" * devtmpfs}
    mounted: list[str] = []
    monkeypatch.setattr(tool.machine, "read_text", texts.get)
    monkeypatch.setattr(tool.machine, "mount", lambda what, where, kind: mounted.append(where))
    tool.machine.set_up()
    assert mounted == ["/proc", "/sys", "/sys/kernel/debug", *["/dev"] * devtmpfs]


def test_the_configuration_counts_less_than_the_parmline(monkeypatch):
    texts = {"/etc/zfcpdump.conf": "dump_format=s390 dump_debug=3", "/proc/cmdline": "dump_debug=5"}
    given: list[Any] = []
    monkeypatch.setattr(tool.machine, "read_text", texts.get)
    monkeypatch.setattr(tool.machine, "set_up", lambda: None)
    monkeypatch.setattr(tool.machine, "reipl_or_power_off", lambda: None)
    monkeypatch.setattr(tool, "dump", given.append)
    monkeypatch.setattr(os, "write", lambda fd, data: len(data))
    tool.main()
    assert [(one.format, one.debug) for one in given] == [("s390", 5)]


def test_every_end_has_one_result_line_and_then_a_power_off(monkeypatch):
    said: list[str] = []
    ended: list[bool] = []
    monkeypatch.setattr(os, "write", lambda fd, data: said.append(data.decode()))
    monkeypatch.setattr(tool.machine, "reipl_or_power_off", lambda: ended.append(True))
    for problem, line in (
        (tool.DumpError("Disk too small"), "zfcpdump result: failed: Disk too small"),
        (MemoryError(), "zfcpdump result: failed: MemoryError: "),
        (KeyboardInterrupt(), "zfcpdump result: failed: KeyboardInterrupt: "),
    ):

        def fail(problem=problem):
            raise problem

        said.clear()
        monkeypatch.setattr(tool.machine, "set_up", fail)
        tool.main()
        lines = "".join(said).splitlines()
        assert [text for text in lines if text.startswith("zfcpdump result: ")] == [line]
    assert len(ended) == 3


@pytest.mark.parametrize("fails", [False, True])
def test_the_harness_understands_its_result_line(monkeypatch, fails):
    said: list[str] = []

    def dump(parameters):
        if fails:
            raise tool.DumpError("Disk too small")
        return "512 bytes to /dev/sda1 in 0.1 s, 256.0 MB/s"

    monkeypatch.setattr(os, "write", lambda fd, data: said.append(data.decode()))
    monkeypatch.setattr(tool.machine, "set_up", lambda: None)
    monkeypatch.setattr(tool.machine, "read_text", lambda path: "")
    monkeypatch.setattr(tool.machine, "reipl_or_power_off", lambda: None)
    monkeypatch.setattr(tool, "dump", dump)
    tool.main()
    (told,) = filter(None, map(ZFCPDUMP.result, "".join(said).splitlines()))
    assert (told is Said.FAILED) is fails
