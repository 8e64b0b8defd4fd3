"""How the score store talks to its database: addresses, connections, locks, and errors without secrets or customers."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from configs.addresses import without_password
from configs.errors import StoreError
from serving.store_postgres import postgres_engine, prepare_scorers_session

BUSY_SECONDS = 30
WRITERS_CACHE_KB = 131_072  # the index of a run's values, which are written in any order, stays in memory
WRITES = "foretier_writes"
# Any two fixed numbers: PostgreSQL keeps advisory locks by number, one space for all programs of a database.
SCHEMA_LOCK = 0x666F7265
SCORER_LOCK = 0x666F7266


def store_address(url: str) -> URL:
    """Check and complete the address of a store.

    Raises StoreError for an address that is none, an in-memory SQLite, or a database other than SQLite and PostgreSQL.
    """
    try:
        address = make_url(url)
    except ArgumentError:
        raise StoreError(
            "FORETIER_STORE_URL is no database address; expected sqlite:///FILE or postgresql://USER@HOST/DATABASE"
        ) from None
    if address.drivername in ("postgresql", "postgres"):
        address = address.set(drivername="postgresql+psycopg")
    if address.get_backend_name() not in ("sqlite", "postgresql"):
        raise StoreError(f"the score store works on SQLite and PostgreSQL, found {address.get_backend_name()}")
    if address.get_backend_name() == "sqlite" and address.database in (None, "", ":memory:"):
        raise StoreError("the score store needs a file that other processes can read; expected sqlite:///FILE")
    return address


def open_engine(address: URL, answer_seconds: float | None = None) -> sa.Engine:
    """Make the engine of a store; connects to nothing yet.

    A PostgreSQL that takes longer than ``answer_seconds`` over one statement is an error; SQLite has nobody to wait for.
    """
    return _sqlite_engine(address) if address.get_backend_name() == "sqlite" else postgres_engine(address, answer_seconds)


def _sqlite_engine(address: URL) -> sa.Engine:
    try:
        Path(str(address.database)).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"the score store {address.database} cannot be made: {error.strerror}") from None
    engine = sa.create_engine(address, connect_args={"timeout": BUSY_SECONDS}, hide_parameters=True)

    @sa.event.listens_for(engine, "connect")
    def _own_transactions(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # sqlite3 would begin late; we begin ourselves
        connection.execute("PRAGMA foreign_keys = ON")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        writes = connection.get_execution_options().get(WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def opened(address: URL, metadata: sa.MetaData, answer_seconds: float | None) -> sa.Engine:
    """Make an engine and the tables that are missing. Raises StoreError, and leaves no connection open: it cannot be used."""
    engine = open_engine(address, answer_seconds)
    try:
        with store_errors(address):
            create_schema(engine, metadata)
    except StoreError:
        engine.dispose()
        raise
    return engine


def create_schema(engine: sa.Engine, metadata: sa.MetaData) -> None:
    """Make the tables that are missing, and in those of an older version the columns that are; nothing is ever removed.

    Any number of processes may do this at once. Raises StoreError: the tables of an older version may not be changed.
    """
    with engine.connect() as connection:
        if not _missing(connection, metadata):
            return
    if engine.dialect.name == "sqlite":
        with (
            closing(_locked_file(engine.url, "schema", wait_seconds=BUSY_SECONDS)),
            closing(sqlite3.connect(str(engine.url.database), timeout=BUSY_SECONDS)) as file,
        ):
            file.execute("PRAGMA journal_mode = WAL")  # kept in the file: readers never wait for the scorer
    with engine.connect().execution_options(**{WRITES: True}) as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(SCHEMA_LOCK, _schema_number())))
        older = [table.name for table in metadata.sorted_tables if sa.inspect(connection).has_table(table.name)]
        try:
            metadata.create_all(connection)
        except DBAPIError:
            if older:
                raise _older_version(connection, "tables") from None
            raise
        _add_columns(connection, metadata, older)


def _missing(connection: sa.Connection, metadata: sa.MetaData) -> bool:
    """Tell whether a table or a column is not there."""
    inspector = sa.inspect(connection)
    return any(not inspector.has_table(table.name) or _new_columns(inspector, table) for table in metadata.sorted_tables)


def _new_columns(inspector: sa.Inspector, table: sa.Table) -> list[sa.Column[Any]]:
    there = {column["name"] for column in inspector.get_columns(table.name)}
    return [column for column in table.columns if column.name not in there]


def _add_columns(connection: sa.Connection, metadata: sa.MetaData, tables: list[str]) -> None:
    inspector = sa.inspect(connection)
    for name in tables:
        for column in _new_columns(inspector, metadata.tables[name]):
            kind = column.type.compile(connection.dialect)
            try:
                connection.exec_driver_sql(f"ALTER TABLE {name} ADD COLUMN {column.name} {kind}")
            except DBAPIError:
                raise _older_version(connection, f"{name}.{column.name}") from None


def _older_version(connection: sa.Connection, missing: str) -> StoreError:
    return StoreError(
        f"the score store {without_password(connection.engine.url)} was made by an older version, and this user cannot add "
        f"{missing} to it: run foretier score once as the owner of its tables"
    )


@contextmanager
def scorer_connection(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Give the one connection that may write scoring runs; the lock ends with the block or with the process.

    Raises StoreError when another scorer is writing.
    """
    with engine.connect().execution_options(**{WRITES: True}) as connection:
        connection.detach()  # what is set for it, and PostgreSQL's lock, belong to the session: it must not go back to the pool
        if engine.dialect.name == "sqlite":
            with closing(_locked_file(engine.url, "scoring", wait_seconds=0)):
                raw: Any = connection.connection.dbapi_connection
                raw.execute(f"PRAGMA cache_size = -{WRITERS_CACHE_KB}")
                yield connection
            return
        with connection.begin():
            lock = sa.func.pg_try_advisory_lock(SCORER_LOCK, _schema_number())
            if not connection.execute(sa.select(lock)).scalar_one():
                raise _busy()
            prepare_scorers_session(connection)
        try:
            yield connection
        finally:
            _unlock(connection)


