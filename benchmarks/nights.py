"""How large does the database of results become, and how long does each question take?

Nights are made up, with scenarios that pass, fail and vary as real ones do.

    python benchmarks/nights.py --nights 90 --scenarios 160
    python benchmarks/nights.py --results postgresql+psycopg://postgres@/postgres?host=/tmp
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import text

from harness.report.runs import Report, ReportedRun
from harness.report.verdict import Result, Verdict
from harness.results import known
from harness.results.database import Database
from harness.results.nights import changes, nights
from harness.results.page.write import write
from harness.results.record import Recorder, State, now
from harness.results.statistics import flakes, trend
from harness.verify.findings import CheckResult, Finding
from harness.verify.kinds import FindingKind

CHECKS = 16
PHASES = ("images", "boot", "crash", "snapshot", "ipl", "dump", "collect", "verify")


def made_up(number: int, night: int, chance: random.Random) -> ReportedRun:
    bad = chance.random() < 0.01 or (number == 7 and night > 80)
    checks = [CheckResult(f"check-{each}", 65536, "pages") for each in range(CHECKS)]
    if bad:
        finding = Finding("console", FindingKind.TOOL_FAILED, f"line {night}: it failed")
        checks[0] = CheckResult("console", 1, "lines", (finding,))
    seconds = (10 + number % 50) * chance.lognormvariate(0, 0.1)
    verdict = Verdict(
        Result.FAIL if bad else Result.PASS,
        Path("evidence"),
        checks=tuple(checks),
        timings=dict.fromkeys(PHASES, seconds / len(PHASES)),
        inputs={"QEMU": "7.2.22", "dump kernel": {"release": f"6.12.{night // 10}"}, "n": number},
    )
    name = f"scenario-{number}[hsa_size=32M,smp=4]"
    return ReportedRun(name, Path("x.toml"), Path(f"/e/{number}"), "again", seconds, verdict)


def timed(what: str, question: Callable[[], Any]) -> Any:
    start = time.perf_counter()
    answer = question()
    print(f"{what:40} {time.perf_counter() - start:7.2f} s")
    return answer


def fill(database: Database, place: Path, count: int, scenarios: int) -> None:
    chance = random.Random(1)  # noqa: S311 - the same each time
    for night in range(1, count + 1):
        names = [f"scenario-{number}[hsa_size=32M,smp=4]" for number in range(scenarios)]
        recorder, _ = Recorder.begin(database, "night", place, names)
        runs = tuple(made_up(number, night, chance) for number in range(scenarios))
        for done in range(0, scenarios, 20):  # as they end
            part = Report(runs[: done + 20], 1.0)
            recorder.record(replace(part))
        recorder.end(State.ENDED)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--nights", type=int, default=90)
    parser.add_argument("--scenarios", type=int, default=160)
    parser.add_argument("--results")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        where = asked.results or str(Path(scratch, "results.sqlite"))
        database = Database.open(where)
        timed("record all", lambda: fill(database, Path(scratch), asked.nights, asked.scenarios))
        with database.session() as session:
            history = timed("read all nights", lambda: nights(session, "night"))
            last = timed("read the last 30", lambda: nights(session, "night", 30))
            timed("signatures", lambda: known.signatures(session))
            if database.engine.dialect.name == "postgresql":
                size = session.scalar(text("SELECT pg_database_size(current_database())"))
            else:
                size = sum(path.stat().st_size for path in Path(scratch).iterdir())
        timed("what changed", lambda: changes(history, {}))
        timed("flaky scenarios", lambda: flakes(history))
        timed("trend", lambda: trend(history))
        page = Path(scratch, "report.html")
        timed("page of 30 nights", lambda: write(page, last, {}))
        timed("folder with run pages", lambda: write(Path(scratch, "report"), last, {}))
        print(f"{'page':40} {page.stat().st_size / 1e6:7.2f} MB")
        print(f"{'database':40} {size / 1e6:7.2f} MB, {now():%Y-%m-%d}")


if __name__ == "__main__":
    main()
