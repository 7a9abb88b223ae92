"""Does what ``zharness config check`` predicts agree with what a dump shows?

The dump kernel is built again and again, each time with one option flipped: those that a rule
speaks of, and others at random. Of each it is predicted whether it can dump, and then it has to.

    python benchmarks/config_flips.py --count 40 --seed 1
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.build import configuration
from harness.build.configuration import OFF
from harness.build.kernel import Kernel, built_kernel
from harness.build.kernel_spec import KernelSpec, Role
from harness.build.layout import DiskLayout
from harness.build.store import Store
from harness.errors import BuildError, UsageError
from harness.lab.check import check, dumps
from harness.lab.rules import Target, rules, version_of
from harness.lab.trial import Laboratory
from harness.paths import default_store
from harness.progress import NoProgress

HSA = 64 << 20


@dataclass(frozen=True)
class Flip:
    """What was predicted of one option's other value, and what a dump showed."""

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
    """Lines that flip an option: first those of which a rule speaks, then any, at random."""
    values = configuration.parse(config)
    ruled = [f"CONFIG_{rule.option}" for rule in rules() if rule.want in "yn"]
    others = [option for option, value in values.items() if value in "yn" and option not in ruled]
    chance = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
    chance.shuffle(ruled)
    chance.shuffle(others)
    mixed = [option for pair in zip(ruled, others, strict=False) for option in pair]
    return [
        configuration.line(option, "y" if values.get(option, OFF) == OFF else OFF)
        for option in dict.fromkeys([*mixed, *ruled, *others])
    ]


class Bench:
    """Builds, predicts, dumps; all with one crash."""

    def __init__(self, store: Store, output: Path) -> None:
        self._store = store
        self._laboratory = Laboratory(store, NoProgress(), output)
        self._crash = self._laboratory.crash()
        self.own = self._built(())

    def flips(self, lines: list[str]) -> Iterator[Flip]:
        """Those of ``lines`` that hold in a final configuration."""
        for number, line in enumerate(lines):
            start = time.monotonic()
            try:
                kernel = self._built((line,))
            except BuildError as error:
                print(f"  {line}: {error.message}", file=sys.stderr)
                continue
            if kernel.config == self.own.config:
                continue
            predicted = self._predicted(kernel)
            observed, why = self._observed(kernel, f"flip-{number}")
            yield Flip(line, predicted, observed, why, time.monotonic() - start)

    def _built(self, lines: tuple[str, ...]) -> Kernel:
        spec = KernelSpec(Role.DUMP, configuration=lines)
        return built_kernel(self._store, spec, NoProgress())

    def _predicted(self, kernel: Kernel) -> bool:
        assert kernel.config is not None
        values = configuration.parse(kernel.config)
        version = version_of(kernel.release)
        return dumps(check(values, Target.QEMU, DiskLayout.PARTITION, version))

    def _observed(self, kernel: Kernel, label: str) -> tuple[bool, str]:
        try:
            trial = self._laboratory.trial(self._crash, kernel.image, HSA, label)
        except UsageError as error:  # it can be seen without a dump that it is unable to
            return False, error.message
        return trial.passed, (trial.why or "").splitlines()[0] if trial.why else ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=40, help="how many configurations")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        bench = Bench(Store(default_store(), NoProgress()), Path(place))
        assert bench.own.config is not None
        found: list[Flip] = []
        for flip in bench.flips(candidates(bench.own.config, arguments.seed)):
            found.append(flip)
            print(flip, flush=True)
            if len(found) == arguments.count:
                break
    agreeing = sum(flip.agrees for flip in found)
    print(f"{agreeing} of {len(found)} predictions agree")
    return 0 if agreeing == len(found) else 1


if __name__ == "__main__":
    sys.exit(main())