def _unlock(connection: sa.Connection) -> None:
    """Give the scorer's lock back now: the server notices a closed connection only some time later."""
    if connection.invalidated:  # it broke, and its lock went with it
        return
    with suppress(SQLAlchemyError):
        connection.rollback()
        with connection.begin():
            connection.execute(sa.select(sa.func.pg_advisory_unlock(SCORER_LOCK, _schema_number())))


def _locked_file(address: URL, name: str, *, wait_seconds: float) -> sqlite3.Connection:
    """Lock an empty SQLite file beside the store: the system holds the lock while the process lives."""
    connection = sqlite3.connect(f"{address.database}.{name}-lock", timeout=wait_seconds, isolation_level=None)
    try:
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        connection.close()
        if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
            raise _busy() from None
        raise StoreError(f"the score store {address.database} cannot be locked: {error}") from None
    return connection


def _busy() -> StoreError:
    return StoreError("another scoring run is being written to this store; wait for it to end, then score again")


def _schema_number() -> sa.Function[int]:
    return sa.func.hashtext(sa.func.current_schema())


@contextmanager
def store_errors(address: URL) -> Iterator[None]:
    """Turn what the database says into a StoreError of one line, without password and without any customer's row."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, psycopg.Error) as error:
        raise StoreError(f"the score store {without_password(address)} {_what_happened(error, address)}") from None


def _what_happened(error: Exception, address: URL) -> str:
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    if not isinstance(cause, sqlite3.Error | psycopg.Error):
        return f"cannot be used: {type(cause).__name__}"
    if isinstance(cause, psycopg.DataError):  # even its primary message may quote the value
        return f"refused a value: {type(cause).__name__}"
    # Details and contexts of PostgreSQL quote rows; otherwise its primary message does not.
    diagnosis = cause.diag.message_primary if isinstance(cause, psycopg.Error) else None
    lines = (diagnosis or str(cause)).strip().splitlines()
    message = lines[0] if lines else type(cause).__name__
    secret = str(address.password or "")
    return f"cannot be used: {message.replace(secret, '***') if secret else message}"
