"""Options that several commands share."""

from __future__ import annotations

import math
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli import completion
from harness.errors import UsageError
from harness.evidence.directory import directory_names
from harness.evidence.held import When
from harness.host.paths import default_runs, default_store
from harness.limits import OPTION, VARIABLE, factor_of
from harness.scenario.sizes import parse_size

if TYPE_CHECKING:  # the rest is imported where it is needed: --help must not take a second
    from harness.images.provide import Images


def examples(*lines: str) -> str:
    """An epilog: each line is a command and, after #, what it does."""
    return "\n\n".join(["Examples:", *(f"[bold]{line}[/bold]" for line in lines)])


_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def plain_name(text: str | None) -> str | None:
    """A callback for names that are those of directories, too."""
    if text is not None and not _PLAIN_NAME.fullmatch(text):
        raise typer.BadParameter(f"'{text}' is no name: letters, digits, '.', '_' and '-'")
    return text


def _job_count(text: str) -> int:
    from harness.run.batch.capacity import usable_cpus

    if text == "auto":
        return usable_cpus()
    if not text.isdecimal() or int(text) < 1:
        raise typer.BadParameter(f"'{text}' is neither a number of runs nor 'auto'")
    return int(text)


def _time_factor(text: str) -> float:
    low, high = 0.1, 1000
    try:
        factor = float(text)
    except ValueError:
        factor = math.nan
    if not low <= factor <= high:  # also if it is nan
        raise typer.BadParameter(f"'{text}' is not a number from {low} to {high}")
    return factor


def _limit_factor(text: object) -> int:
    try:
        return factor_of(str(text), OPTION)  # the default is a number
    except UsageError as error:
        raise typer.BadParameter(error.message) from None


def _sector_size(text: object) -> int:
    from harness.s390x.zipl import SECTOR_SIZES

    if str(text) not in map(str, SECTOR_SIZES):
        known = " or ".join(map(str, SECTOR_SIZES))
        raise typer.BadParameter(f"'{text}' is no size of a sector: {known}")
    return int(str(text))


