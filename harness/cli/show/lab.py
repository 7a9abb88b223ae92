"""What the kernel lab finds, for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from harness import __version__
from harness.cli.say import say
from harness.cli.show.markdown import show_table
from harness.cli.show.verdict import counted, table
from harness.images.kernel.build import Kernel
from harness.images.kernel.dependencies import Loss
from harness.lab.check import Checked, Remark
from harness.lab.comparison import Pair
from harness.lab.difference import Difference
from harness.lab.given import Given
from harness.lab.rules import Group, Rule, Severity, Target, known_rules
from harness.lab.trial import Trial
from harness.phase import Phase
from harness.scenario.sizes import format_size

_MOST_LOSSES = 20  # that are shown; --json has all


def _verdicts(checked: Checked) -> Iterator[tuple[str, str, Sequence[Remark]]]:
    """Who needs something of the kernel, whether they have it, and their remarks."""
    for group, remarks in checked.groups.items():
        broken = [each.rule for each in remarks if each.rule.severity is Severity.ERROR]
        if group is Group.KERNEL:
            yield "the dump kernel", _able(broken), remarks
        elif group is Group.QEMU:
            lacks = "lacks" if broken else "has"
            yield "QEMU", f"the kernel {lacks} the drivers for its devices", remarks
        else:
            assert checked.tool is not None
            able = "cannot run" if broken else "can run"
            yield f"the dump tool {checked.tool.name}", f"{able} on this kernel", remarks


def _able(broken: Sequence[Rule]) -> str:
    if not broken:
        return "can dump"
    only_there = all(rule.on is Target.MACHINE for rule in broken)
    return "cannot dump on a real machine" if only_there else "cannot dump"


def show_checked(checked: Checked) -> None:
    """The verdict of each group, and its remarks."""
    for who, verdict, remarks in _verdicts(checked):
        say(f"{who}: {verdict}")
        for remark in remarks:
            say(f"  {remark.rule.severity}: {remark}: {remark.rule.why}")


def show_losses(losses: Sequence[Loss]) -> None:
    """What was asked for and does not hold; options that a rule knows come first."""
    undefined = [loss.option for loss in losses if loss.undefined]
    reasons = [loss for loss in losses if not loss.undefined]
    ruled = {f"CONFIG_{rule.option}" for rule in known_rules()}
    reasons.sort(key=lambda loss: loss.option not in ruled)
    for loss in reasons[:_MOST_LOSSES]:
        say(str(loss))
    if len(reasons) > _MOST_LOSSES:
        say(f"{len(reasons) - _MOST_LOSSES} more lines do not hold; --json has them")
    if undefined:
        what = counted(len(undefined), "option")
        shown = ", ".join(undefined[:_MOST_LOSSES])
        more = ", ..." if len(undefined) > _MOST_LOSSES else ""
        say(f"the source does not define {what}: {shown}{more}")


def show_check_markdown(subject: Given, checked: Checked, trials: Sequence[Trial]) -> None:
    """One table: what was checked, the verdicts with what is missing, and what was measured."""
    rows = [
        ("zharness", __version__),
        ("Linux", subject.release or "unknown"),
        ("SHA-256", subject.sha256),
        ("disk layout", str(checked.layout)),
    ]
    for who, verdict, remarks in _verdicts(checked):
        texts = [f"{each.rule.severity}: {each}" for each in remarks]
        rows.append((who, "; ".join([verdict, *texts])))
    rows += [(loss.line, f"does not hold: {loss.why}") for loss in subject.losses]
    for trial in trials:
        size = f"HSA {format_size(trial.hsa_size)}"
        measured = [str(trial.result)]
        if trial.memory_mb is not None:
            measured.append(f"{_mb(trial.memory_mb)} left for the tool")
        if trial.mb_per_second is not None:
            measured.append(_rate(trial.mb_per_second))
        rows.append((size, ", ".join([*measured, *filter(None, [trial.why])])))
    show_table(("configuration", subject.name), rows)


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
        table((f"HSA {format_size(pair.first.hsa_size)}", *names), _rows(pair, pair.phases))
        for line in pair.console_difference:
            say(f"  console {line}")


def show_pairs_markdown(
    names: tuple[str, str], kernels: tuple[Kernel, Kernel], pairs: Sequence[Pair]
) -> None:
    """One table: the kernels, and what each size of the HSA showed of them."""
    rows = [
        ("zharness", __version__, __version__),
        ("Linux", *(kernel.release for kernel in kernels)),
        ("SHA-256", *(kernel.sha256 for kernel in kernels)),
    ]
    for pair in pairs:
        size = format_size(pair.first.hsa_size)
        rows += [(f"HSA {size}: {what}", *values) for what, *values in _rows(pair, [Phase.DUMP])]
    show_table(("kernel", *names), rows)


def _rows(pair: Pair, phases: Sequence[str]) -> list[tuple[str, ...]]:
    both = (pair.first, pair.second)
    rows = [
        ("verdict", *(str(trial.result) for trial in both)),
        ("left for the tool", *(_mb(trial.memory_mb) for trial in both)),
        ("rate", *(_rate(trial.mb_per_second) for trial in both)),
        *((phase, *(_seconds(trial.seconds.get(phase)) for trial in both)) for phase in phases),
    ]
    if any(trial.why for trial in both):
        rows.append(("why", *(trial.why or "" for trial in both)))
    return rows


def _mb(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} MB"


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} MB/s"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"
