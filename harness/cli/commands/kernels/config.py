"""config check, diff: can a kernel with this configuration dump?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli import completion, options
from harness.cli.options import examples
from harness.cli.say import say_json, tell
from harness.errors import ExitCode, UsageError
from harness.lab.rules import TOOL_WORDS, Target
from harness.s390x.disk_layout import DiskLayout

if TYPE_CHECKING:  # the rest is imported where it is needed: --help must not take a second
    from harness.images.provide import Images

app = typer.Typer(help="Kernel configurations: can they dump?", no_args_is_help=True)

Configuration = Annotated[
    str, typer.Argument(help="A .config, a kernel image that contains one, or a stored kernel.")
]
Targets = Annotated[
    list[Target] | None,
    typer.Option(
        "--target", help="Where it will dump; may be repeated.", show_default="machine and qemu"
    ),
]
Source = Annotated[
    str | None, typer.Option("--source", help="Kernel source that completes a defconfig.")
]
OneLayout = Annotated[DiskLayout, typer.Option("--disk-layout", help="Layout of the dump disk.")]
Tool = Annotated[
    str,
    typer.Option(
        "--tool",
        metavar="TOOL",
        help=f"The dump tool: {', '.join(TOOL_WORDS)}, or a TOML file.",
        autocompletion=completion.dump_tool,
    ),
]


@app.command(
    epilog=examples(
        "zharness config check .config",
        "zharness config check .config --target machine --tool s390-tools",
        "zharness config check my_defconfig --source ~/linux@v6.12 --disk-layout ext4",
        "zharness config check kernel-dump --measure --markdown",
    )
)
def check(
    configuration: Configuration,
    target: Targets = None,
    tool: Tool = TOOL_WORDS[0],
    source: Source = None,
    disk_layout: OneLayout = DiskLayout.PARTITION,
    measure: Annotated[
        bool, typer.Option("--measure", help="Also dump with it, and show the memory it leaves.")
    ] = False,
    output: options.Output = None,
    store: options.StorePath = None,
    json: options.Json = False,
    markdown: options.Markdown = False,
) -> int:
    """Show what a dump kernel lacks, and what it should not have.

    There is one verdict for the dump kernel itself, one for the dump tool, and one for QEMU. The
    exit code is 1 if one of them is no. --tool none and --target machine leave out the other two.
    If a source completes the configuration, lines that it does not keep are shown, with the reason.
    """
    from harness.cli.show.lab import (
        show_check_markdown,
        show_checked,
        show_losses,
        show_measures,
    )
    from harness.lab import check as lab
    from harness.lab import measure as measuring
    from harness.lab.given import given
    from harness.lab.trial import Laboratory, worst

    options.one_of(json=json, markdown=markdown)
    dump_tool = lab.chosen_tool(tool)
    images = options.images(store, json=json)
    subject = given(images, configuration, source)
    image = subject.image
    if measure and image is None:
        raise UsageError(
            f"{configuration} is not a kernel, and --measure needs one to dump with",
            hint="zharness kernel build dump --fragment FILE builds one with that configuration",
        )
    targets = dict.fromkeys(target or Target)
    checked = lab.Checked.of(subject.values, subject.version, targets, disk_layout, dump_tool)
    trials = []
    if measure and image is not None and _can_dump(images, image):
        place = options.output_path(output, "measure")
        how = {"layout": disk_layout}
        laboratory = Laboratory(images.store, images.progress, place, how)
        trials = measuring.measure(laboratory, image)
    if json:
        document: dict[str, Any] = {
            "configuration": subject.name,
            "sha256": subject.sha256,
            "release": subject.release,
            "version": subject.version and ".".join(map(str, subject.version)),
            **checked.to_json(),
            "losses": [loss.to_json() for loss in subject.losses],
            "measured": [trial.to_json() for trial in trials],
        }
        say_json(document)
    elif markdown:
        show_check_markdown(subject, checked, trials)
    else:
        show_checked(checked)
        show_losses(subject.losses)
        if trials and image is not None:
            show_measures(image, trials)
    measured = worst(trials) if Target.QEMU in targets else ExitCode.PASS  # it was measured on QEMU
    return max(measured, ExitCode.PASS if checked.holds else ExitCode.FAIL)


@app.command(epilog=examples("zharness config diff .config kernel-dump"))
def diff(
    first: Configuration,
    second: Configuration,
    source: Source = None,
    store: options.StorePath = None,
    json: options.Json = False,
) -> int:
    """Explain the differences that matter for dumping; count the others. Exit 1 if there are any.

    With --json, the other differences are named, too.
    """
    from harness.cli.show.lab import show_differences
    from harness.lab.difference import differences
    from harness.lab.given import given

    images = options.images(store, json=json)
    values = [given(images, word, source).values for word in (first, second)]
    explained, others = differences(*values)
    if json:
        document = {"explained": [each.to_json() for each in explained], "others": others}
        say_json(document)
    else:
        show_differences(explained, others)
    return ExitCode.FAIL if explained else ExitCode.PASS


def _can_dump(images: Images, kernel: Path) -> bool:
    """Whether the kernel can dump, so that it can be measured."""
    try:
        images.dump_kernel(kernel)
    except UsageError as error:
        tell(f"not measured: {error.message}")
        return False
    return True
