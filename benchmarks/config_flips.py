"""Are the predictions of ``zharness config check`` right?

The benchmark builds many dump kernels, each with one option flipped: options that have a rule, and
random ones. Options that depend on it change, too. For each kernel it compares the prediction with
a real dump. All kernels are built in one tree, so make compiles only the affected files.

    python benchmarks/config_flips.py --count 40 --seed 1
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.dump_tools.table import ZFCPDUMP
from harness.errors import BuildError, HostError, UsageError
from harness.host.paths import default_store
from harness.images.command import Tools
from harness.images.kernel import configuration
from harness.images.kernel.build import Kernel, built_kernel, foreign_kernel
from harness.images.kernel.configuration import OFF
from harness.images.kernel.make import Make, environment
from harness.images.kernel.source import kernel_source
from harness.images.kernel.spec import KernelSpec, Role
from harness.images.store import Store
from harness.lab.check import check, dumps
from harness.lab.rules import Target, known_rules, version_of
from harness.lab.trial import Laboratory
from harness.progress import NoProgress
from harness.report.verdict import Result
from harness.s390x.disk_layout import DiskLayout

HSA = 64 << 20


@dataclass(frozen=True)
class Flip:
    """One flipped option: the prediction, and the result of a dump."""

    line: str
    predicted: bool
    observed: bool
    why: str
    seconds: float

    @property
    def agrees(self) -> bool:
        return self.predicted is self.observed

    def __str__(self) -> str:
        agrees = "agrees" if self.agrees else "DIFFERS"
        predicted = "dumps" if self.predicted else "cannot"
        observed = "dumped" if self.observed else "did not"
        what = f"{agrees:8}{self.line:46}{predicted:8}{observed:9}"
        return f"{what}{self.seconds:5.0f} s  {self.why[:90]}".rstrip()


def candidates(config: str, seed: int) -> list[str]:
    """Lines that flip an option, in random order: options with and without a rule in turn."""
    values = configuration.parse(config)
    options = (f"CONFIG_{rule.option}" for rule in known_rules() if rule.want in "yn")
    ruled = list(dict.fromkeys(options))
    others = [option for option, value in values.items() if value in "yn" and option not in ruled]
    chance = random.Random(seed)  # noqa: S311 - must be repeatable, not secret
    chance.shuffle(ruled)
    chance.shuffle(others)
    mixed = [option for pair in zip(ruled, others, strict=False) for option in pair]
    return [
        configuration.line(option, "y" if values.get(option, OFF) == OFF else OFF)
        for option in dict.fromkeys([*mixed, *ruled, *others])
    ]


class Tree:
    """The source tree in which all kernels are built, one after the other."""

    def __init__(self, store: Store, directory: Path) -> None:
        tools = Tools(directory / "log", "the dump kernel", environment(store.root))
        kernel_source(store, NoProgress()).place(directory / "source", tools)
        self._make = Make(directory / "source", tools)

    def build(self, config: str, into: Path) -> Kernel:
        """Raises BuildError if it does not compile."""
        self._make.complete(config)
        self._make.compile(lambda done: None)
        into.mkdir()
        shutil.copy(self._make.objects / "arch/s390/boot/bzImage", into)
        shutil.copy(self._make.objects / ".config", into)
        return foreign_kernel(into / "bzImage")

    def holds(self, config: str, line: str) -> bool:
        """Whether ``line`` is kept if it is added to ``config`` and make completes it."""
        whole = self._make.complete(f"{config}\n{line}\n")
        return not configuration.lost(configuration.parse(line), configuration.parse(whole))


class Bench:
    """Predicts, builds and dumps, always with the same crash."""

    def __init__(self, store: Store, place: Path) -> None:
        self._laboratory = Laboratory(store, NoProgress(), place / "runs")
        self._crash = self._laboratory.crash()
        self._kernels = place
        self._tree = Tree(store, place)
        own = built_kernel(store, KernelSpec(Role.DUMP), NoProgress())
        assert own.config is not None
        self.config = own.config

    def flips(self, lines: list[str]) -> Iterator[Flip]:
        """The ``lines`` that are kept in a complete configuration."""
        for number, line in enumerate(lines):
            if not self._tree.holds(self.config, line):
                continue  # another option does not allow it
            start = time.monotonic()
            try:
                kernel = self._tree.build(f"{self.config}\n{line}\n", self._kernels / str(number))
                observed, why = self._observed(kernel, f"flip-{number}")
            except (BuildError, HostError) as error:  # no result
                print(f"  {line}: {error.message}", file=sys.stderr)
                continue
            predicted = self._predicted(kernel)
            yield Flip(line, predicted, observed, why, time.monotonic() - start)

    def _predicted(self, kernel: Kernel) -> bool:
        assert kernel.config is not None
        values = configuration.parse(kernel.config)
        version = version_of(kernel.release)
        return dumps(check(values, Target.QEMU, DiskLayout.PARTITION, version, ZFCPDUMP))

    def _observed(self, kernel: Kernel, label: str) -> tuple[bool, str]:
        try:
            trial = self._laboratory.trial(self._crash, kernel.image, HSA, label)
        except UsageError as error:  # the harness refuses this kernel before a dump
            return False, error.message
        if trial.result is Result.ERROR:
            raise HostError(trial.why or "no verdict")
        return trial.passed, (trial.why or "").splitlines()[0] if trial.why else ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=40, help="how many configurations")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    # below the store's directory, so that the tree can share files with it
    with tempfile.TemporaryDirectory(dir=default_store().parent) as place:
        bench = Bench(Store(default_store(), NoProgress()), Path(place))
        found: list[Flip] = []
        for flip in bench.flips(candidates(bench.config, arguments.seed)):
            found.append(flip)
            print(flip, flush=True)
            if len(found) == arguments.count:
                break
    agreeing = sum(flip.agrees for flip in found)
    print(f"{agreeing} of {len(found)} predictions agree")
    return 0 if agreeing == len(found) == arguments.count else 1


if __name__ == "__main__":
    sys.exit(main())