def size(text: str) -> int:
    """A size as users write it, for an option."""
    try:
        return parse_size(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def path_option(*names: str, **settings: Any) -> Any:
    """An option that names a file or directory; its user reports what is wrong with the path.

    Typer itself would report a file that cannot be read as a usage error.
    """
    return typer.Option(*names, readable=False, **settings)


def path_argument(**settings: Any) -> Any:
    """The same for an argument."""
    return typer.Argument(readable=False, **settings)


def evidence_argument(**settings: Any) -> Any:
    """A path of evidence."""
    return path_argument(autocompletion=completion.evidence, **settings)


Scenario = Annotated[
    str, typer.Argument(help="Name or path of a scenario.", autocompletion=completion.scenario)
]
Scenarios = Annotated[
    list[str] | None,
    typer.Argument(
        help="Names, paths, directories or patterns of scenarios, see above; by default panic.",
        autocompletion=completion.scenario,
        show_default=False,
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        "-j",
        parser=_job_count,
        metavar="N|auto",
        help="Number of runs in parallel, if memory allows; auto: one for each CPU.",
        show_default="auto",
    ),
]
Cluster = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        metavar="FILE|ADDRESS",
        help="Run on the hosts of a cluster: its cluster.json, or tls://HOST:8786.",
        show_default=False,
    ),
]
Repeat = Annotated[
    int,
    typer.Option(
        "--repeat", min=1, help="Run each scenario N times; implies --fresh; at most 10000 runs."
    ),
]
FailFast = Annotated[
    bool, typer.Option("--fail-fast", "-x", help="Start no more runs after one has failed.")
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Continue the batch in --output: keep runs with PASS or FAIL, run all others.",
    ),
]
Junit = Annotated[
    Path | None, path_option("--junit", help="Write the results to this file as JUnit XML.")
]
Fresh = Annotated[
    bool, typer.Option("--fresh", help="Crash again, even if the store has this crash.")
]
SnapshotName = Annotated[
    str,
    typer.Argument(
        help="Name (or its first part) or path of a snapshot.", autocompletion=completion.snapshot
    ),
]
CrashedVmlinux = Annotated[
    Path | None, path_option("--vmlinux", help="Use this vmlinux, not the recorded one.")
]
Output = Annotated[
    Path | None, path_option("--output", help="Evidence directory; must be new or empty.")
]
StorePath = Annotated[
    Path | None,
    path_option("--store", envvar="ZHARNESS_STORE", help="Image store.", show_default=False),
]
DebianMirror = Annotated[
    str | None,
    typer.Option(
        "--debian-mirror",
        metavar="URI",
        help="Debian mirror to fetch from; else $ZHARNESS_DEBIAN_MIRROR, or apt's own.",
        show_default=False,
    ),
]
MemoryOnDisk = Annotated[
    bool,
    typer.Option(
        "--memory-on-disk",
        help="Keep the memory of one scenario's machines in a file in the image store, so that it "
        "need not fit into this host's. It is slower.",
    ),
]
Keep = Annotated[bool, typer.Option("--keep", help="Also keep the written dump disk.")]
Hold = Annotated[
    When | None,
    typer.Option(
        "--hold",
        help="Keep the machine, paused, when the dump system hangs (stall), ends without a "
        "complete dump (fail) or ends at all (end), or when the system has crashed (crash).",
        show_default=False,
    ),
]
Judges = Annotated[
    bool,
    typer.Option(
        "--judges", help="Also check the dump with the real zgetdump and crash (in guests)."
    ),
]
Markdown = Annotated[
    bool, typer.Option("--markdown", help="Print one table in Markdown, for a mail.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
LimitFactor = Annotated[
    int,
    typer.Option(
        OPTION,
        parser=_limit_factor,
        metavar="FACTOR",
        envvar=VARIABLE,
        help="Multiply all limits on a dump (memory, time, content) by FACTOR.",
    ),
]
Member = Annotated[
    str | None,
    typer.Option(
        "--member",
        metavar="PATH",
        help="On a disk: take this file of a file system, such as a dump that ngdump left unnamed.",
        show_default=False,
    ),
]
Members = Annotated[
    list[str] | None,
    typer.Option(
        "--member",
        metavar="PATH",
        help="On a disk: take this file of a file system. Twice: one for each dump.",
        show_default=False,
    ),
]
SectorSize = Annotated[
    int | None,
    typer.Option(
        "--sector-size",
        parser=_sector_size,
        metavar="512|4096",
        help="On a disk: the partition table counts in so many bytes; by default what fits.",
        show_default=False,
    ),
]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Show the guests' consoles.")]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust", help="Build the named sources, whose Makefiles run as you, without asking."
    ),
]
TimeFactor = Annotated[
    float,
    typer.Option(
        "--time-factor", parser=_time_factor, metavar="FACTOR", help="Multiply every deadline."
    ),
]


def store_path(chosen: Path | None) -> Path:
    return default_store() if chosen is None else chosen


def use_mirror(chosen: str | None) -> None:
    """Fetch packages from this mirror, in this process and in those that it starts."""
    from harness.images.debian.mirror import ENVIRONMENT

    if chosen is not None:
        os.environ[ENVIRONMENT] = chosen


def one_of(*, json: bool, markdown: bool) -> None:
    """Raises UsageError if both are asked for."""
    if json and markdown:
        raise UsageError("--json, --markdown: only one of them")


def images(chosen: Path | None, *, json: bool) -> Images:
    """The images in a store; progress is shown unless the output is ``json``."""
    from harness.cli.show.progress import progress_for
    from harness.images.provide import Images
    from harness.images.store import Store

    progress = progress_for(json=json, verbose=False)
    return Images(Store(store_path(chosen), progress), progress)


def output_path(chosen: Path | None, name: str) -> Path:
    """``chosen``, or a new directory below the user's runs."""
    if chosen is not None:
        return chosen
    (safe,) = directory_names([name])  # the name may come from someone else's evidence
    return default_runs() / f"{safe}-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"
