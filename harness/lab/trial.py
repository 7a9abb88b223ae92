"""Dump one crash with one dump kernel, to compare kernels."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from harness.dump_tools.tool import DumpTool
from harness.errors import ExitCode
from harness.evidence.directory import RunDirectory
from harness.evidence.names import CONSOLE
from harness.evidence.snapshot import Snapshot
from harness.images.store import Store
from harness.progress import Progress
from harness.report.verdict import Result, Verdict
from harness.run import engine
from harness.run.inputs.dump_tool import ChosenTool
from harness.run.plan import plan_of, plan_of_crash
from harness.scenario.load import load

_TIME = re.compile(r"^\+ +[\d.]+ ?")
_NUMBER = re.compile(r"\d+\.\d+")
SCENARIO = "quick"


@dataclass(frozen=True)
class Trial:
    """``memory_mb`` is what the kernel and its ramdisk left for the dump tool, in MB (10^6 bytes),
    ``mb_per_second`` the tool's own rate; both are None if the tool did not get that far.
    ``seconds`` are by phase, ``why`` is the first fault, ``console`` what the dump system printed,
    and ``said`` the same without numbers and progress, which differ between any two dumps.
    """

    kernel: str
    hsa_size: int
    result: Result
    why: str | None
    memory_mb: float | None
    mb_per_second: float | None
    seconds: Mapping[str, float]
    console: tuple[str, ...]
    evidence: str
    said: tuple[str, ...] = ()

    @classmethod
    def of(cls, kernel: str, hsa_size: int, verdict: Verdict, tool: DumpTool) -> Self:
        """Make one from the verdict on a dump by ``tool``, and its evidence."""
        log = RunDirectory(verdict.directory).dump / CONSOLE
        text = log.read_text(errors="replace") if log.exists() else ""
        finding = next(map(str, verdict.findings), None)
        console = tuple(_TIME.sub("", line) for line in text.splitlines())
        return cls(
            kernel=kernel,
            hsa_size=hsa_size,
            result=verdict.result,
            why=verdict.error or finding,
            memory_mb=_number(tool.memory, text),
            mb_per_second=_number(tool.rate, text),
            seconds=verdict.timings,
            console=console,
            evidence=str(verdict.directory),
            said=tuple(_said(line for line in console if not tool.is_progress(line))),
        )

    @property
    def passed(self) -> bool:
        return self.result is Result.PASS

    def to_json(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if name != "said"}


def _said(lines: Iterable[str]) -> Iterator[str]:
    texts = (_NUMBER.sub("", line).strip() for line in lines)
    return (text for text in texts if text not in {"", "."})


def _number(pattern: re.Pattern[str] | None, text: str) -> float | None:
    found = None if pattern is None else pattern.search(text)
    return None if found is None else float(found[1])


def worst(trials: Iterable[Trial]) -> ExitCode:
    """The exit code for all trials: 3 if one is an ERROR, else 1 if one is a FAIL."""
    return max((trial.result.exit_code for trial in trials), default=ExitCode.PASS)


@dataclass(frozen=True)
class Laboratory:
    """Makes trials: one crash, dumped several times. Evidence goes below ``output``.

    ``how`` are fields of the schema's section [dump] that hold for all of them.
    """

    store: Store
    progress: Progress
    output: Path
    how: Mapping[str, Any] = field(default_factory=dict)

    def crash(self, memory: int | None = None) -> Snapshot:
        """The crash that all trials dump; made once."""
        scenario = load(SCENARIO, {"crashed": {"memory": memory}})
        plan = plan_of(SCENARIO, scenario)
        return engine.create_snapshot(plan, store=self.store, progress=self.progress)

    def trial(self, crash: Snapshot, kernel: Path, hsa_size: int, label: str) -> Trial:
        """Dump it with ``kernel``; raises UsageError if that cannot dump at all."""
        plan = plan_of_crash(crash, {**self.how, "kernel": kernel, "hsa_size": hsa_size})
        verdict = engine.dump_snapshot(
            crash,
            plan,
            output=self.output / f"{label}-{hsa_size >> 20}M",
            store=self.store,
            progress=self.progress,
        )
        tool = ChosenTool.of(plan.scenario.dump).tool
        return Trial.of(str(kernel), hsa_size, verdict, tool)
