"""bisect run, step: find the commit that broke dumping."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli import options
from harness.cli.options import examples
from harness.cli.say import say, say_json
from harness.errors import ExitCode, UsageError
from harness.images.kernel.spec import Role

if TYPE_CHECKING:  # the rest is imported where it is needed: --help must not take a second
    from harness.lab.bisect import Result, Step
    from harness.lab.commit import Trying

app = typer.Typer(help="Find the commit that broke dumping.", no_args_is_help=True)

RepositoryPath = Annotated[
    Path, options.path_option("--repository", "-C", help="Git repository of the kernel.")
]
OneRole = Annotated[
    Role,
    typer.Option(
        "--role", help="Which kernel is built from the commit: the one that dumps, or crashes."
    ),
]
Fixed = Annotated[
    Path | None,
    options.path_option("--fixed", help="The other kernel.", show_default="the harness's own"),
]
FindingPattern = Annotated[
    str | None,
    typer.Option(
        "--finding",
        help="Call a commit bad only if a finding ('CHECK: text') matches this regular expression.",
        show_default="any wrong dump is",
    ),
]
Often = Annotated[
    int, typer.Option("--repeat", min=1, help="Dump N times; one wrong dump makes the commit bad.")
]
State = Annotated[
    Path | None,
    options.path_option("--output", help="Directory for results; an earlier one is resumed."),
]
STEP_HELP = (
    "Exit codes: 0 good, 1 bad, 125 skip this commit; 128 this host or the command is at fault, "
    "and git bisect run stops."
)


@app.command(
    epilog=examples(
        "zharness bisect run -C ~/linux --good v6.8 --bad v6.9 --output bisection",
        "zharness bisect run -C ~/linux --good v6.8 --bad HEAD --finding '^registers' --repeat 3",
    )
)
def run(
    good: Annotated[str, typer.Option("--good", help="A commit that dumps right.")],
    bad: Annotated[str, typer.Option("--bad", help="A later commit that dumps wrong.")],
    repository: RepositoryPath = Path(),
    role: OneRole = Role.DUMP,
    scenario: options.Scenario = "quick",
    finding: FindingPattern = None,
    repeat: Often = 1,
    fixed: Fixed = None,
    output: State = None,
    store: options.StorePath = None,
    json: options.Json = False,
) -> int:
    """Drive git bisect to the first bad commit. Work tree and branches do not change.

    Every answer is kept in the output directory. After an interruption, the same command with the
    same directory continues.
    """
    from harness.lab.bisect import Memory, Repository, bisect

    tree = Repository(repository)
    ends = tree.commit(good), tree.commit(bad)
    place = options.output_path(output, "bisect")
    trying = _trying(repository, role, scenario, place, store, json, finding, repeat, fixed)
    question = {
        "repository": str(tree.path),
        "good": ends[0],
        "bad": ends[1],
        **trying.question(),
    }
    memory = Memory.open(place, question)
    result = bisect(tree, *ends, memory, trying.try_commit)
    if json:
        steps = [step.to_json() for step in result.steps]
        document = {"first_bad": list(result.first_bad), "steps": steps, "directory": str(place)}
        say_json(document)
    else:
        _show(result, place)
    return ExitCode.PASS if len(result.first_bad) == 1 else ExitCode.FAIL


@app.command(epilog="\n\n".join([STEP_HELP, examples("git bisect run zharness bisect step")]))
def step(
    repository: RepositoryPath = Path(),
    revision: Annotated[str, typer.Option("--revision", help="The commit to try.")] = "HEAD",
    role: OneRole = Role.DUMP,
    scenario: options.Scenario = "quick",
    finding: FindingPattern = None,
    repeat: Often = 1,
    fixed: Fixed = None,
    output: options.Output = None,
    store: options.StorePath = None,
    json: options.Json = False,
) -> int:
    """Try one commit: the command for git bisect run."""
    from harness.lab.bisect import Repository

    place = options.output_path(output, "bisect")
    trying = _trying(repository, role, scenario, place, store, json, finding, repeat, fixed)
    tried = trying.try_commit(Repository(repository).commit(revision))
    if json:
        say_json(tried.to_json())
    else:
        say(_line(tried))
    return int(tried.answer)


def _trying(
    repository: Path,
    role: Role,
    scenario: str,
    place: Path,
    store: Path | None,
    json: bool,
    finding: str | None,
    repeat: int,
    fixed: Path | None,
) -> Trying:
    import re

    from harness.lab.bisect import Repository
    from harness.lab.commit import Trying
    from harness.scenario.load import load

    if finding is not None:
        try:
            re.compile(finding)
        except re.error as error:
            raise UsageError(
                f"--finding: '{finding}' is not a regular expression: {error}"
            ) from None
    images = options.images(store, json=json)
    load(scenario)  # scenario and kernel are checked before anything is built
    if fixed is not None:
        images.given_kernel(fixed)
    return Trying(
        Repository(repository),
        role,
        scenario,
        place,
        images.store,
        images.progress,
        finding=finding,
        repeat=repeat,
        fixed=fixed,
    )


def _line(step: Step) -> str:
    why = f": {step.why}" if step.why else ""
    return f"{step.answer.name.lower():4}  {step.commit[:12]}  {step.subject}{why}"


def _show(result: Result, place: Path) -> None:
    steps: dict[str, Any] = {step.commit: step for step in result.steps}
    for each in result.steps:
        say(_line(each))
    if len(result.first_bad) > 1:
        say(f"the first bad commit is one of {len(result.first_bad)}; others could not be tried:")
    for commit in result.first_bad:
        found = steps[commit]
        which = "first bad commit" if len(result.first_bad) == 1 else "candidate"
        say(f"{which}: {commit} {found.subject}")
        if found.why:
            bad = found.answer.name == "BAD"
            say(f"{'what it breaks' if bad else 'neither good nor bad'}: {found.why}")
        if found.evidence:
            say(f"evidence: {found.evidence}")
    say(f"log: {place / 'bisect.json'}")
