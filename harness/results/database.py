"""Open the database of results, and bring its tables up to date."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from harness.errors import EvidenceError, HostError, UsageError

_MIGRATIONS = Path(__file__).parent / "migrations"
_BUSY_SECONDS = 60.0  # that one process waits for another one that writes
_SQLITE = "sqlite"


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
        try:
            _migrate(engine)
        except CommandError as error:
            raise EvidenceError(
                f"{where}: the tables are of a version that this harness does not know: {error}",
                hint="use the harness that wrote it, or a later one",
            ) from error
        except SQLAlchemyError as error:
            raise _unusable(where, error) from error
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


def migrate_to(engine: Engine, version: str) -> None:
    """Bring the tables to ``version``, such as ``head``."""
    config = _config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, version)


def _migrate(engine: Engine) -> None:
    migrate_to(engine, "head")


def _engine(where: str) -> Engine:
    try:
        url = make_url(where) if "://" in where else None
        if url is None:
            path = Path(where)
            path.parent.mkdir(parents=True, exist_ok=True)
            url = make_url("sqlite://").set(database=str(path.absolute()))
        engine = create_engine(url, connect_args=_arguments(url.get_backend_name()))
    except OSError as error:
        raise HostError(f"{where}: {error.strerror}") from error
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise UsageError(
            f"{where}: no database: {error}",
            hint="name a file, or postgresql+psycopg://USER@HOST/NAME (pip install "
            "zfcpdump-harness[postgresql])",
        ) from error
    if engine.dialect.name == _SQLITE:
        event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _arguments(backend: str) -> dict[str, Any]:
    return {"timeout": _BUSY_SECONDS} if backend == _SQLITE else {}


def _prepare_sqlite(connection: Any, _: object) -> None:
    """WAL: readers do not wait for a writer, and kill -9 loses nothing that was committed."""
    for pragma in ("journal_mode=WAL", "foreign_keys=ON", "synchronous=NORMAL"):
        connection.execute(f"PRAGMA {pragma}")


def _unusable(where: str, error: SQLAlchemyError) -> HostError | EvidenceError:
    reason = str(getattr(error, "orig", None) or error).splitlines()[0]
    if "not a database" in reason:
        return EvidenceError(f"{where}: {reason}", hint="name another file with --results")
    return HostError(f"{where}: {reason}")
