"""bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from harness.cli import options
from harness.cli.options import examples
from harness.cli.say import say, say_json

Evidence = Annotated[Path, options.evidence_argument(help="Evidence directory of a run.")]
Target = Annotated[Path, options.path_argument(help="The file to write, such as RUN.tar.zst.")]
EXAMPLES = examples(
    "zharness bundle evidence run.tar.zst",
    "zharness replay run.tar.zst  # elsewhere, with another store",
)


def bundle(
    evidence: Evidence,
    target: Target,
    store: options.StorePath = None,
    json: options.Json = False,
) -> None:
    """Pack all that another person needs to repeat the dump of a run into one file.

    It has the crashed memory, which may hold secrets; the dump disk as it was before the dump; both
    kernels' vmlinux if they are known; consoles and verdict. It has no path of this host.
    """
    from harness.cli.show.progress import progress_for
    from harness.images.store import Store
    from harness.run.bundle.pack import pack

    progress = progress_for(json=json, verbose=False)
    told = pack(evidence, target, Store(options.store_path(store), progress), progress)
    size = target.stat().st_size
    if json:
        say_json({"bundle": str(target), "size": size, "files": sorted(told.files)})
    else:
        say(f"{target}: {len(told.files)} files, {size / 1e6:.1f} MB")
