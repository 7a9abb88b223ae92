"""Everything that determines a run, as plain data; ``replay`` reads it from ``run.json``."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.errors import EvidenceError, OverrideError, UsageError
from harness.evidence.snapshot import FORMAT, Snapshot
from harness.files.json_file import as_model
from harness.files.plain_file import is_there
from harness.images.system.spec import GuestFile
from harness.images.zipl.choice import is_path
from harness.machine.system.crash import Crash
from harness.scenario.crashed import IN_IMAGE, Load
from harness.scenario.faults import located_fault
from harness.scenario.load import SUFFIX, split_cell
from harness.scenario.model import FOUND_ON_DISK, OF_DISK, OPTIONS, Scenario
from harness.schema_words import first_fault
from harness.triggers.table import trigger_named
from harness.triggers.workloads import WORKLOADS, workload_of

CRASH_PARMLINE = "console=ttysclp0 panic=0"
# a scan of 255 empty targets would take 15 s; images/crash/init scans for the system's disk
DISK_PARMLINE = "scsi_mod.scan=manual"
OF_KERNEL = {"kernel", "vmlinux", "source", "patches", "config"}  # the digest is enough
_AS_NAME = re.compile(r"[^A-Za-z0-9._-]")  # what no file name of ours has
FILES = (
    *(("crashed", "kernel"), ("crashed", "vmlinux"), ("dump", "kernel"), ("dump", "disk")),
    *(("dump", "tool"), ("dump", "initramfs"), ("dump", "program")),
    *(("crashed", "first_boot"), ("crashed", "workload")),
)


class _PlanFile(BaseModel):
    """The shape of a plan in a file, which may be someone else's."""

    model_config = ConfigDict(strict=True, extra="ignore")

    name: str
    scenario: dict[str, Any]
    time_factor: float = Field(gt=0, allow_inf_nan=False)


@dataclass(frozen=True)
class Plan:
    """One concrete scenario and its name. ``time_factor`` multiplies every deadline."""

    name: str
    scenario: Scenario
    time_factor: float = 1.0

    @property
    def crash(self) -> Crash:
        """How the system is crashed."""
        crashed = self.scenario.crashed
        return Crash(
            trigger_named(crashed.trigger).on(crashed.kind),
            None if crashed.workload is None else workload_of(crashed.workload),
            crashed.content,
            crashed.kind,
            witnesses=crashed.tells,
            condition=crashed.is_full and self.scenario.expect.reipl,
        )

    @property
    def needs_own_crash(self) -> bool:
        """Whether a stored crash cannot be used: a time limit needs the boot of this run."""
        return self.scenario.expect.time_limit is not None

    @property
    def parmline(self) -> str:
        """The crashed system's kernel parameters."""
        crashed = self.scenario.crashed
        from_disk = DISK_PARMLINE if crashed.load is Load.SCSI and not crashed.is_full else ""
        parts = (CRASH_PARMLINE, from_disk, self.crash.trigger.parmline, crashed.parmline)
        return " ".join(filter(None, parts))

    def to_json(self) -> dict[str, Any]:
        scenario = self.scenario.model_dump(mode="json")
        named = {option.key: option for option in OPTIONS}
        for section, field in FILES:
            word = scenario[section][field]
            if word is not None and named[section, field].names_path(word):
                scenario[section][field] = rooted(word)
        _root_system(scenario["crashed"])
        for section in ("crashed", "dump"):
            kernel = scenario[section]
            kernel["source"] = kernel["source"] and rooted_source(kernel["source"])
            kernel["patches"] = list(map(rooted, kernel["patches"]))
        zipl = self.scenario.dump.zipl
        if zipl is not None and is_path(zipl):
            scenario["dump"]["zipl"] = rooted(zipl)
        if self.scenario.dump.disk is not None:  # what is not said, is the disk's
            for field in OF_DISK | FOUND_ON_DISK:
                if not self.scenario.dump.given(field):
                    del scenario["dump"][field]
        return {"name": self.name, "scenario": scenario, "time_factor": self.time_factor}

    def paths(self) -> list[Path]:
        """The files and directories of this host that the run reads, absolute; without revisions.

        What comes with the harness is not among them.
        """
        scenario = self.to_json()["scenario"]
        crashed, ssh = scenario["crashed"], scenario["crashed"]["ssh"] or {}
        words = [scenario[section].get(field) for section, field in FILES]
        words += [str(GuestFile.parse(file).source) for file in crashed["files"]]
        words += [crashed["disk"], *(ssh.get(field) for field in ("key", "host_key"))]
        for section in ("crashed", "dump"):
            kernel = scenario[section]
            source = kernel["source"] or ""
            words += [source, source.partition("@")[0], *kernel["patches"]]
        words.append(scenario["dump"]["zipl"])
        found = {Path(word) for word in words if word and word.startswith("/")}
        return sorted(path for path in found if is_there(path))

    @classmethod
    def from_json(cls, data: Any, file: Path) -> Plan:
        """The inverse of :meth:`to_json`; raises EvidenceError, naming ``file``, on all else."""
        told = as_model(_PlanFile, data, file)
        try:
            scenario = Scenario.model_validate(told.scenario)
        except ValidationError as error:
            raise EvidenceError(f"{file}: plan.scenario: {first_fault(error)}") from error
        return cls(told.name, scenario, told.time_factor)

    def crash_key(self, digests: Mapping[str, str] | None = None) -> str:
        """Equal for plans that crash the same system in the same way, however they dump it.

        ``digests`` tell the content of all that the system is made of. As long as they are not
        known, what the plan says of the kernel stands for it.
        """
        crash = {
            **self.scenario.crashed.model_dump(
                mode="json",
                exclude=None if digests is None else OF_KERNEL | IN_IMAGE | {"witnesses"},
            ),
            "parmline": self.parmline,
            "how": self.crash.identity(),
            "format": FORMAT,
            **(digests or {}),
        }
        return hashlib.sha256(json.dumps(crash, sort_keys=True).encode()).hexdigest()

    def snapshot_name(self, digests: Mapping[str, str]) -> str:
        """A name that depends on everything that determines the crash, including ``digests``.

        Plans that differ only in how the crash is dumped share it.
        """
        crashed = self.scenario.crashed
        key = self.crash_key(digests)[:10]
        workload = self.crash.workload
        busy = "" if workload is None else f"-{_AS_NAME.sub('-', workload.name)[:40]}"
        return f"{crashed.trigger}{busy}-{crashed.smp}cpu-{crashed.memory >> 20}M-{key}"


