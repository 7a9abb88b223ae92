"""dump info, compare, check, judge, extract and convert: commands on dumps in files."""

from __future__ import annotations

from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import options
from harness.cli.options import examples
from harness.cli.say import say, say_json
from harness.cli.show.progress import progress_for
from harness.errors import ExitCode

if TYPE_CHECKING:  # the rest is imported where it is needed: --help must not take a second
    from collections.abc import Iterator, Sequence

    from harness.dump.reader import Dump
    from harness.verify.findings import CheckResult

INFO_EXAMPLES = examples(
    "zharness dump info evidence/dump/dump",
    "zharness dump info dump.elf --json | jq .panic",
    "zharness dump info disk.img --member /dump.elf  # a file of a file system on the disk",
)
COMPARE_EXAMPLES = examples(
    "zharness dump compare dump.elf dump.s390  # the same crash in another format",
    "zharness dump compare a.elf b.elf --json > differences.json",
    "zharness dump compare disk.img b.elf --member /dump.0 --member ''",
)
CHECK_EXAMPLES = examples(
    "zharness dump check dump.elf",
    "zharness dump check disk.img --json | jq '.checks[] | select(.passed | not)'",
)
EXTRACT_EXAMPLES = examples(
    "zharness dump extract dump.elf dmesg",
    "zharness dump extract dump.elf vmcoreinfo | grep BUILD-ID",
    "zharness dump extract dump.elf page 0x1000 > page.bin  # in hex on a terminal",
    "zharness dump extract dump.elf cpu 0 --json",
)
CONVERT_EXAMPLES = examples(
    "zharness dump convert dump.elf --to s390 dump.s390",
    "zharness dump convert disk.img --to elf dump.elf",
)

JUDGE_EXAMPLES = examples(
    "zharness dump judge evidence/dump/dump",
    "zharness dump judge dump.kdump --vmlinux vmlinux  # crash, too",
    "zharness dump judge dump.s390_ext --suite sid  # Debian 12's zgetdump does not read s390_ext",
    "zharness dump judge disk.img --json  # a disk that zipl -d prepared, with its partition",
)

DumpFile = Annotated[
    Path, options.path_argument(metavar="FILE", help="A dump, in any known format.")
]


class What(StrEnum):
    """What can be extracted from a dump."""

    DMESG = "dmesg"
    VMCOREINFO = "vmcoreinfo"
    PAGE = "page"
    CPU = "cpu"


def info(
    file: DumpFile,
    member: options.Member = None,
    sector_size: options.SectorSize = None,
    json: options.Json = False,
    limit_factor: options.LimitFactor = 1,
) -> None:
    """Show what a dump is: format, memory map, CPUs, kernel, panic, and facts of its headers."""
    from harness.cli.show.dump_info import show_info
    from harness.dump.describe import describe
    from harness.dump.detect import open_dump

    with _limited(limit_factor, file), open_dump(file, member, sector_size) as dump:
        described = describe(dump)
        if json:
            say_json(described)
        else:
            show_info(described)


def compare(
    one: Annotated[Path, options.path_argument(metavar="A", help="A dump, in any known format.")],
    other: Annotated[Path, options.path_argument(metavar="B", help="Another dump, in any format.")],
    member: options.Members = None,
    sector_size: options.SectorSize = None,
    json: options.Json = False,
    limit_factor: options.LimitFactor = 1,
) -> int:
    """Compare two dumps: memory map, every page, every CPU's registers, VMCOREINFO.

    One --member is for both dumps, two are for A and B; '' is for a dump that needs none.
    Exit codes: 0 they are the same, 1 they differ, 3 one of them cannot be read.
    """
    from harness.dump.detect import open_dump
    from harness.inspect.compare import compare

    members = _two(member)
    with (
        _limited(limit_factor, one, other),
        open_dump(one, members[0], sector_size) as first,
        open_dump(other, members[1], sector_size) as second,
    ):
        results = compare(first, second, progress_for(json=json, verbose=False))
        what = {"first": _identity(first), "second": _identity(second)}
        return _show(what, results, ("the dumps are the same", "the dumps differ"), json)


def check(
    file: DumpFile,
    member: options.Member = None,
    sector_size: options.SectorSize = None,
    json: options.Json = False,
    limit_factor: options.LimitFactor = 1,
) -> int:
    """Check a dump alone: is it complete, consistent, and of a Linux that crashed?

    Exit codes: 0 all is well, 1 something is wrong, 3 the dump cannot be opened.
    """
    from harness.dump.detect import open_dump
    from harness.inspect import check as alone

    with _limited(limit_factor, file), open_dump(file, member, sector_size) as dump:
        found = None if member else alone.superblock_of(file)
        results = alone.check(dump, found, progress_for(json=json, verbose=False))
        what = {"dump": _identity(dump)}
        return _show(what, results, ("nothing is wrong", "something is wrong"), json)


