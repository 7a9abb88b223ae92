"""Results in other programs: a PostgreSQL server answers as a file does; kcidb takes a night."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kcidb_io  # type: ignore[import-untyped]
import pytest

from harness.results import known
from harness.results.database import Database
from harness.results.export import export
from harness.results.form import Form
from harness.results.nights import Attempt, Kind, changes, issues, nights
from harness.results.record import Recorder, State, now
from tests.support.runs.nights import attempt, night, report, run

pytestmark = pytest.mark.e2e

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
OTHER_USER = "postgres"  # a server does not run as root


def as_user(*command: object) -> None:
    words = list(map(str, command))
    if os.geteuid() == 0:
        words = ["runuser", "-u", OTHER_USER, "--", *words]
    subprocess.run(words, check=True, capture_output=True, cwd="/")


@pytest.fixture
def server() -> Iterator[str]:
    """The URL of an empty database in a server of our own, without a network."""
    assert PROGRAMS, "install postgresql"
    place = Path(tempfile.mkdtemp(prefix="zharness-postgresql-"))
    if os.geteuid() == 0:
        shutil.chown(place, OTHER_USER)
    tools, data = PROGRAMS[-1], place / "data"
    as_user(tools / "initdb", "-D", data, "-A", "trust", "-U", "zharness")
    options = f"-k {place} -c listen_addresses=''"
    as_user(tools / "pg_ctl", "-D", data, "-o", options, "-l", place / "log", "-w", "start")
    try:
        yield f"postgresql+psycopg://zharness@/postgres?host={place}"
    finally:
        as_user(tools / "pg_ctl", "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(place)


def told(where: str, tmp_path: Path) -> tuple[Any, ...]:
    """What is told after three nights, one of which was killed."""
    database = Database.open(where)
    first, _ = Recorder.begin(database, "night", tmp_path, list("abc"))
    first.record(report(run("a"), run("b"), run("c", "FAIL")))
    first.end(State.ENDED)
    killed, _ = Recorder.begin(database, "night", tmp_path, list("abc"))
    killed.record(report(run("a")))
    database.close()
    database = Database.open(where)
    found = Recorder.unfinished(database, "night")
    assert found is not None
    found[0].record(report(run("a", kept=True), run("b", "FAIL"), run("c")))
    found[0].end(State.ENDED)
    with database.session() as session:
        text = known.link(session, "1:console", "https://bugs/7", None)
        history = nights(session, "night")
        return (
            [
                (change.kind, change.name, change.issue)
                for change in changes(history, issues(session, now()))
            ],
            [(each.text, each.runs) for each in known.signatures(session)],
            text,
        )


def test_a_server_answers_as_a_file_does(server, tmp_path):
    of_server = told(server, tmp_path)
    assert of_server == told(str(tmp_path / "results.sqlite"), tmp_path)
    assert of_server[0] == [
        (Kind.NEW, "b", "https://bugs/7"),
        (Kind.FIXED, "c", None),
    ]


def test_kernel_cis_own_library_accepts_a_night():
    bad = Attempt("FAIL", 1.5, "line\x00\x1b", "1:x", None, "again", {"QEMU": "7.2"})
    document = json.loads(export(night(1, **{"a[b=1]": bad, "c": attempt()}), [], Form.KCIDB))
    assert len(document["tests"]) == 2
    kcidb_io.schema.LATEST.validate(document)