def rooted(path: str) -> str:
    """A path that is valid in any working directory; a name does not change."""
    return str(Path(path).resolve()) if is_there(Path(path)) else path


def _root_system(crashed: dict[str, Any]) -> None:
    """Make the paths of a full system's files valid in any working directory, in place."""
    files = map(GuestFile.parse, crashed["files"])
    crashed["files"] = [str(replace(file, source=Path(rooted(str(file.source))))) for file in files]
    crashed["disk"] = crashed["disk"] and rooted(crashed["disk"])
    if (ssh := crashed["ssh"]) is not None:
        ssh["key"], ssh["host_key"] = rooted(ssh["key"]), rooted(ssh["host_key"])


def rooted_source(source: str) -> str:
    """The same for a source, which may end in a revision."""
    if is_there(Path(source)):
        return rooted(source)
    path, at, revision = source.partition("@")
    return f"{rooted(path)}{at}{revision}"


def plan_of(name: str, scenario: Scenario, *, time_factor: float = 1.0) -> Plan:
    """The plan of a run of ``scenario``; ``name`` is its name or path."""
    file, cell = split_cell(name)
    stem = Path(file).stem if file.endswith(SUFFIX) else file
    return Plan(f"{stem}{cell}", scenario, time_factor)


def plan_of_crash(snapshot: Snapshot, dump: Mapping[str, Any], *, time_factor: float = 1.0) -> Plan:
    """The plan of dumping ``snapshot``; ``dump`` are fields of the schema's section [dump].

    Raises UsageError or OverrideError, naming the field.
    """
    given = {field: value for field, value in dump.items() if value is not None}
    same = ("memory", "cpu_model", "trigger")
    workload = snapshot.machine.get("workload")  # None for the user's own, which is not here
    crashed = {field: snapshot.machine.get(field) for field in same} | {
        "workload": workload if workload in WORKLOADS else None,
        "smp": len(snapshot.cpus),
        "content": snapshot.machine.get("content_seed"),
        "load": Load.DIRECT if snapshot.system_disk is None else Load.SCSI,
    }
    description = f"dump of {snapshot.name}"
    data = {"description": description, "crashed": crashed, "dump": given}
    try:
        scenario = Scenario.model_validate(data)
    except ValidationError as error:
        field, what = located_fault(error)
        if field.removeprefix("dump.") in given:
            where = [("dump", field.removeprefix("dump."))]
            raise OverrideError(where, f"{what} ({snapshot.name})") from None
        raise UsageError(f"{snapshot.directory}: {field}: {what}") from None
    return plan_of("dump", scenario, time_factor=time_factor)
