"""What a dump shows otherwise than the system had said is found and named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.evidence.witnesses import Witnesses
from harness.verify.evidence import Evidence
from harness.verify.findings import CheckResult
from harness.verify.run_checks import run_checks
from harness.verify.witnesses.check import CHECK, check_system
from harness.verify.witnesses.facts import CachedFile, SystemFacts, Text, Thread
from tests.support.evidence import SyntheticRun
from tests.support.kernels.system import LOG, MADE, SYSTEM, WITNESSES, cached, sha256

NEW = Thread(31, "new", "R", 90, kernel=False)


def messages(result: CheckResult) -> list[str]:
    return [finding.message for finding in result.findings]


def allowed(result: CheckResult) -> list[tuple[str, str]]:
    return [(each.where, each.reason) for each in result.allowed]


def test_a_sound_system_has_nothing_wrong():
    result = check_system(SYSTEM, WITNESSES)
    assert messages(result) == []
    assert allowed(result) == []
    assert result.compared == 4 + 2 + 2 + 3 + 2 + 1 + 2
    assert result.notes == (
        "tasks: 4, 2 of them of the kernel; states: 1 I, 1 R, 1 S, 1 Z",
        "modules: 2, 1 with a build-id; the code of 1 was compared with their files (1000 bytes)",
        "mounts: 3, of ext4, rootfs",
        "sockets: 2 listen: 1 tcp, 1 unix; 0.0.0.0:22: sshd (pid 400)",
        "kernel log: 3 lines",
        "page cache: 2 files found by path, 2 of them whole; 5 pages, on ext4, tmpfs; the largest "
        "folio has 1 pages",
    )


def threads(**changes: object) -> SystemFacts:
    return replace(SYSTEM, threads=replace(SYSTEM.threads, **changes))


def task(number: int, **changes: object) -> SystemFacts:
    assert SYSTEM.threads is not None
    tasks = list(SYSTEM.threads.tasks)
    tasks[number] = replace(tasks[number], **changes)
    return threads(tasks=tuple(tasks))


TASKS = SYSTEM.threads.tasks if SYSTEM.threads else ()


def module(number: int = 0, **changes: object) -> SystemFacts:
    modules = list(SYSTEM.modules or ())
    modules[number] = replace(modules[number], **changes)
    return replace(SYSTEM, modules=tuple(modules))


def mount(number: int, **changes: object) -> SystemFacts:
    mounts = list(SYSTEM.mounts or ())
    mounts[number] = replace(mounts[number], **changes)
    return replace(SYSTEM, mounts=tuple(mounts))


def file(number: int = 0, **changes: object) -> SystemFacts:
    files = list(SYSTEM.files or ())
    files[number] = replace(files[number], **changes)
    return replace(SYSTEM, files=tuple(files))


def pages(number: int = 0) -> tuple[tuple[int, str], ...]:
    return (SYSTEM.files or ())[number].pages


def exchanged() -> tuple[tuple[int, str], ...]:
    """The first two pages of the file that was made, each in the other's place."""
    (_, first), (_, second), *rest = pages()
    return ((0, second), (1, first), *rest)


