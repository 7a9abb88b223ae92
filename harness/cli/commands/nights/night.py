"""night run, diff, flakes, trend, list, report, export, rerun, import."""

from __future__ import annotations

from datetime import datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import options
from harness.cli.commands.nights import keep
from harness.cli.commands.nights.words import (
    Again,
    Directory,
    Last,
    Number,
    Results,
    Series,
    opened,
)
from harness.cli.options import examples
from harness.cli.overrides import Overrides, overriding
from harness.cli.say import say, say_json, say_lines
from harness.host.paths import data_dir, default_nights
from harness.results.form import Form

if TYPE_CHECKING:  # the rest is imported where it is needed: --help must not take a second
    from harness.results.database import Database
    from harness.results.nights import Change, Night

app = typer.Typer(
    help="Run a series of scenarios every night, and tell what changed.",
    no_args_is_help=True,
    epilog=examples(
        "zharness night run  # in the evening, or from a timer: docs/recipes.md",
        "zharness night diff  # in the morning: what is new, fixed, or fails since when",
        "zharness explain EVIDENCE  # what happened in the run that failed",
        "zharness issue link 1:registers URL  # now that failure is known",
        "zharness night report report.html --last 30",
    ),
)
app.add_typer(keep.app)


def _time_of_day(text: str) -> time:
    try:
        return datetime.strptime(text, "%H:%M").time()
    except ValueError:
        raise typer.BadParameter(f"'{text}' is no time of the day, such as 06:30") from None


WebhookUrl = Annotated[
    str | None,
    typer.Option(
        "--webhook",
        metavar="URL",
        envvar="ZHARNESS_WEBHOOK",
        help="POST what night diff --json tells, at the end; ZHARNESS_WEBHOOK_TOKEN is its token.",
        show_default=False,
    ),
]
Bisect = Annotated[
    time | None,
    typer.Option(
        "--bisect",
        metavar="HH:MM",
        parser=_time_of_day,
        help="Until this time, bisect new failures of kernels that are git commits.",
        show_default=False,
    ),
]


@app.command(
    "run",
    epilog=examples(
        "zharness night run  # each night, from a timer",
        "zharness night run --bisect 06:30 --dump-source ~/linux@master",
        "zharness night diff  # in the morning: what is new, what is fixed",
        "zharness night run 'scenarios/**' --series big --again 2",
        "zharness night flakes --last 30",
    ),
)
@overriding("crashed", "dump")
def run_(
    scenarios: options.Scenarios = None,
    *,
    overrides: Overrides,
    series: Series = "night",
    again: Again = 1,
    bisect: Bisect = None,
    webhook: WebhookUrl = None,
    jobs: options.Jobs = None,
    cluster: options.Cluster = None,
    directory: Directory = None,
    results: Results = None,
    store: options.StorePath = None,
    time_factor: options.TimeFactor = 1.0,
    json: options.Json = False,
) -> int:
    """Run the next night of a series, and tell what changed since the last one.

    By default all scenarios in the folder of the harness run. What fails is run again at once, and
    both results are kept. A night whose process was killed goes on where it was. Exit codes: 0 all
    passed, 1 a dump is wrong, 3 the host or the harness is at fault, 4 all failures are known
    (zharness issue link).
    """
    from harness.cli.batch.hosts import hosts
    from harness.cli.batch.run import Chosen
    from harness.cli.nights.night_run import run_night
    from harness.cli.nights.webhook import Webhook, notify
    from harness.results.told import to_json
    from harness.run.options import RunOptions
    from harness.scenario.select import select

    hook = None if webhook is None else Webhook.at(webhook)
    found = select(scenarios or [str(data_dir() / "scenarios" / "*.toml")], overrides)
    chosen = Chosen(
        overrides, options.store_path(store), RunOptions(), time_factor=time_factor, json=json
    )
    with opened(results) as database, hosts(cluster, jobs, slim=True) as chosen_hosts:
        number = run_night(
            series,
            found,
            chosen,
            database,
            directory or default_nights(),
            hosts=chosen_hosts,
            repeat_failed=again,
            bisect_until=bisect,
        )
        if hook is not None:
            notify(hook, to_json(*_compared(database, series, number)))
        return _tell(database, series, number, json)


@app.command("diff", epilog=examples("zharness night diff", "zharness night diff 7 --series big"))
def diff(
    number: Number = None,
    series: Series = "night",
    results: Results = None,
    json: options.Json = False,
) -> int:
    """Tell what a night has that the night before did not have. Exit codes as night run."""
    with opened(results) as database:
        return _tell(database, series, number or 0, json)


@app.command("list", epilog=examples("zharness night list --last 30"))
def list_(
    series: Series = "night",
    last: Last = 20,
    results: Results = None,
    json: options.Json = False,
) -> None:
    """Show the nights of a series."""
    from harness.cli.show.verdict import table
    from harness.results.nights import nights

    with opened(results) as database, database.session() as session:
        found = nights(session, series, last)
    if json:
        say_json(
            [
                {
                    "night": each.number,
                    "started": each.started.isoformat(timespec="seconds") + "Z",
                    "state": each.state,
                    "scenarios": len(each.outcomes),
                    "failed": len(each.failed),
                    "evidence": each.evidence,
                }
                for each in found
            ]
        )
        return
    rows = (
        (
            str(each.number),
            f"{each.started:%Y-%m-%d %H:%M}",
            each.state,
            str(len(each.outcomes)),
            str(len(each.failed)),
            each.host,
        )
        for each in found
    )
    table(("night", "begun (UTC)", "state", "scenarios", "failed", "host"), rows)


