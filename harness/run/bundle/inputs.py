"""The inputs of a run that comes from a bundle: nothing is built, or fetched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from harness.dump_tools.row import Row, recorded
from harness.errors import EvidenceError
from harness.evidence.directory import RunDirectory
from harness.evidence.snapshot import Snapshot
from harness.files.json_file import as_model, read_object
from harness.images.store import Built
from harness.run.bundle import manifest
from harness.run.inputs.dump import DumpInputs
from harness.run.inputs.dump_tool import ChosenTool
from harness.run.machines import REAL, Machines
from harness.run.plan import Plan
from harness.verify.evidence_files import RunFile


@dataclass(frozen=True)
class Bundled:
    """A bundle's content in the store.

    ``verdict`` is the content of its verdict.json, ``inputs`` those of its run, with the paths of
    the files that came along.
    """

    image: Built
    plan: Plan
    verdict: Mapping[str, Any]
    inputs: Mapping[str, Any]
    row: Row

    @classmethod
    def open(cls, image: Built) -> Self:
        """Raises EvidenceError, naming the file, if a part is missing or makes no sense."""
        paths = RunDirectory(image.path / manifest.EVIDENCE)
        run = read_object(paths.run)
        told = as_model(RunFile, run, paths.run)
        plan = Plan.from_json(run.get("plan"), paths.run)
        if plan.scenario.dump.disk is not None:
            dump = plan.scenario.dump.model_copy(update={"disk": image.path / manifest.DUMP_DISK})
            plan = replace(plan, scenario=plan.scenario.model_copy(update={"dump": dump}))
        elif not (image.path / manifest.DUMP_DISK).is_file():
            raise EvidenceError(f"{image.path}: has no {manifest.DUMP_DISK}")
        inputs = dict(run.get("inputs", {}))
        for name, kernel in (
            (manifest.VMLINUX, "crashed kernel"),
            (manifest.DUMP_VMLINUX, "dump kernel"),
        ):
            if kernel in inputs:
                inputs[kernel] = _with_own_files(inputs[kernel], image.path, name)
        return cls(image, plan, read_object(paths.verdict), inputs, told.inputs.dump_tool)

    @property
    def snapshot(self) -> Snapshot:
        """The crash; raises EvidenceError if it is damaged."""
        return Snapshot.open(RunDirectory(self.image.path / manifest.EVIDENCE).crash)

    def machines(self) -> Machines:
        """The real ones, with the dump disk of the bundle."""
        return replace(REAL, dump_inputs=lambda _images, _plan: self._dump_inputs())

    def _dump_inputs(self) -> DumpInputs:
        disk = None if self.plan.scenario.dump.disk else self.image
        tool = ChosenTool(recorded(self.row), self.row)
        return _BundledInputs(None, None, disk, tool, self.inputs)


@dataclass(frozen=True)
class _BundledInputs(DumpInputs):
    """``told`` is what the run of the bundle recorded of its inputs."""

    told: Mapping[str, Any]

    def identity(self) -> dict[str, Any]:
        return {**self.told, "bundle": self.disk.key if self.disk else None}


def _with_own_files(kernel: Any, root: Path, vmlinux: str) -> Any:
    """What is recorded of a kernel, with the paths of its files in the bundle."""
    if not isinstance(kernel, dict):
        return kernel
    own = {**kernel, "vmlinux": None}
    if (root / vmlinux).is_file() and isinstance(told := kernel.get("vmlinux"), dict):
        own["vmlinux"] = {**told, "path": str(root / vmlinux)}
    if "modules" in kernel:
        own["modules"] = str(root / manifest.MODULES)
    return own