def judge(
    file: DumpFile,
    vmlinux: Annotated[
        Path | None,
        options.path_option("--vmlinux", help="That of the crashed kernel; crash needs it."),
    ] = None,
    suite: Annotated[
        str | None,
        typer.Option(
            "--suite",
            metavar="SUITE",
            help="Use the tools of this Debian suite, trixie or later; its zgetdump also reads "
            "s390_ext.",
            show_default=False,
        ),
    ] = None,
    member: options.Member = None,
    sector_size: options.SectorSize = None,
    store: options.StorePath = None,
    json: options.Json = False,
) -> int:
    """Ask the genuine zgetdump of s390-tools, crash, and libkdumpfile, if it is installed.

    zgetdump and crash run in guests. Exit codes: 0 they agree with us, 1 one does not,
    2 none of them knows this kind of dump, 3 the dump cannot be opened, or a guest does not come
    up.
    """
    from harness.cli.commands.dump.judge import for_judges, opinions
    from harness.dump.detect import open_dump
    from harness.images.store import Store

    progress = progress_for(json=json, verbose=False)
    images = Store(options.store_path(store), progress)
    with (
        for_judges(file, member, sector_size, progress) as (plain, size),
        open_dump(plain, sector_size=size) as dump,
    ):
        results = opinions(plain, dump, vmlinux, suite, images, progress)
        what = {"dump": _identity(dump)}
    return _show(what, results, ("they agree", "not all agree"), json)


def extract(
    file: DumpFile,
    what: Annotated[
        What, typer.Argument(help="The kernel's log, VMCOREINFO, a page, or a CPU's registers.")
    ],
    which: Annotated[
        str | None,
        typer.Argument(
            metavar="[ADDRESS|NUMBER]",
            help="An absolute address in the page, or the CPU's number in the dump, from 0.",
            show_default=False,
        ),
    ] = None,
    member: options.Member = None,
    sector_size: options.SectorSize = None,
    json: options.Json = False,
    limit_factor: options.LimitFactor = 1,
) -> None:
    """Extract a part of a dump, and write it to standard output."""
    from harness.cli.commands.dump import extract as extract_part
    from harness.dump.detect import open_dump

    extract_part.check(what, which)
    with _limited(limit_factor, file), open_dump(file, member, sector_size) as dump:
        extract_part.extract(dump, what, which, json=json)


def convert(
    file: DumpFile,
    target: Annotated[Path, options.path_argument(metavar="OUT", help="A new file.")],
    to: Annotated[str, typer.Option(metavar="FORMAT", help="elf, s390 or s390_ext.")],
    member: options.Member = None,
    sector_size: options.SectorSize = None,
    json: options.Json = False,
    limit_factor: options.LimitFactor = 1,
) -> None:
    """Write a dump in another format."""
    from harness.dump.convert import convert
    from harness.dump.detect import open_dump

    with _limited(limit_factor, file), open_dump(file, member, sector_size) as dump:
        convert(dump, target, to, progress_for(json=json, verbose=False))
    if json:
        say_json({"file": str(target), "format": to, "size": target.stat().st_size})
    else:
        say(f"{target}: {to}, {target.stat().st_size} bytes")


def _two(members: list[str] | None) -> tuple[str | None, str | None]:
    """The members of two dumps; raises UsageError for more than two."""
    from harness.errors import UsageError

    given = [member or None for member in members or [""]]
    if len(given) > 2:
        raise UsageError(f"--member: there are two dumps, not {len(given)}")
    return given[0], given[-1]


@contextmanager
def _limited(factor: int, *files: Path) -> Iterator[None]:
    """The files cost no more than genuine dumps, or at most ``factor`` times as much."""
    from harness.dump.guard import guarded
    from harness.limits import multiplied

    with multiplied(factor), guarded(*files):
        yield


def _identity(dump: Dump) -> dict[str, str | None]:
    return {"file": dump.name, "format": dump.format, "container": dump.container or None}


def _show(
    what: dict[str, dict[str, str | None]],
    results: Sequence[CheckResult],
    verdicts: tuple[str, str],
    json: bool,
) -> int:
    """Print the checks on the dumps in ``what``, and a verdict; returns the exit code."""
    from harness.cli.show.verdict import show_checks
    from harness.report.check_file import checks_to_json

    passed = all(result.passed for result in results)
    if json:
        say_json({**what, "passed": passed, "checks": checks_to_json(results)})
    else:
        for name, dump in what.items():
            say(f"{name}: {dump['file']} ({dump['format']})")
        show_checks(results)
        say(verdicts[0] if passed else verdicts[1])
    return ExitCode.PASS if passed else ExitCode.FAIL