@app.command("flakes", epilog=examples("zharness night flakes --last 30"))
def flakes_(
    series: Series = "night",
    last: Last = 30,
    results: Results = None,
    json: options.Json = False,
) -> None:
    """Show scenarios that passed and failed with equal inputs, and how often they passed.

    The interval says where the real rate is with 95 % (Wilson).
    """
    from dataclasses import asdict

    from harness.cli.nights.show import flake_rows
    from harness.cli.show.verdict import table
    from harness.results.nights import nights
    from harness.results.statistics import flakes

    with opened(results) as database, database.session() as session:
        found = flakes(nights(session, series, last))
    if json:
        say_json([asdict(flake) for flake in found])
    elif not found:
        say("no scenario passed and failed with equal inputs")
    else:
        table(("scenario", "passed", "real rate", "failed as"), flake_rows(found))


@app.command("trend", epilog=examples("zharness night trend --last 30"))
def trend_(
    series: Series = "night",
    last: Last = 30,
    results: Results = None,
    json: options.Json = False,
) -> None:
    """Show how long each night took, compared with the nights before.

    It is the median over all scenarios of the ratio to each one's own usual time: 1.05 is 5 %
    slower. Two nights in a row that were slower than noise explains are told.
    """
    from dataclasses import asdict

    from harness.cli.nights.show import trend_rows
    from harness.cli.show.verdict import table
    from harness.results.nights import nights
    from harness.results.statistics import slower, trend

    with opened(results) as database, database.session() as session:
        points = trend(nights(session, series, last))
    if json:
        say_json({"nights": [asdict(point) for point in points], "slower": slower(points)})
        return
    table(("night", "ratio", "scenarios"), trend_rows(points))
    if slower(points):
        say("the last two nights were slower than noise explains")


@app.command(
    "report",
    epilog=examples(
        "zharness night report report.html --last 30",
        "zharness night report report/ --last 30  # with a page for each run",
    ),
)
def report(
    place: Annotated[
        Path,
        options.path_argument(
            help="An HTML file (.html), or a folder for many.", metavar="FILE|DIRECTORY"
        ),
    ],
    series: Series = "night",
    last: Last = 30,
    results: Results = None,
) -> None:
    """Write the last nights of a series as HTML, which needs nothing else.

    One file has all nights. A folder also has a page for each run of the last night, and for each
    run of the others that did not pass: findings, a map of memory, consoles. Begin at index.html.
    """
    from harness.results.nights import issues, nights
    from harness.results.page.write import write
    from harness.results.record import now

    with opened(results) as database, database.session() as session:
        history = nights(session, series, last)
        pages = write(place, history, issues(session, now()))
    of_runs = f", {pages} runs" if pages else ""
    say(f"{place}: {len(history)} nights of {series}{of_runs}")


@app.command(
    "export",
    epilog=examples(
        "zharness night export junit > night.xml",
        "zharness night export summary >> $SUMMARY",
        "zharness night export mail | sendmail ADDRESS",
    ),
)
def export_(
    form: Annotated[Form, typer.Argument(help="In which form.")],
    number: Number = None,
    series: Series = "night",
    results: Results = None,
) -> None:
    """Print a night for another program: JUnit XML, KTAP, KCIDB, a Markdown summary, a mail."""
    from harness.results.export import export

    with opened(results) as database:
        chosen, found = _compared(database, series, number or 0)
    say_lines(export(chosen, found, form))


@app.command("rerun", epilog=examples("zharness night rerun", "zharness night rerun 7 -j 1"))
def rerun(
    number: Number = None,
    series: Series = "night",
    jobs: options.Jobs = None,
    cluster: options.Cluster = None,
    results: Results = None,
    store: options.StorePath = None,
    time_factor: options.TimeFactor = 1.0,
    json: options.Json = False,
) -> int:
    """Run once more what did not pass in a night. Both results are kept, as with --again.

    The scenarios run as they are now, without the options that the night had.
    """
    from harness.cli.batch.hosts import hosts
    from harness.cli.batch.run import Chosen
    from harness.cli.nights.night_run import rerun_night
    from harness.run.options import RunOptions

    chosen = Chosen({}, options.store_path(store), RunOptions(), time_factor=time_factor, json=json)
    with opened(results) as database:
        found, _ = _compared(database, series, number or 0)
        with hosts(cluster, jobs, slim=True) as chosen_hosts:
            rerun_night(database, found, chosen, hosts=chosen_hosts)
        return _tell(database, series, found.number, json)


@app.command("import", epilog=examples("zharness night import evidence --series old"))
def import_(
    evidence: Annotated[
        Path, options.path_argument(help="Directory of a batch: it has report.json.")
    ],
    series: Series = "night",
    results: Results = None,
) -> None:
    """Record a batch that zharness run has made as the next night of a series."""
    from harness.results.batch_import import import_batch

    with opened(results) as database:
        number, runs = import_batch(database, series, evidence)
    say(f"night {number} of {series}: {runs} runs")


def _compared(database: Database, series: str, number: int) -> tuple[Night, list[Change]]:
    """A night, and what it has that the one before did not have."""
    from harness.results.nights import compared
    from harness.results.record import now

    with database.session() as session:
        return compared(session, series, number, now())


def _tell(database: Database, series: str, number: int, json: bool) -> int:
    from harness.results.told import exit_code, lines, to_json

    chosen, found = _compared(database, series, number)
    if json:
        say_json(to_json(chosen, found))
    else:
        for line in lines(chosen, found):
            say(line)
    return int(exit_code(chosen, found))
