"""Find what a plan would execute on this host: someone else's plan must not do so unasked.

Guests run in QEMU. But a kernel's Makefiles, and the parts of its configuration that make expands,
run as the user. See docs/security.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from harness.errors import UsageError
from harness.images.kernel.spec import own_patches
from harness.run.plan import Plan
from harness.scenario.crashed import Crashed
from harness.scenario.model import Dump

# of the distribution, which signs it
_PACKAGE = re.compile(r"linux-source-[\d.]+(@[a-z][a-z-]*)?")
# nothing that make or a shell would expand
_HARMLESS = re.compile(r'# CONFIG_\w+ is not set|CONFIG_\w+=("[\w .,/:+=@-]*"|[\w.-]*)')


def executed(plan: Plan, evidence: Path) -> list[str]:
    """What the build of the plan's kernels executes that is neither the distribution's nor ours.

    One line for people each; empty if there is nothing. Raises UsageError for files inside
    ``evidence``, from which the plan came: these are never built.
    """
    crashed, dump = plan.scenario.crashed, plan.scenario.dump
    return [*_of("crashed", crashed, evidence), *_of("dump", dump, evidence)]


def _of(role: str, kernel: Crashed | Dump, evidence: Path) -> Iterator[str]:
    if kernel.source is not None and not _PACKAGE.fullmatch(kernel.source):
        _require_outside(kernel.source.partition("@")[0], evidence)
        yield f"{role} kernel: builds the source {kernel.source}, whose Makefiles run as you"
    for patch in kernel.patches:
        if patch not in own_patches():
            _require_outside(patch, evidence)
            yield f"{role} kernel: builds with the patch {patch}, which can change what make runs"
    for line in kernel.config:
        if not _HARMLESS.fullmatch(line.strip()):
            yield f"{role} kernel: builds with the configuration {line}, which make can expand"


def _require_outside(path: str, evidence: Path) -> None:
    try:
        inside = Path(path).expanduser().resolve().is_relative_to(evidence.resolve())
    except (OSError, ValueError, RuntimeError):
        return  # then there is no such file, and the build reports that
    if inside:
        raise UsageError(
            f"{path} lies in the evidence {evidence}: nothing in evidence is ever built",
            hint="copy it elsewhere, look at it, and give it to zharness run",
        )
