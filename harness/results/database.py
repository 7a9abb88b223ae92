"""Open the database of results, and bring its tables up to date."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from harness.errors import EvidenceError, HostError, UsageError

_MIGRATIONS = Path(__file__).parent / "migrations"
_BUSY_SECONDS = 60.0  # that one process waits for another one that writes
_SQLITE = "sqlite"
_PASSWORD = re.compile(r"(://[^:/@]*):[^@]*@")


class Database:
    """All results at ``url``. Use ``session`` for each thing that is done as a whole."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._sessions = sessionmaker(engine, expire_on_commit=False)

    @classmethod
    def open(cls, where: str) -> Database:
        """``where`` is the path of a SQLite file, which is made if it is missing, or a URL.

        Raises UsageError for a URL that makes no sense, HostError if it cannot be reached, and
        EvidenceError if it is no such database, or one of a later harness.
        """
        engine = _engine(where)
        shown = engine.url.render_as_string(hide_password=True)
        try:
            migrate_to(engine.url, "head")
        except CommandError as error:
            raise EvidenceError(
                f"{shown}: the tables are of a version that this harness does not know: {error}",
                hint="use the harness that wrote it, or a later one",
            ) from error
        except SQLAlchemyError as error:
            raise _unusable(shown, error) from error
        return cls(engine)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """What is done in a ``with`` block is done as a whole, or not at all.

        Raises HostError if the database cannot do it.
        """
        try:
            with self._sessions.begin() as session:
                yield session
        except SQLAlchemyError as error:
            where = self.engine.url.render_as_string(hide_password=True)
            raise _unusable(where, error) from error

    def close(self) -> None:
        self.engine.dispose()


def newest() -> str:
    """The name of the newest version of the tables."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None
    return head


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config


def migrate_to(url: URL, version: str) -> None:
    """Bring the tables to ``version``, such as ``head``: all of it, or nothing.

    Without foreign keys: SQLite alters a table by making it anew, and would delete what refers to
    its rows.
    """
    config, engine = _config(), _connected(url, foreign_keys=False)
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, version)
    finally:
        engine.dispose()


def _engine(where: str) -> Engine:
    try:
        if "://" in where:
            return _connected(make_url(where))
        path = Path(where)
        path.parent.mkdir(parents=True, exist_ok=True)
        return _connected(make_url("sqlite://").set(database=str(path.absolute())))
    except OSError as error:
        raise HostError(f"{where}: {error.strerror}") from error
    except (ArgumentError, NoSuchModuleError, ImportError, ValueError) as error:
        shown = _PASSWORD.sub(r"\1:***@", where)
        raise UsageError(
            f"{shown}: no database: {type(error).__name__}",
            hint="name a file, or postgresql+psycopg://USER@HOST/NAME (pip install "
            "zfcpdump-harness[postgresql])",
        ) from error


def _connected(url: URL, *, foreign_keys: bool = True) -> Engine:
    engine = create_engine(url, connect_args=_arguments(url.get_backend_name()))
    if engine.dialect.name == _SQLITE:
        event.listen(engine, "connect", partial(_prepare_sqlite, foreign_keys))
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _arguments(backend: str) -> dict[str, Any]:
    return {"timeout": _BUSY_SECONDS} if backend == _SQLITE else {}


def _prepare_sqlite(foreign_keys: bool, connection: Any, _: object) -> None:
    """WAL: readers do not wait for a writer, and kill -9 loses nothing that was committed."""
    connection.isolation_level = None  # sqlite3 would end a transaction at each change of a table
    keys = "ON" if foreign_keys else "OFF"
    for pragma in ("journal_mode=WAL", f"foreign_keys={keys}", "synchronous=NORMAL"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    """Wait at the beginning for others that write: later SQLite would not wait but fail."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _unusable(where: str, error: SQLAlchemyError) -> HostError | EvidenceError:
    reason = str(getattr(error, "orig", None) or error).splitlines()[0]
    if "not a database" in reason:
        return EvidenceError(f"{where}: {reason}", hint="name another file with --results")
    return HostError(f"{where}: {reason}")
