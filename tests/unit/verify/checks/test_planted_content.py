"""Planted content in a dump: green if it is complete, red for each kind of damage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.dump.formats.elf.reader import ElfDump
from harness.s390x.disk_layout import DiskLayout
from harness.verify.checks import planted_content as content
from harness.verify.evidence import Evidence, RamImage
from harness.verify.findings import CheckResult
from harness.verify.kinds import Page, PlantedFaults
from harness.verify.planted_layout import HEADER_SIZE, MAGIC, PAGE, Header, Kind
from tests.support.cpus import make_cpu
from tests.support.evidence import Load, vmcore, write_sparse
from tests.support.findings import details
from tests.support.guests.planting import MEMORY, SEED, Content, planted_memory, writing

HSA = 32 << 20
WHOLE = Load(0, MEMORY, 0)
OTHER_SEED = SEED ^ 1


@pytest.fixture(scope="module")
def whole() -> Content:
    return planted_memory()


def evidence_of(dump: ElfDump | None, *, seed: int | None = SEED, hsa: object = HSA) -> Evidence:
    """Evidence that fails if a check uses the crash snapshot."""
    return Evidence(
        ram=cast("RamImage", None),
        cpus=(),
        dump=dump,
        dump_fault=None if dump else "the dump system left no dump",
        superblock=None,
        console=(),
        outcome={"hsa_size": hsa},
        layout=DiskLayout.PARTITION,
        content_seed=seed,
    )


def elf_of(image: bytes, *loads: Load) -> bytes:
    return vmcore(image, [make_cpu(1)], loads=loads or (WHOLE,))


def checked(path: Path, elf: bytes, **options: Any) -> CheckResult:
    write_sparse(path / "dump.elf", elf)
    with ElfDump.open(path / "dump.elf") as dump:
        return content.check(evidence_of(dump, **options))


def said(result: CheckResult) -> str:
    return "\n".join(finding.message for finding in result.findings)


def counted(result: CheckResult, kind: Kind) -> int:
    (note,) = [note for note in result.notes if note.startswith("planted: ")]
    counts = dict(item.rsplit(" ", 1) for item in note.removeprefix("planted: ").split(", "))
    return int(counts.get(kind.title, 0))


# what is right


def test_whole_content_is_green(whole: Content, tmp_path: Path):
    result = checked(tmp_path, elf_of(whole.image))
    assert result.findings == ()
    assert result.passed
    assert result.compared == whole.total
    for kind in (Kind.ANONYMOUS, Kind.TMPFS, Kind.RAMFS, Kind.BLOCK, Kind.ZERO):
        assert counted(result, kind) == len(whole.pages(kind)) > 0
    assert f"slab messages {len(whole.messages)}" in result.notes[0]


def test_sides_of_the_hsa_are_told(whole: Content, tmp_path: Path):
    result = checked(tmp_path, elf_of(whole.image))
    below = [at for at in whole.pages(*Kind) if HSA - (16 << 20) <= at < HSA]
    above = [at for at in whole.pages(*Kind) if at >= HSA]
    assert (
        f"HSA's end at {HSA:#x}: {len(below)} pages within 16 MiB below, the nearest one "
        f"{HSA - below[-1]:#x} bytes; {len(above)} pages within 16 MiB above, the nearest one "
        f"{above[0] - HSA:#x} bytes"
    ) in result.notes


def test_a_second_segment_for_the_kernel_image_is_green(whole: Content, tmp_path: Path):
    image = Load(16 << 20, 4 << 20, 0x3FF_E000_0000)
    result = checked(tmp_path, elf_of(whole.image, image, WHOLE))
    assert said(result) == ""
    assert result.compared == whole.total


def test_segments_that_divide_memory_are_green(whole: Content, tmp_path: Path):
    middle = whole.data_pages[10]
    loads = (Load(0, middle, 0), Load(middle, MEMORY - middle, middle))
    assert said(checked(tmp_path, elf_of(whole.image, *loads))) == ""


def test_content_without_messages_and_block_device_is_green(tmp_path: Path):
    less = planted_memory(has_block_device=False, has_messages=False)
    result = checked(tmp_path, elf_of(less.image))
    assert said(result) == ""
    assert result.compared == less.total
    assert counted(result, Kind.BLOCK) == 0


def test_a_magic_number_without_a_header_is_nothing(whole: Content, tmp_path: Path):
    """As in the program that planted, where it is a constant."""
    image = bytearray(whole.image)
    for at in (whole.free_page, (1 << 20) + 123):
        image[at : at + len(MAGIC)] = MAGIC
    assert said(checked(tmp_path, elf_of(bytes(image)))) == ""


def test_pages_of_a_block_device_that_were_written_back_are_allowed(whole: Content, tmp_path: Path):
    image = bytearray(whole.image)
    duplicate_elsewhere(Kind.BLOCK, whole, image)
    result = checked(tmp_path, elf_of(bytes(image)))
    assert said(result) == ""
    assert [item.where for item in result.allowed] == ["1 pages"]
    assert result.compared == whole.total


def test_no_content_is_skipped(whole: Content, tmp_path: Path):
    result = checked(tmp_path, elf_of(whole.image), seed=None)
    assert result.skipped_reason is not None
    assert result.passed


# what is wrong


def test_no_dump_is_red():
    result = content.check(evidence_of(None))
    assert not result.passed
    assert said(result) == "no content compared: the dump system left no dump"


@pytest.mark.parametrize(
    ("hsa", "message"),
    [
        (MEMORY, f"within 16 MiB above the HSA's end at {MEMORY:#x}"),
        (1 << 20, "within 16 MiB below the HSA's end at 0x100000"),
        (None, "which side of the HSA's end was planted is unknown: None"),
        (0, "unknown: 0"),
    ],
)
def test_an_end_of_the_hsa_that_was_not_covered_is_red(
    whole: Content, tmp_path: Path, hsa: object, message: str
):
    result = checked(tmp_path, elf_of(whole.image), hsa=hsa)
    assert not result.passed
    assert message in said(result)
    assert len(result.findings) == 1


Change = Callable[[Content, bytearray], None]


def copy(image: bytearray, source: int, target: int, size: int = PAGE) -> None:
    image[target : target + size] = image[source : source + size]


def flip_in_page(kind: Kind, offset: int, all_content: Content, image: bytearray) -> None:
    image[all_content.pages(kind)[3] + offset] ^= 0x10


def swap(all_content: Content, image: bytearray) -> None:
    one, other = all_content.data_pages[5], all_content.data_pages[40]
    image[one : one + PAGE], image[other : other + PAGE] = (
        image[other : other + PAGE],
        image[one : one + PAGE],
    )


def shift_page(all_content: Content, image: bytearray) -> None:
    pages = all_content.data_pages
    first = next(at for at in pages if at + PAGE in pages)
    copy(image, first, first + PAGE)
    image[first : first + PAGE] = bytes(PAGE)


def shift_bytes(all_content: Content, image: bytearray) -> None:
    """As a dump whose writing began 512 bytes too late."""
    start = all_content.data_pages[100]
    image[start:] = bytes(512) + image[start:-512]


def lose_page(all_content: Content, image: bytearray) -> None:
    at = all_content.data_pages[7]
    image[at : at + PAGE] = bytes(PAGE)


def lose_side(all_content: Content, image: bytearray) -> None:
    image[HSA : HSA + (2 << 20)] = bytes(2 << 20)


def garbage_page(all_content: Content, image: bytearray) -> None:
    at = all_content.data_pages[7]
    image[at : at + PAGE] = b"\x5a" * PAGE


def half_page(all_content: Content, image: bytearray) -> None:
    at = all_content.data_pages[7]
    image[at + PAGE // 2 : at + PAGE] = bytes(PAGE // 2)


def duplicate_over_another(all_content: Content, image: bytearray) -> None:
    copy(image, all_content.data_pages[5], all_content.data_pages[40])


def duplicate_elsewhere(kind: Kind, all_content: Content, image: bytearray) -> None:
    copy(image, all_content.pages(kind)[5], all_content.free_page)


def half_written_back(all_content: Content, image: bytearray) -> None:
    copy(image, all_content.pages(Kind.BLOCK)[5], all_content.free_page, PAGE // 2)


def written_back_unaligned(all_content: Content, image: bytearray) -> None:
    copy(image, all_content.pages(Kind.BLOCK)[5], all_content.free_page + 8)


def move_ledger_page(all_content: Content, image: bytearray) -> None:
    copy(image, all_content.ledger[0], all_content.free_page)


def duplicate_over_zero(all_content: Content, image: bytearray) -> None:
    copy(image, all_content.data_pages[5], all_content.pages(Kind.ZERO)[2])


def nonzero_hole(all_content: Content, image: bytearray) -> None:
    image[all_content.pages(Kind.ZERO)[2] + 4095] = 1


def stale_hole(all_content: Content, image: bytearray) -> None:
    """The page as it was before it was zeroed."""
    header = next(item for item in all_content.headers if item.kind is Kind.ZERO)
    image[header.address : header.address + PAGE] = header.content()


def lose_ledger(all_content: Content, image: bytearray) -> None:
    for at in all_content.ledger:
        image[at : at + PAGE] = bytes(PAGE)


def lose_ledger_page(all_content: Content, image: bytearray) -> None:
    at = all_content.ledger[1]
    image[at : at + PAGE] = bytes(PAGE)


def damage_ledger(all_content: Content, image: bytearray) -> None:
    image[all_content.ledger[0] + HEADER_SIZE + 7] ^= 1


def lose_ledger_and_a_page(all_content: Content, image: bytearray) -> None:
    lose_ledger(all_content, image)
    lose_page(all_content, image)


def lose_ledger_and_fill_hole(all_content: Content, image: bytearray) -> None:
    lose_ledger(all_content, image)
    nonzero_hole(all_content, image)


def lose_ledger_and_message(all_content: Content, image: bytearray) -> None:
    lose_ledger(all_content, image)
    lose_message(all_content, image)


def lose_all(_: Content, image: bytearray) -> None:
    image[:] = bytes(len(image))


def flip_in_message(all_content: Content, image: bytearray) -> None:
    image[all_content.messages[9] + HEADER_SIZE + 3] ^= 0x80


def lose_message(all_content: Content, image: bytearray) -> None:
    image[all_content.messages[9]] ^= 0x80


def duplicate_message(all_content: Content, image: bytearray) -> None:
    copy(image, all_content.messages[9], all_content.free_page + 48, 144)


def message_over_message(all_content: Content, image: bytearray) -> None:
    copy(image, all_content.messages[8], all_content.messages[9], 144)


def foreign_page(all_content: Content, image: bytearray) -> None:
    at = all_content.free_page
    image[at : at + PAGE] = Header(Kind.TMPFS, 0, OTHER_SEED, 0, 1, at, PAGE).content()


def unlisted_page(all_content: Content, image: bytearray) -> None:
    at = all_content.free_page
    image[at : at + PAGE] = Header(Kind.TMPFS, 0, SEED, 0, 1, at, PAGE).content()


def unlisted_message(all_content: Content, image: bytearray) -> None:
    at = all_content.free_page
    image[at : at + 80] = Header(Kind.MESSAGE, 0, SEED, 500, 501, 0, 80).content()


MUTATIONS: dict[str, tuple[Change, str]] = {
    "bit in a body": (partial(flip_in_page, Kind.ANONYMOUS, 0x123), "differs in 1 bytes from"),
    "bit in a header": (partial(flip_in_page, Kind.TMPFS, 9), "differs in 1 bytes from"),
    "bit in a magic number": (partial(flip_in_page, Kind.RAMFS, 0), "differs in 1 bytes from"),
    "last bit of a page": (partial(flip_in_page, Kind.BLOCK, 4095), "differs in 1 bytes from"),
    "swapped pages": (swap, "has the content of page"),
    "shifted page": (shift_page, "shifted by +0x1000"),
    "shifted bytes": (shift_bytes, "shifted by +0x200"),
    "lost page": (lose_page, "is zero in the dump"),
    "lost side": (lose_side, "close above 32 MiB"),
    "garbage page": (garbage_page, "dump 5a 5a"),
    "half a page": (half_page, "differs in"),
    "page over another": (duplicate_over_another, "has the content of page"),
    "page elsewhere as well": (partial(duplicate_elsewhere, Kind.TMPFS), "content of page"),
    "part of a page written back": (half_written_back, "has the content of page"),
    "page written back unaligned": (written_back_unaligned, "shifted by"),
    "ledger page elsewhere as well": (move_ledger_page, "ledger 0 of"),
    "page over a zeroed one": (duplicate_over_zero, "zeroed memory 2 of"),
    "hole that is not zero": (nonzero_hole, "differs in 1 bytes from"),
    "zeroed page as before": (stale_hole, "has other content: zeroed memory 0 of"),
    "lost ledger": (lose_ledger, "has no ledger of content of seed"),
    "lost ledger page": (lose_ledger_page, "ledger pages 1 of"),
    "damaged ledger": (damage_ledger, "ledger 0 of"),
    "lost ledger and page": (lose_ledger_and_a_page, "are lost"),
    "lost ledger, filled hole": (lose_ledger_and_fill_hole, "zeroed memory, differs in 1"),
    "lost ledger and message": (lose_ledger_and_message, "slab message: 9 of"),
    "lost everything": (lose_all, "has no ledger of content of seed"),
    "bit in a message": (flip_in_message, "slab message 9 of"),
    "lost message": (lose_message, "slab message 9 of 112, 208 bytes, is lost"),
    "message twice": (duplicate_message, "is there more than once: at"),
    "message over another": (message_over_message, "slab message 9 of 112, 208 bytes, is lost"),
    "page of another seed": (foreign_page, f"1 pages and messages are of seed {OTHER_SEED:#x}"),
    "page that is not listed": (unlisted_page, "is not in the ledger"),
    "message that is not listed": (unlisted_message, "slab message 500 of 501 at"),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_mutation_is_red(whole: Content, tmp_path: Path, name: str):
    mutate, message = MUTATIONS[name]
    image = bytearray(whole.image)
    mutate(whole, image)
    assert image != whole.image
    result = checked(tmp_path, elf_of(bytes(image)))
    assert not result.passed
    assert message in said(result)


def test_wrong_seed_is_red(whole: Content, tmp_path: Path):
    result = checked(tmp_path, elf_of(whole.image), seed=OTHER_SEED)
    assert not result.passed
    assert f"are of seed {SEED:#x}, not {OTHER_SEED:#x}" in said(result)
    assert f"no ledger of content of seed {OTHER_SEED:#x}" in said(result)


def test_truncated_dump_is_red(whole: Content, tmp_path: Path):
    elf = elf_of(whole.image)
    cut = whole.data_pages[-20] + 0x800
    result = checked(tmp_path, elf[: len(elf) - (MEMORY - cut)])
    assert not result.passed
    assert f"is lost: the dump ends at {cut:#x}" in said(result)


def test_a_segment_that_is_missing_is_red(whole: Content, tmp_path: Path):
    end = whole.data_pages[-20]
    result = checked(tmp_path, elf_of(whole.image, Load(0, end, 0)))
    assert not result.passed
    assert "is in no PT_LOAD" in said(result)


def test_only_the_second_copy_broken_is_red(whole: Content, tmp_path: Path):
    page = next(at for at in whole.data_pages if at >= 16 << 20)
    image = Load(16 << 20, 4 << 20, 0x3FF_E000_0000)
    elf = bytearray(elf_of(whole.image, image, WHOLE))
    elf[len(elf) - MEMORY - image.size + page - image.paddr + 0x345] ^= 1
    result = checked(tmp_path, bytes(elf))
    assert len(result.findings) == 1
    assert f"page {page:#x}" in said(result)
    assert f"from {page + 0x345:#x} on" in said(result)


def test_many_faults_are_summed_up(whole: Content, tmp_path: Path):
    image = bytearray(whole.image)
    lose_side(whole, image)
    lost = [at for at in whole.data_pages if HSA <= at < HSA + (2 << 20)]
    result = checked(tmp_path, elf_of(bytes(image)))
    assert len(result.findings) == 1 + content.DETAILED
    summary = result.findings[0]
    assert details(summary, PlantedFaults).pages == tuple(lost)
    assert f"{len(lost)} close above 32 MiB" in summary.message


def test_findings_name_the_address(whole: Content, tmp_path: Path):
    image = bytearray(whole.image)
    flip_in_page(Kind.BLOCK, 0x77, whole, image)
    page = whole.pages(Kind.BLOCK)[3]
    (finding,) = checked(tmp_path, elf_of(bytes(image))).findings
    assert finding.details == Page(page)
    was, now = whole.image[page + 0x77], image[page + 0x77]
    assert finding.message.startswith(
        f"page {page:#x}, page cache of a block device 3 of {len(whole.pages(Kind.BLOCK))}, "
        f"differs in 1 bytes from {page + 0x77:#x} on: dump {now:02x}"
    )
    assert f"planted {was:02x}" in finding.message


# every bit counts


@dataclass(frozen=True)
class OnDisk:
    """A dump file that tests change and put back."""

    path: Path
    content: Content
    start: int  # file offset of absolute address 0

    @contextmanager
    def changed(self, address: int, new: bytes) -> Iterator[CheckResult]:
        with self.path.open("r+b") as file:
            file.seek(self.start + address)
            old = file.read(len(new))
            file.seek(self.start + address)
            file.write(new)
            file.flush()
            try:
                with ElfDump.open(self.path) as dump:
                    yield content.check(evidence_of(dump))
            finally:
                file.seek(self.start + address)
                file.write(old)


@pytest.fixture(scope="module")
def on_disk(whole: Content, tmp_path_factory: pytest.TempPathFactory) -> OnDisk:
    path = tmp_path_factory.mktemp("content") / "dump.elf"
    elf = elf_of(whole.image)
    write_sparse(path, elf)
    return OnDisk(path, whole, len(elf) - MEMORY)


few = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@few
@given(data=st.data())
def test_any_bit_of_any_page_counts(on_disk: OnDisk, data: st.DataObject):
    pages = [*on_disk.content.pages(*Kind), *on_disk.content.ledger]
    address = data.draw(st.sampled_from(pages)) + data.draw(st.integers(0, PAGE - 1))
    byte = on_disk.content.image[address] ^ 1 << data.draw(st.integers(0, 7))
    with on_disk.changed(address, bytes([byte])) as result:
        assert not result.passed
        assert f"{address & -PAGE:#x}" in said(result) or "ledger" in said(result)


@few
@given(data=st.data())
def test_any_bit_of_any_message_counts(on_disk: OnDisk, data: st.DataObject):
    index = data.draw(st.integers(0, len(on_disk.content.messages) - 1))
    offset = data.draw(st.integers(0, writing.MESSAGES[index] - 1))
    address = on_disk.content.messages[index] + offset
    byte = on_disk.content.image[address] ^ 1 << data.draw(st.integers(0, 7))
    with on_disk.changed(address, bytes([byte])) as result:
        assert f"slab message {index} of" in said(result)


@few
@given(data=st.data())
def test_any_page_in_the_place_of_any_other_counts(on_disk: OnDisk, data: st.DataObject):
    pages = on_disk.content.data_pages
    source, target = data.draw(
        st.lists(st.sampled_from(pages), min_size=2, max_size=2, unique=True)
    )
    with on_disk.changed(target, on_disk.content.image[source : source + PAGE]) as result:
        assert len(result.findings) == 1
        assert f"page {target:#x}" in said(result)
        assert f"of page {source:#x}" in said(result)


def test_restored_content_is_green(on_disk: OnDisk):
    with on_disk.changed(0, on_disk.content.image[:1]) as result:
        assert result.passed
