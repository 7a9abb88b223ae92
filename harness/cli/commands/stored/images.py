"""images build, system, list, show, verify, clean, export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli import completion, options
from harness.cli.options import examples
from harness.cli.overrides import Overrides, overriding
from harness.cli.say import say, say_json
from harness.errors import EvidenceError, UsageError
from harness.progress import NoProgress
from harness.s390x.disk_layout import DiskLayout

app = typer.Typer(help="Kernels, initramfs and disks in the image store.", no_args_is_help=True)

Name = Annotated[
    str,
    typer.Argument(
        help="Name of an image, or the first part of it.", autocompletion=completion.image
    ),
]
Names = Annotated[
    list[str] | None,
    typer.Argument(help="Names of images, or first parts.", autocompletion=completion.image),
]
OneLayout = Annotated[DiskLayout, typer.Option("--disk-layout", help="For which disk layout.")]


@app.command(epilog=examples("zharness images build", "zharness images build --memory 3G"))
@overriding("crashed", "dump", only=("--memory", "--disk-layout"))
def build(
    scenario: options.Scenario = "panic",
    *,
    overrides: Overrides,
    store: options.StorePath = None,
    debian_mirror: options.DebianMirror = None,
    json: options.Json = False,
) -> None:
    """Build what a scenario needs and the store lacks.

    First the command checks what this host lacks. Then it fetches everything, and then compiles.
    """
    from harness.run.inputs import wanted
    from harness.run.inputs.crash import CrashInputs
    from harness.run.inputs.dump import DumpInputs
    from harness.run.plan import plan_of
    from harness.scenario.load import load

    plan = plan_of(scenario, load(scenario, overrides))
    options.use_mirror(debian_mirror)
    images = options.images(store, json=json)
    images.provide(wanted(plan))
    identity = {
        **CrashInputs.prepare(images, plan).identity(),
        **DumpInputs.prepare(images, plan).identity(),
    }
    if json:
        say_json(identity)


@app.command(
    epilog=examples(
        "zharness images system",
        "zharness images system trixie --package stress-ng",
        "zharness images system --file data.bin=>/root/data.bin --first-boot prepare.sh",
    )
)
def system(
    suite: Annotated[str, typer.Argument(help="Debian's suite.")] = "bookworm",
    *,
    package: Annotated[
        list[str] | None, typer.Option("--package", help="A package that it also has; repeatable.")
    ] = None,
    file: Annotated[
        list[str] | None,
        typer.Option("--file", help="HOSTPATH=>/guest/path: a file that it gets; repeatable."),
    ] = None,
    first_boot: Annotated[
        Path | None, options.path_option("--first-boot", help="A script that it runs once.")
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            "--size", parser=options.size, metavar="SIZE", help="Of its disk.", show_default="2G"
        ),
    ] = None,
    store: options.StorePath = None,
    debian_mirror: options.DebianMirror = None,
    json: options.Json = False,
) -> None:
    """Build a full Debian that can be crashed: its disk, its kernel, its keys.

    It says at first how much it fetches, and how long it takes.
    """
    from harness.images.system.spec import SIZE, GuestFile, SystemSpec

    spec = SystemSpec(
        suite=suite,
        packages=tuple(package or ()),
        files=tuple(map(GuestFile.parse, file or ())),
        first_boot=first_boot,
        size=SIZE if size is None else size,
    )
    spec.check()
    options.use_mirror(debian_mirror)
    built = options.images(store, json=json).full_system(spec)
    if json:
        say_json({"image": built.built.name, "disk": str(built.disk), "packages": built.packages})
    else:
        say(f"{built.built.name}: {len(built.packages)} packages, {built.disk}")


@app.command("list", epilog=examples("zharness images list"))
def list_(store: options.StorePath = None, json: options.Json = False) -> None:
    """Show all images and how much disk space they use."""
    from harness.cli.show.verdict import table

    images = _store(store).images()
    if json:
        say_json([_describe(image) for image in images])
    else:
        rows = (
            (image.name, f"{image.size / 1e6:.1f} MB", image.manifest["created"])
            for image in images
        )
        table(("name", "on disk", "created"), rows)


@app.command(epilog=examples("zharness images show kernel-dump"))
def show(
    image: Name,
    store: options.StorePath = None,
    content: Annotated[
        bool, typer.Option("--content", help="List the files in an initramfs instead.")
    ] = False,
) -> None:
    """Show the manifest of images; with --content, the files in an initramfs."""
    for found in _find(store, image):
        if content:
            _show_content(found.path)
        else:
            say_json(_describe(found))


@app.command(epilog=examples("zharness images verify", "zharness images verify kernel-dump --json"))
def verify(
    images: Names = None, store: options.StorePath = None, json: options.Json = False
) -> None:
    """Read all content of images, and compare it with what was built. Exit code 3: one differs.

    Without names, it reads all images.
    """
    from harness.cli.show.progress import progress_for
    from harness.images.store import Store

    progress = progress_for(json=json, verbose=False)
    place = Store(options.store_path(store), progress)
    broken = place.broken()
    damaged = {
        name: [f"{place.root / name} ({damage})"]
        for name, damage in broken.items()
        if name.startswith(tuple(images or ("",)))
    }
    chosen = place.images()
    if images:
        for one in images:
            if not any(name.startswith(one) for name in damaged):
                _find(store, one)
        chosen = [image for image in chosen if image.name.startswith(tuple(images))]
    with progress.task("read the images", total=len(chosen), unit="images") as task:
        for number, image in enumerate(chosen):
            task.update(number, image.name)
            damaged[image.name] = [str(path) for path in place.damaged(image)]
    bad = {name: files for name, files in damaged.items() if files}
    if json:
        say_json(damaged)
    else:
        for name, files in damaged.items():
            say(f"{'damaged' if files else 'ok     '} {name}")
    if bad:
        first = next(iter(bad))
        raise EvidenceError(
            "not as built: " + ", ".join(file for files in bad.values() for file in files),
            hint=f"zharness images clean {first} removes it; it is built again when it is needed"
            if first not in broken
            else "it is built again when it is needed",
        )


@app.command(epilog=examples("zharness images clean kernel-dump", "zharness images clean --all"))
def clean(
    images: Names = None,
    all_: Annotated[bool, typer.Option("--all", help="All images.")] = False,
    store: options.StorePath = None,
) -> None:
    """Remove images; they are built again when they are needed."""
    if not images and not all_:
        raise UsageError("name the images, or give --all")
    found = (
        _store(store).images()
        if all_
        else [one for name in images or () for one in _find(store, name)]
    )
    for image in found:
        _store(store).remove(image)
        say(f"removed {image.name}")


@app.command(epilog=examples("zharness images export boot/ --disk-layout ext4"))
def export(
    directory: Annotated[Path, options.path_argument(help="Where to put kernel and ramdisk.")],
    disk_layout: OneLayout = DiskLayout.PARTITION,
    store: options.StorePath = None,
) -> None:
    """Copy the dump kernel and ramdisk to a directory, under the names that s390-tools know."""
    images = options.images(store, json=False)
    for path in images.export(disk_layout, directory):
        say(str(path))


def _store(path: Path | None) -> Any:
    from harness.images.store import Store

    return Store(options.store_path(path), NoProgress())


def _find(store: Path | None, name: str) -> list[Any]:
    found: list[Any] = _store(store).find(name)
    if not found:
        raise UsageError(f"no image '{name}'", hint="zharness images list shows them")
    return found


def _describe(image: Any) -> dict[str, Any]:
    return {"directory": str(image.path), **image.manifest}


def _show_content(image: Path) -> None:
    import gzip

    from harness.images.initramfs import cpio
    from harness.images.initramfs.build import IMAGE

    if not (image / IMAGE).is_file():
        raise UsageError(f"{image.name} is not an initramfs")
    for entry in cpio.entries(gzip.decompress((image / IMAGE).read_bytes())):
        say(f"{entry.mode:06o} {len(entry.data):9} {entry.name}")
