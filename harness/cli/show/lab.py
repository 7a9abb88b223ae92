"""What the kernel lab finds, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.cli.say import say
from harness.cli.show.verdict import counted, table
from harness.lab.check import Remark, dumps
from harness.lab.comparison import Pair
from harness.lab.difference import Difference
from harness.lab.rules import Target
from harness.lab.trial import Trial
from harness.scenario.sizes import format_size

_WHERE = {Target.MACHINE: "on a real machine", Target.QEMU: "under QEMU"}


def show_remarks(remarks: Mapping[Target, Sequence[Remark]]) -> None:
    """Each target's remarks; those that are the same for all are said once."""
    for remark in dict.fromkeys(remark for found in remarks.values() for remark in found):
        where = [target for target, found in remarks.items() if remark in found]
        only = "" if remark.rule.on is None else f", {' and '.join(_WHERE[each] for each in where)}"
        say(f"{remark.rule.severity}{only}: {remark}: {remark.rule.why}")
    for target, found in remarks.items():
        say(f"{_WHERE[target]}: {'can dump' if dumps(list(found)) else 'cannot dump'}")


def show_measures(image: Path, trials: Sequence[Trial]) -> None:
    """What the kernel left of the HSA, by the size of that."""
    say(f"image: {image.stat().st_size / 1e6:.1f} MB")
    table(
        ("HSA", "verdict", "left for the tool", "rate", ""),
        (
            (
                format_size(trial.hsa_size),
                str(trial.result),
                _mb(trial.memory_mb),
                _rate(trial.mb_per_second),
                trial.why or "",
            )
            for trial in trials
        ),
    )


def show_differences(explained: Sequence[Difference], others: Sequence[str]) -> None:
    for each in explained:
        values = f"{each.first} -> {each.second} (should be {each.rule.want})"
        say(f"{each.option}: {values}: {each.rule.why}")
    if others:
        verb = "differs" if len(others) == 1 else "differ"
        what = counted(len(others), "other option")
        say(f"{what} {verb}; no dump rule covers {'it' if len(others) == 1 else 'them'}")


def show_pairs(names: tuple[str, str], pairs: Sequence[Pair]) -> None:
    """Side by side: verdict, memory, rate, seconds by phase; then what only one said."""
    for pair in pairs:
        both = (pair.first, pair.second)
        rows = [
            ("verdict", *(str(trial.result) for trial in both)),
            ("left for the tool", *(_mb(trial.memory_mb) for trial in both)),
            ("rate", *(_rate(trial.mb_per_second) for trial in both)),
            *(
                (phase, *(_seconds(trial.seconds.get(phase)) for trial in both))
                for phase in pair.phases
            ),
        ]
        if any(trial.why for trial in both):
            rows.append(("why", *(trial.why or "" for trial in both)))
        table((f"HSA {format_size(pair.first.hsa_size)}", *names), rows)
        for line in pair.console_difference:
            say(f"  console {line}")


def _mb(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} MB"


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} MB/s"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"
