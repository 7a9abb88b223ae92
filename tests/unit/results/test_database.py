"""The database: made, brought up to date, shared, damaged."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text

from harness.errors import EvidenceError, HostError, UsageError
from harness.results.database import Database, migrate_to, newest
from harness.results.nights import night
from harness.results.record import Recorder
from harness.results.tables import Base
from tests.support.runs.nights import report, run


def test_the_migrations_make_the_tables_that_the_code_has(tmp_path):
    database = Database.open(str(tmp_path / "results.sqlite"))
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"render_as_batch": True})
        assert compare_metadata(context, Base.metadata) == []
        assert context.get_current_revision() == newest()


@pytest.mark.parametrize("version", ["1", "2", "3"])
def test_results_of_every_earlier_version_are_kept(tmp_path, version):
    path = tmp_path / "results.sqlite"
    engine = create_engine(f"sqlite:///{path}")
    migrate_to(engine.url, version)
    pinned = version != "1"
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO batches (series, number, started, state, host, harness, evidence,"
                f" asked{', pinned' if pinned else ''}) VALUES ('night', 1, :at, 'ended', 'h',"
                f" '0.1', '/e', '[]'{', 0' if pinned else ''})"
            ),
            {"at": "2026-11-01 00:00:00.000000"},
        )
        connection.execute(
            text(
                "INSERT INTO runs (batch_id, name, file, attempt, result, headline, ended, seconds,"
                " replay) VALUES (1, 'a', 'a.toml', 1, 'PASS', '', :at, 1.5, 'again')"
            ),
            {"at": "2026-11-01 00:00:00.000000"},
        )
    engine.dispose()
    database = Database.open(str(path))
    recorder, _ = Recorder.begin(database, "night", tmp_path, [])
    assert recorder.number == 2
    assert {"issues", "bisections"} <= set(inspect(database.engine).get_table_names())
    with database.session() as session:
        assert night(session, "night", 1).outcomes["a"].passed


def test_one_of_a_later_harness_is_refused(tmp_path):
    path = tmp_path / "results.sqlite"
    Database.open(str(path)).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '999'")
    with pytest.raises(EvidenceError, match="does not know"):
        Database.open(str(path))


@pytest.mark.parametrize(
    ("content", "error"),
    [(b"x" * 5000, EvidenceError), (b"SQLite format 3\0" * 300, EvidenceError)],
)
def test_a_file_that_is_no_database_is_named(tmp_path, content, error):
    path = tmp_path / "results.sqlite"
    path.write_bytes(content)
    with pytest.raises((error, HostError), match=r"results\.sqlite"):
        Database.open(str(path))
    assert path.read_bytes() == content


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(HostError, match="file"):
        Database.open(str(tmp_path / "file" / "results.sqlite"))


@pytest.mark.parametrize(
    "url", ["nonsense://x/y", "postgresql+nosuch://x/y", "://", "sqlite://h:port/x"]
)
def test_a_url_that_makes_no_sense(url):
    with pytest.raises(UsageError, match="no database"):
        Database.open(url)


@pytest.mark.parametrize(
    "url", ["postgresql+psycopg://nobody:secret@127.0.0.1:1/none", "x://u:secret@h:y/"]
)
def test_a_password_is_never_shown(url):
    with pytest.raises((HostError, UsageError)) as caught:
        Database.open(url)
    assert "secret" not in str(caught.value)


KILLED = """
import os, sys
from pathlib import Path
from harness.results.database import Database
from harness.results.record import Recorder
from tests.support.runs.nights import report, run
database = Database.open(sys.argv[1])
recorder, _ = Recorder.begin(database, "night", Path(sys.argv[1]).parent, ["a", "b"])
recorder.record(report(run("a")))
with database.session() as session:
    recorder.record(report(run("a"), run("b", "FAIL")))
    os.kill(os.getpid(), 9)
"""


def test_a_kill_loses_nothing_that_was_recorded(tmp_path):
    path = tmp_path / "results.sqlite"
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert done.returncode == -9
    database = Database.open(str(path))
    found = Recorder.unfinished(database, "night")
    assert found is not None
    with database.engine.connect() as connection:
        names = connection.execute(text("SELECT name FROM runs ORDER BY name")).scalars().all()
    assert names == ["a", "b"]


def test_two_processes_can_record_at_once(tmp_path):
    path = tmp_path / "results.sqlite"
    first, second = Database.open(str(path)), Database.open(str(path))
    one, _ = Recorder.begin(first, "night", tmp_path, ["a"])
    two, _ = Recorder.begin(second, "other", tmp_path, ["a"])
    one.record(report(run("a")))
    two.record(report(run("a")))
    assert (one.number, two.number) == (1, 1)


def test_its_place_is_made(tmp_path: Path):
    Database.open(str(tmp_path / "new" / "results.sqlite"))
    assert (tmp_path / "new" / "results.sqlite").exists()
