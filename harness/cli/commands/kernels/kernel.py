"""kernel build, list, show, import, museum, compare."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli import completion, options
from harness.cli.options import examples
from harness.cli.overrides import OF_TOOL, Overrides, overriding
from harness.cli.say import say, say_json
from harness.errors import UsageError
from harness.images.kernel.spec import KernelSpec, Role, own_patches

if TYPE_CHECKING:  # the rest is imported where it is needed: --help must not take a second
    from harness.images.store import Built

app = typer.Typer(help="Kernels: build them, keep them, compare them.", no_args_is_help=True)

RoleOf = Annotated[Role, typer.Argument(help="What the kernel is for.")]
Source = Annotated[
    str | None,
    typer.Option(
        "--source",
        help="linux-source-X.Y[@SUITE], an archive, or REPOSITORY[@REVISION].",
        show_default="linux-source-6.12",
    ),
]
Patches = Annotated[
    list[str] | None,
    typer.Option(
        "--patch",
        help="A patch: a file called *.patch, or a museum patch's name.",
        autocompletion=completion.patch,
    ),
]
Fragments = Annotated[
    list[Path] | None, options.path_option("--fragment", help="A file with configuration lines.")
]
Set = Annotated[
    list[str] | None, typer.Option("--set", help="A configuration line: CONFIG_X=y or CONFIG_X=n.")
]
KernelName = Annotated[
    str,
    typer.Argument(
        help="A kernel image, or the (first part of a) name in the store.",
        autocompletion=completion.kernel,
    ),
]
ImageVmlinux = Annotated[Path | None, options.path_option("--vmlinux", help="The image's vmlinux.")]
HsaSizes = Annotated[
    list[int] | None,
    typer.Option(
        "--hsa-size",
        parser=options.size,
        metavar="SIZE",
        help="Size of the HSA; may be repeated.",
        show_default="64M",
    ),
]


@app.command(
    epilog=examples(
        "zharness kernel build dump --source linux-source-6.1",
        "zharness kernel build dump --source ~/linux@v6.9 --set CONFIG_NR_CPUS=4",
        "zharness kernel build crashed --source linux-source-5.10@bullseye --fragment kasan.config",
    )
)
def build(
    role: RoleOf,
    source: Source = None,
    patch: Patches = None,
    fragment: Fragments = None,
    set_: Set = None,
    trim: Annotated[
        bool,
        typer.Option(help="Switch off what only costs memory, or time to compile."),
    ] = True,
    store: options.StorePath = None,
    debian_mirror: options.DebianMirror = None,
    json: options.Json = False,
) -> None:
    """Build a kernel, or show its name if the store has it already.

    --kernel and --dump-kernel take this name, or the path of the image.
    """
    lines = [line for path in fragment or () for line in _lines(path)]
    lines += [_line(setting) for setting in set_ or ()]
    spec = KernelSpec(role, source, tuple(patch or ()), tuple(lines), trim)
    options.use_mirror(debian_mirror)
    images = options.images(store, json=json)
    kernel = images.own_kernel(spec)
    if json:
        say_json({"name": kernel.origin, "image": str(kernel.image)})
    else:
        say(f"{kernel.origin}  Linux {kernel.release}")
        say(str(kernel.image))


@app.command("list", epilog=examples("zharness kernel list"))
def list_(store: options.StorePath = None, json: options.Json = False) -> None:
    """Show the kernels in the store."""
    from harness.cli.show.verdict import table

    found = _kernels(store)
    if json:
        say_json([_describe(image) for image in found])
        return
    titles = ("name", "release", "source", "patches", "changed options", "created")
    table(titles, (_row(image) for image in found))


@app.command(epilog=examples("zharness kernel show kernel-dump-0123"))
def show(kernel: KernelName, store: options.StorePath = None) -> None:
    """Show everything that is known about a kernel in the store."""
    found = options.images(store, json=True).kernel_named(kernel)
    say_json(_describe(found))


@app.command(
    "import",
    epilog=examples("zharness kernel import dump bzImage --config .config"),
)
def import_(
    role: RoleOf,
    image: Annotated[Path, options.path_argument(help="Bootable image: arch/s390/boot/bzImage.")],
    vmlinux: ImageVmlinux = None,
    config: Annotated[
        Path | None,
        options.path_option("--config", help="Its .config.", show_default="the one in the image"),
    ] = None,
    store: options.StorePath = None,
) -> None:
    """Copy a built kernel into the store, with its vmlinux and configuration."""
    from dataclasses import replace

    from harness.images.kernel.build import foreign_kernel, import_kernel, require_crash_dump

    kernel = foreign_kernel(image, vmlinux)
    if config is not None:
        kernel = replace(kernel, config="".join(f"{line}\n" for line in _lines(config)))
    if role is Role.DUMP:
        require_crash_dump(kernel)
    built = import_kernel(options.images(store, json=False).store, role, kernel)
    say(f"{built.name}  Linux {kernel.release}")


@app.command("museum", epilog=examples("zharness kernel museum"))
def museum_() -> None:
    """Show the patches that come with the harness: bugs that Linux had, and made-up faults."""
    for name, path in own_patches().items():
        say(f"{name}: {path.read_text().splitlines()[0]}")


@app.command(
    epilog=examples(
        "zharness kernel compare kernel-dump-0123 arch/s390/boot/bzImage",
        "zharness kernel compare old/bzImage new/bzImage --hsa-size 32M --hsa-size 512M",
        "zharness kernel compare old/bzImage new/bzImage --dump-tool mine.toml",
    )
)
@overriding("dump", only=OF_TOOL)
def compare(
    first: KernelName,
    second: KernelName,
    *,
    overrides: Overrides,
    hsa_size: HsaSizes = None,
    output: options.Output = None,
    store: options.StorePath = None,
    json: options.Json = False,
    markdown: options.Markdown = False,
) -> int:
    """Dump one crash with two kernels: verdicts, memory left, rates, times and consoles.

    Both dump with the same tool.

    Exit code 1: a dump is wrong. Exit code 3: a run has no verdict.
    """
    from harness.cli.show.lab import show_pairs, show_pairs_markdown
    from harness.lab.comparison import compare as compared
    from harness.lab.trial import Laboratory, worst

    options.one_of(json=json, markdown=markdown)
    sizes = list(dict.fromkeys(hsa_size or [64 << 20]))
    images = options.images(store, json=json)
    kernels = (Path(first), Path(second))
    # complains before anything runs
    known = (images.dump_kernel(kernels[0]), images.dump_kernel(kernels[1]))
    place = options.output_path(output, "compare")
    laboratory = Laboratory(images.store, images.progress, place, overrides["dump"])
    pairs = compared(laboratory, kernels, sizes)
    if json:
        say_json([pair.to_json() for pair in pairs])
    elif markdown:
        show_pairs_markdown((first, second), known, pairs)
    else:
        show_pairs((first, second), pairs)
    return worst(trial for pair in pairs for trial in (pair.first, pair.second))


def _kernels(store: Path | None) -> list[Built]:
    from harness.images.kernel.distribution import KINDS

    images = options.images(store, json=True).store.images()
    return [image for image in images if image.kind in KINDS]


def _describe(image: Built) -> dict[str, Any]:
    return {"directory": str(image.path), **image.manifest}


def _row(image: Built) -> tuple[str, ...]:
    manifest, inputs = image.manifest, image.manifest["inputs"]
    source = manifest.get("source") or inputs.get("source", {}).get("package") or "?"
    patches = ", ".join(dict(inputs.get("patches", ())))
    changed = str(len(inputs.get("changed", ())))
    return image.name, manifest["release"], str(source), patches, changed, manifest["created"]


def _lines(path: Path) -> list[str]:
    from harness.host.paths import require_file
    from harness.images.kernel import configuration

    require_file(path, "configuration")
    try:
        values = configuration.parse(path.read_text(errors="replace"))
    except UsageError as error:
        raise UsageError(f"{path}: {error.message}", hint=error.hint) from None
    return configuration.render(values).splitlines()


def _line(setting: str) -> str:
    from harness.images.kernel import configuration

    values = configuration.parse(setting)
    if len(values) != 1:
        raise UsageError(f"--set: '{setting}' sets no option", hint="as in --set CONFIG_NR_CPUS=4")
    return configuration.render(values).rstrip()
