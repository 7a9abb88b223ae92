"""Compare the page cache in a dump with the content of files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

from harness.evidence.witnesses import WitnessedFile, Witnesses, made_content
from harness.verify.findings import AllowedDifference
from harness.verify.witnesses.facts import CachedFile, SystemFacts
from harness.verify.witnesses.said import Said, first

PAGE = 4096
# file systems whose files are nowhere but in memory, or in swap
_IN_MEMORY = {"tmpfs", "ramfs", "rootfs", "devtmpfs"}


def check_files(facts: SystemFacts, told: Witnesses) -> Iterator[Said]:
    """Each file is found by its path, and its pages have its content."""
    assert facts.files is not None
    found = {file.path: file for file in facts.files}
    dropped = 0
    for file in told.files or ():
        if file.path not in found:
            yield f"page cache: {file.path} was not looked for"
            continue
        yield from _same(file, found[file.path])
        dropped += _dropped(found[file.path])
    yield from _reclaim(dropped, facts, told)


def describe(files: tuple[CachedFile, ...]) -> str:
    """How much was found, and where."""
    pages = sum(len(file.pages) for file in files)
    kinds = sorted({file.kind for file in files if file.kind})
    largest = max((file.largest for file in files), default=0)
    whole = sum(file.sha256 is not None for file in files)
    return (
        f"page cache: {len(files)} files found by path, {whole} of them whole; {pages} pages, on "
        f"{', '.join(kinds)}; the largest folio has {largest} pages"
    )


def _same(told: WitnessedFile, found: CachedFile) -> Iterator[Said]:
    where = f"page cache: {told.path}"
    if found.fault:
        yield f"{where}: {found.fault}"
        return
    if found.size != told.size:
        yield f"{where}: has {found.size} bytes, but it had {told.size}"
        return
    if found.counted != found.entries:
        yield f"{where}: {found.counted} pages are counted, {found.entries} are there"
    wrong = _wrong_pages(told, dict(found.pages))
    if wrong:
        yield (
            f"{where} ({found.kind}): {len(wrong)} of {len(found.pages)} pages do not have the "
            f"file's content: {first(f'page {number}' for number in wrong)}"
        )
    elif found.sha256 not in (None, told.sha256):
        yield (
            f"{where} ({found.kind}): its pages do not have the file's content: SHA-256 "
            f"{found.sha256}, not {told.sha256}"
        )
    absent = _pages(found) - len(found.pages)
    if found.kind in _IN_MEMORY and absent > 0:
        if absent > found.elsewhere:
            yield f"{where} ({found.kind}): {absent} of {_pages(found)} pages are not in memory"
        else:
            yield AllowedDifference(
                f"{told.path}: {absent} pages", "they are in swap, as its XArray says"
            )


def _pages(file: CachedFile) -> int:
    return -(-file.size // PAGE)


def _wrong_pages(told: WitnessedFile, pages: Mapping[int, str]) -> list[int]:
    """Numbers of pages with wrong content, if it is known for each page."""
    if told.offset is None:
        return []
    content = made_content(told.offset, told.offset + told.size)
    return [
        number
        for number, digest in pages.items()
        if digest != hashlib.sha256(content[number * PAGE : (number + 1) * PAGE]).hexdigest()
    ]


def _dropped(found: CachedFile) -> int:
    """Pages that a file on a disk does not have in memory."""
    if found.fault or found.kind in _IN_MEMORY:
        return 0
    return max(_pages(found) - len(found.pages), 0)


def _reclaim(dropped: int, facts: SystemFacts, told: Witnesses) -> Iterator[Said]:
    """Only reclaim takes pages of files on disks out of memory; the kernel counts them."""
    if not dropped:
        return
    where = f"{dropped} pages of files on disks that are not in memory"
    before = told.counters.reclaimed if told.counters is not None else None
    now = facts.threads.reclaimed if facts.threads is not None else None
    if before is None or now is None:
        yield AllowedDifference(where, "the kernel does not count pages that reclaim frees")
    elif dropped > now - before:
        yield (
            f"page cache: {where}, but reclaim freed only {max(now - before, 0)} pages after they "
            "were read, as the kernel counts"
        )
    else:
        yield AllowedDifference(where, f"reclaim freed {now - before}, as the kernel counts")
