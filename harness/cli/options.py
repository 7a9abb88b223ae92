"""Options that several commands share."""

from __future__ import annotations

import math
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.errors import UsageError
from harness.evidence.directory import directory_names
from harness.host.paths import default_runs, default_store
from harness.limits import OPTION, VARIABLE, factor_of
from harness.s390x.disk_layout import DiskLayout
from harness.scenario.expect import DumpFormat
from harness.scenario.sizes import parse_size

if TYPE_CHECKING:  # the rest is imported where it is needed: --help must not take a second
    from harness.images.provide import Images


def examples(*lines: str) -> str:
    """An epilog: each line a command and, after #, what it does."""
    return "\n\n".join(["Examples:", *(f"[bold]{line}[/bold]" for line in lines)])


def complete_scenario(incomplete: str) -> list[str]:
    from harness.scenario.load import scenario_files

    return [name for name in scenario_files() if name.startswith(incomplete)]


def _complete_snapshot(incomplete: str) -> list[str]:
    from harness.images.store import Store
    from harness.machine.snapshots import Snapshots
    from harness.progress import NoProgress

    names = Snapshots(Store(default_store(), NoProgress())).names()
    return [name for name in names if name.startswith(incomplete)]


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
    if not low <= factor <= high:  # as it is not for nan
        raise typer.BadParameter(f"'{text}' is no number from {low} to {high}")
    return factor


def _limit_factor(text: object) -> int:
    try:
        return factor_of(str(text), OPTION)  # the default is a number
    except UsageError as error:
        raise typer.BadParameter(error.message) from None


def size(text: str) -> int:
    """A size as users write it, for an option."""
    try:
        return parse_size(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def path_option(*names: str, **settings: Any) -> Any:
    """An option that names a file or directory; who uses it says what is wrong with it.

    Typer itself would call a file that this user may not read a mistake in the request.
    """
    return typer.Option(*names, readable=False, **settings)


def path_argument(**settings: Any) -> Any:
    """The same for an argument."""
    return typer.Argument(readable=False, **settings)


def _size_option(name: str, what: str) -> Any:
    return typer.Option(name, parser=size, metavar="SIZE", help=f"{what}, such as 512M or 1G.")


Scenario = Annotated[
    str, typer.Argument(help="Name or path of a scenario.", autocompletion=complete_scenario)
]
Scenarios = Annotated[
    list[str] | None,
    typer.Argument(
        help="Names, paths, directories or patterns of scenarios, see above; by default panic.",
        autocompletion=complete_scenario,
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
        help="How many run at a time, memory permitting; auto: one for each CPU.",
        show_default="auto",
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
        help="Go on with the batch that left --output: PASS and FAIL are kept, the rest is run.",
    ),
]
Junit = Annotated[
    Path | None, path_option("--junit", help="Write the results to this file as JUnit XML.")
]
Fresh = Annotated[
    bool, typer.Option("--fresh", help="Crash anew, even if the store has this very crash.")
]
SnapshotName = Annotated[
    str,
    typer.Argument(
        help="Name, beginning of a name, or path of a snapshot.", autocompletion=_complete_snapshot
    ),
]
Memory = Annotated[int | None, _size_option("--memory", "Memory of the crashed system")]
Cpus = Annotated[int | None, typer.Option("--smp", help="CPUs of the crashed system.")]
HsaSize = Annotated[int | None, _size_option("--hsa-size", "Size of the HSA")]
DiskSize = Annotated[int | None, _size_option("--disk-size", "Size of the dump disk")]
Layout = Annotated[
    DiskLayout | None, typer.Option("--disk-layout", help="Raw dump partition or file system.")
]
Format = Annotated[
    DumpFormat | None,
    typer.Option("--dump-format", help="What the dump tool writes: ELF, or the s390 formats."),
]
KernelImage = Annotated[
    Path | None, path_option("--kernel", help="Kernel image of the system to be crashed.")
]
CrashedVmlinux = Annotated[
    Path | None, path_option("--vmlinux", help="The crashed kernel's, if not the recorded one.")
]
Vmlinux = Annotated[
    Path | None, path_option("--vmlinux", help="vmlinux of the kernel given with --kernel.")
]
DumpKernel = Annotated[Path | None, path_option("--dump-kernel", help="Kernel image that dumps.")]
DumpSource = Annotated[
    str | None,
    typer.Option("--dump-source", help="Source of the kernel that dumps, if it is to be built."),
]
DumpPatches = Annotated[
    list[str] | None,
    typer.Option("--dump-patch", help="A patch to that: a file, or a name of the museum."),
]
DumpConfig = Annotated[
    list[str] | None,
    typer.Option("--dump-config", help="A line of its configuration, as CONFIG_X=y."),
]
DumpParmline = Annotated[
    str | None,
    typer.Option("--dump-parmline", help="Kernel parameters for the dump tool (dump_mode=...)."),
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
Keep = Annotated[bool, typer.Option("--keep", help="Keep the written dump disk, too.")]
Judges = Annotated[
    bool,
    typer.Option("--judges", help="Also check the dump with the real zgetdump (in a guest)."),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
LimitFactor = Annotated[
    int,
    typer.Option(
        OPTION,
        parser=_limit_factor,
        metavar="FACTOR",
        envvar=VARIABLE,
        help="Allow a dump FACTOR times the memory, the time, and the number of everything in it.",
    ),
]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Show the guests' consoles.")]
Trust = Annotated[
    bool,
    typer.Option("--trust", help="Build what the evidence names, whose Makefiles run as you."),
]
TimeFactor = Annotated[
    float,
    typer.Option(
        "--time-factor", parser=_time_factor, metavar="FACTOR", help="Multiplies every deadline."
    ),
]


def store_path(chosen: Path | None) -> Path:
    return default_store() if chosen is None else chosen


def use_mirror(chosen: str | None) -> None:
    """Fetch packages from there, in this process and in those that it starts."""
    from harness.images.debian.mirror import ENVIRONMENT

    if chosen is not None:
        os.environ[ENVIRONMENT] = chosen


def images(chosen: Path | None, *, json: bool) -> Images:
    """The images in a store, with progress for people unless there shall be ``json``."""
    from harness.cli.show.progress import progress_for
    from harness.images.provide import Images
    from harness.images.store import Store

    progress = progress_for(json=json, verbose=False)
    return Images(Store(store_path(chosen), progress), progress)


def output_path(chosen: Path | None, name: str) -> Path:
    """``chosen``, or a directory of its own below the user's runs."""
    if chosen is not None:
        return chosen
    (safe,) = directory_names([name])  # someone else's evidence may have chosen it
    return default_runs() / f"{safe}-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"