WRONG: dict[str, tuple[SystemFacts, list[str]]] = {
    "a part that cannot be read": (
        replace(SYSTEM, mounts=None, faults={"mounts": "FaultError: memory fault: 0x10"}),
        ["mounts: FaultError: memory fault: 0x10"],
    ),
    "forks are lost": (
        threads(forks=80),
        ["tasks: the kernel counts 80 since the boot, but it had counted 88"],
    ),
    "a task is lost": (
        threads(tasks=TASKS[:3]),
        [
            "tasks: 3 have a process id, but the kernel counts 4",
            "tasks: 1 of 4 that the system had are not in the dump, but only 0 ended after that, "
            "as the kernel counts: dead (pid 30)",
        ],
    ),
    "a task comes from nowhere": (
        threads(tasks=(*TASKS, NEW), count=5),
        [
            "tasks: the dump has 1 that the system did not have, but only 0 were made after that, "
            "as the kernel counts: new (pid 31)"
        ],
    ),
    "a thread of the kernel has another name": (
        task(1, comm="kthreadx"),
        ["tasks: kthreadd (pid 2): is named 'kthreadx' in the dump"],
    ),
    "a worker has another name": (
        task(2, comm="kworker/1:1"),
        ["tasks: kworker/0:1-events (pid 9): is named 'kworker/1:1' in the dump"],
    ),
    "a thread of the kernel becomes a process": (
        task(1, kernel=False),
        ["tasks: kthreadd (pid 2): is not a thread of the kernel in the dump"],
    ),
    "the dead live": (
        task(3, state="S"),
        ["tasks: dead (pid 30): was dead (Z), and is alive in the dump (S)"],
    ),
    "a module is lost": (
        replace(SYSTEM, modules=(SYSTEM.modules or ())[1:]),
        ["modules: the dump has no module zcrash, which the system had"],
    ),
    "a module comes from nowhere": (
        module(1, name="rootkit"),
        [
            "modules: the dump has no module hidden, which the system had",
            "modules: the dump has a module rootkit, which the system did not have",
        ],
    ),
    "a module has another size": (
        module(size=4096),
        ["modules: zcrash: size is 4096, but it was 12288"],
    ),
    "a module is elsewhere": (
        module(address=0x300),
        ["modules: zcrash: address is 0x300, but it was 0x3ff"],
    ),
    "a module has another build-id": (
        module(build_id="ee"),
        [f"modules: zcrash: build-id is ee, but it was {'cd' * 20}"],
    ),
    "a module's code differs from its file": (
        module(text=Text(1000, ((".text", 0x40, "07fe", "07f4"),))),
        ["modules: zcrash: .text+0x40 is 07fe, but 07f4 in its file"],
    ),
    "a mount is lost": (
        replace(SYSTEM, mounts=(SYSTEM.mounts or ())[:2]),
        ["mounts: the dump has no mount 21, which the system had"],
    ),
    "a mount comes from nowhere": (
        mount(0, point="/proc"),
        ["mounts: the dump has a mount 1, which the system did not have"],
    ),
    "a mount is elsewhere": (
        mount(2, point="/disc"),
        ["mounts: /disk (ext4): mount point is /disc, but it was /disk"],
    ),
    "a mount of another device": (
        mount(2, device="8:2"),
        ["mounts: /disk (ext4): device is 8:2, but it was 8:1"],
    ),
    "a mount of another directory": (
        mount(2, root="/sub"),
        ["mounts: /disk (ext4): root is /sub, but it was /"],
    ),
    "a mount has become writable": (
        mount(2, read_only=False),
        ["mounts: /disk (ext4): read-only is False, but it was True"],
    ),
    "a superblock is not in its list": (
        mount(2, listed=False),
        ["mounts: the superblock of /disk is not in the list of superblocks"],
    ),
    "a socket is lost": (
        replace(SYSTEM, sockets=(SYSTEM.sockets or ())[1:]),
        [
            "sockets: the dump has no listening socket tcp 0.0.0.0:22 (inode 1598), which the "
            "system had"
        ],
    ),
    "a socket comes from nowhere": (
        replace(
            SYSTEM,
            sockets=(*(SYSTEM.sockets or ()), replace((SYSTEM.sockets or ())[0], inode=7)),
        ),
        [
            "sockets: the dump has a listening socket tcp 0.0.0.0:22 (inode 7), which the system "
            "did not have"
        ],
    ),
    "no log": (replace(SYSTEM, log=()), ["kernel log: is empty"]),
    "a line of dmesg is lost": (
        replace(SYSTEM, log=LOG[:2]),
        ["kernel log: has no line [1.500000] zcrash: loading out-of-tree module taints kernel."],
    ),
    "lines are exchanged": (
        replace(SYSTEM, log=(LOG[0], LOG[2], LOG[1])),
        ["kernel log: its lines come in another order than in dmesg"],
    ),
    "a line of the journal is another": (
        replace(SYSTEM, log=("[    0.110421] Linux version 6.12.11", *LOG[1:])),
        ["kernel log: has no line [0.110421] Linux version 6.12.117"],
    ),
    "a file is not found": (
        replace(
            SYSTEM,
            files=(CachedFile("/tmp/made", fault="tmp has no made"), (SYSTEM.files or ())[1]),
        ),
        ["page cache: /tmp/made: tmp has no made"],
    ),
    "a file was not looked for": (
        replace(SYSTEM, files=(SYSTEM.files or ())[1:]),
        ["page cache: /tmp/made was not looked for"],
    ),
    "a file has another size": (
        file(size=7),
        [f"page cache: /tmp/made: has 7 bytes, but it had {len(MADE)}"],
    ),
    "pages are exchanged": (
        file(pages=exchanged(), sha256="00"),
        [
            "page cache: /tmp/made (tmpfs): 2 of 3 pages do not have the file's content: page 0, "
            "page 1"
        ],
    ),
    "a page is wrong in a file that is not whole": (
        file(pages=((1, "00"),), sha256=None, elsewhere=2, entries=1, counted=1),
        ["page cache: /tmp/made (tmpfs): 1 of 1 pages do not have the file's content: page 1"],
    ),
    "content that was not made here": (
        file(1, sha256="00"),
        [
            "page cache: /disk/program (ext4): its pages do not have the file's content: SHA-256 "
            "00, not " + sha256(b"\x7fELF" * 2000)
        ],
    ),
    "more pages are counted than there are": (
        file(counted=4),
        ["page cache: /tmp/made: 4 pages are counted, 3 are there"],
    ),
    "a page of a file in memory is not there": (
        file(pages=pages()[:2], sha256=None, entries=2, counted=2),
        ["page cache: /tmp/made (tmpfs): 1 of 3 pages are not in memory"],
    ),
    "pages of a file on a disk are not there": (
        file(1, pages=(), sha256=None, entries=0, counted=0),
        [
            "page cache: 2 pages of files on disks that are not in memory, but reclaim freed only "
            "0 pages after they were read, as the kernel counts"
        ],
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named(name: str):
    facts, expected = WRONG[name]
    result = check_system(facts, WITNESSES)
    assert messages(result) == expected
    assert not result.passed


EXCHANGED = file(1, pages=(), sha256=None, entries=0, counted=0)
ALLOWED: dict[str, tuple[SystemFacts, list[tuple[str, str]]]] = {
    "a task has ended": (
        threads(tasks=TASKS[:3], count=3),
        [
            (
                "1 tasks that are not in the dump",
                "they ended after the system listed its tasks: 1 did, as the kernel counts",
            )
        ],
    ),
    "a task was made": (
        threads(tasks=(*TASKS, NEW), count=5, forks=89),
        [
            (
                "1 tasks that only the dump has",
                "they were made after the system listed its tasks: 1 were, as the kernel counts",
            )
        ],
    ),
    "another program": (
        task(0, comm="zharness"),
        [
            (
                "sh (pid 1), in the dump zharness",
                "a process can run another program, or name itself (execve, PR_SET_NAME)",
            )
        ],
    ),
    "the list of tasks is being changed": (threads(tasks=(), changing=True), []),
    "a page is in swap": (
        file(pages=pages()[:2], sha256=None, entries=2, counted=2, elsewhere=1),
        [("/tmp/made: 1 pages", "they are in swap, as its XArray says")],
    ),
    "pages were reclaimed": (
        replace(EXCHANGED, threads=replace(SYSTEM.threads, reclaimed=12)),
        [
            (
                "2 pages of files on disks that are not in memory",
                "reclaim freed 2, as the kernel counts",
            )
        ],
    ),
    "nobody counts reclaimed pages": (
        replace(EXCHANGED, threads=replace(SYSTEM.threads, reclaimed=None)),
        [
            (
                "2 pages of files on disks that are not in memory",
                "the kernel does not count pages that reclaim frees",
            )
        ],
    ),
    "a name is made up by the file system": (mount(2, root=None), []),
    "older lines are gone from the log": (
        replace(SYSTEM, log=LOG[1:]),
        [],
    ),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_what_may_have_changed_is_allowed_by_name(name: str):
    facts, expected = ALLOWED[name]
    result = check_system(facts, WITNESSES)
    assert messages(result) == []
    assert allowed(result) == expected


def test_names_of_threads_of_the_kernel_are_cut_in_a_dump():
    told = WITNESSES.model_copy(
        update={
            "tasks": [
                each.model_copy(update={"comm": "a-name-of-more-than-15"})
                if each.pid == 2
                else each
                for each in WITNESSES.tasks or ()
            ]
        }
    )
    assert messages(check_system(task(1, comm="a-name-of-more-"), told)) == []


def test_bytes_that_dmesg_prints_in_its_own_way_are_not_compared():
    told = WITNESSES.model_copy(update={"log": [*LOG, "[    2.000000] a\\x01b"]})
    assert messages(check_system(SYSTEM, told)) == []


def test_the_journal_prints_eight_spaces_for_a_tab():
    facts = replace(SYSTEM, log=(*LOG, "[    2.000000] rcu: \tMax phase"))
    line = "[    2.000000] zharness kernel: rcu: " + 8 * " "
    for end, expected in (("Max phase", 0), ("Min phase", 1)):
        told = WITNESSES.model_copy(update={"journal": [line + end]})
        assert len(messages(check_system(facts, told))) == expected


def test_nothing_told_is_nothing_compared():
    result = check_system(SYSTEM, Witnesses())
    assert result.compared == 0
    assert not result.passed


def test_parts_that_drgn_cannot_read_of_this_kernel_are_a_note():
    facts = replace(SYSTEM, sockets=None, unknown={"sockets": "AttributeError: no member 'x'"})
    result = check_system(facts, WITNESSES)
    assert messages(result) == []
    assert result.notes[-1] == "sockets: not read: AttributeError: no member 'x'"


def test_an_empty_file_has_no_pages():
    facts = replace(SYSTEM, files=(cached("/tmp/empty", b"", "tmpfs"),))
    told = WITNESSES.model_copy(
        update={
            "files": [
                (WITNESSES.files or [])[0].model_copy(
                    update={"path": "/tmp/empty", "size": 0, "sha256": sha256(b"")}
                )
            ]
        }
    )
    assert messages(check_system(facts, told)) == []


def test_without_witnesses_it_is_skipped(tmp_path):
    with Evidence.open(SyntheticRun().write(tmp_path)) as evidence:
        results = {result.check: result for result in run_checks(evidence).dump}
    assert results[CHECK].skipped_reason == "the crashed system was not asked what it looks like"


def test_without_vmlinux_it_is_skipped(tmp_path):
    root = SyntheticRun().write(tmp_path)
    WITNESSES.save(root / "crash")
    with Evidence.open(root) as evidence:
        results = {result.check: result for result in run_checks(evidence).dump}
    assert results[CHECK].skipped_reason == "no vmlinux of the crashed kernel is recorded"
