"""Finding and reading scenarios, and making plans of them."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.errors import UsageError
from harness.machine.snapshot import Snapshot
from harness.machine.triggers import trigger_named
from harness.paths import data_dir
from harness.run.plan import DEFAULT_CRASH_PARMLINE, Plan
from harness.scenario.model import Scenario

SUFFIX = ".toml"


def scenario_files() -> dict[str, Path]:
    """The scenarios that come with the harness, by name."""
    return {path.stem: path for path in sorted((data_dir() / "scenarios").glob(f"*{SUFFIX}"))}


def load(name: str, overrides: Mapping[str, Mapping[str, Any]] | None = None) -> Scenario:
    """A scenario by name or path, with ``overrides`` (section, field, value) applied.

    Raises UsageError naming file and field.
    """
    path = _find(name)
    try:
        data = tomllib.loads(path.read_text())
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: {error}") from error
    for section, fields in (overrides or {}).items():
        given = {field: value for field, value in fields.items() if value is not None}
        data[section] = {**data.get(section, {}), **given}
    return _validated(path, data)


def plan_of(name: str, scenario: Scenario, *, time_factor: float = 1.0) -> Plan:
    """The plan of a run of ``scenario``; raises UsageError for a trigger that does not exist."""
    crashed, dump = scenario.crashed, scenario.dump
    return Plan(
        scenario=Path(name).stem,
        trigger=trigger_named(crashed.trigger).name,
        memory=crashed.memory,
        cpus=crashed.cpus,
        cpu_model=crashed.cpu_model,
        hsa_size=dump.hsa_size,
        layout=dump.layout,
        disk_size=dump.disk_size,
        kernel=crashed.kernel,
        vmlinux=crashed.vmlinux,
        dump_kernel=dump.kernel,
        parmline=f"{DEFAULT_CRASH_PARMLINE} {crashed.parmline}".strip(),
        dump_parmline=dump.parmline,
        time_factor=time_factor,
    )


def plan_of_crash(snapshot: Snapshot, dump: Mapping[str, Any], *, time_factor: float = 1.0) -> Plan:
    """The plan of dumping ``snapshot``; ``dump`` are fields of the schema's section [dump].

    Raises UsageError naming the field.
    """
    given = {field: value for field, value in dump.items() if value is not None}
    crashed = {
        "memory": snapshot.memory,
        "cpus": len(snapshot.cpus),
        "cpu_model": snapshot.machine["cpu_model"],
        "trigger": snapshot.trigger,
    }
    description = f"dump of {snapshot.name}"
    data = {"description": description, "crashed": crashed, "dump": given}
    return plan_of("dump", _validated(snapshot.directory, data), time_factor=time_factor)


def _find(name: str) -> Path:
    if name.endswith(SUFFIX):
        return Path(name)
    files = scenario_files()
    if name in files:
        return files[name]
    near = difflib.get_close_matches(name, files, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(files)}"
    raise UsageError(f"no scenario '{name}'", hint=hint)


def _validated(path: Path, data: Mapping[str, Any]) -> Scenario:
    try:
        return Scenario.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        what = first["msg"].removeprefix("Value error, ")
        raise UsageError(f"{path}: {where + ': ' if where else ''}{what}") from None
