"""The embedded SQL engine: DuckDB, without network, within a memory limit, the same answer on every run.

A DuckDB relation knows its connection but does not show it; :class:`Workbench` runs further SQL beside a relation.
"""

from __future__ import annotations

import atexit
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import narwhals as nw

from configs.errors import InputError

_numbers = itertools.count(1)


def connect(*, threads: int = 2, memory_gb: float = 2.0, folder: Path | None = None) -> duckdb.DuckDBPyConnection:
    """Open an empty in-memory database that spills to disk.

    ``threads`` and ``memory_gb`` bound what DuckDB takes; what does not fit is written below ``folder`` (default: the
    system's folder for temporary files), where nobody else can read it, and removed when the connection closes. Tables
    are kept compressed. Extensions are never fetched: what the wheel holds must do.
    """
    spill = _private_folder(folder, os.getpid()) / str(next(_numbers))
    connection = duckdb.connect(
        config={
            "threads": threads,
            "memory_limit": f"{memory_gb:g}GB",
            "temp_directory": str(spill),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")
    connection.execute("ATTACH ':memory:' AS foretier (COMPRESS)")
    connection.execute("USE foretier")
    return connection


@cache
def _private_folder(folder: Path | None, process: int) -> Path:
    """Make the folder of this process for spilled rows: DuckDB would give one of its own making to all readers."""
    private = Path(tempfile.mkdtemp(prefix="foretier-", dir=folder))

    def remove() -> None:
        if os.getpid() == process:
            shutil.rmtree(private, ignore_errors=True)

    atexit.register(remove)
    return private


@contextmanager
def enough_memory() -> Iterator[None]:
    """Say in our words when DuckDB finds neither memory nor disk for its work. Raises InputError."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise InputError(
            f"training.memory_gb or the disk for temporary files is too small for this log: {str(error).splitlines()[0]} "
            "Raise training.memory_gb, lower training.threads, or let TMPDIR name a folder with more room"
        ) from error


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def relation_of(frame: nw.LazyFrame[Any]) -> duckdb.DuckDBPyRelation:
    """The DuckDB relation behind a lazy frame.

    Raises TypeError when the frame lives on another engine: mapping expressions are DuckDB's SQL.
    """
    native = nw.to_native(frame)
    if not isinstance(native, duckdb.DuckDBPyRelation):
        raise TypeError(f"expected a frame on DuckDB, found {type(native).__name__}")
    return native


class Workbench:
    """Runs SQL on the connection of one relation; every table and view it makes has a name of its own."""

    def __init__(self, relation: duckdb.DuckDBPyRelation) -> None:
        self._relation = relation

    def fresh(self, name: str) -> str:
        """A name that no table or view has yet."""
        return f"{name}_{next(_numbers)}"

    def view(self, relation: duckdb.DuckDBPyRelation, name: str) -> str:
        """Give a relation a fresh name, and return it."""
        fresh = self.fresh(name)
        relation.create_view(fresh, replace=False)
        return fresh

    def table(self, sql: str, name: str) -> str:
        """Store the rows of a query in a fresh table, and return its name."""
        fresh = self.fresh(name)
        self.run(f"CREATE TABLE {fresh} AS {sql}")
        return fresh

    def drop(self, *tables: str) -> None:
        """Remove tables that are no longer needed."""
        for table in tables:
            self.run(f"DROP TABLE IF EXISTS {table}")

    def relation(self, sql: str) -> duckdb.DuckDBPyRelation:
        """A query, not yet run."""
        query = self._relation.query("this", sql)
        if query is None:
            raise TypeError(f"not a query: {sql[:80]}")
        return query

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a statement to its end and return all its rows."""
        done = self._relation.query("this", sql)
        return [] if done is None else done.fetchall()

    def count(self, rows: str) -> int:
        """How many rows a table, or a query in brackets, has."""
        [(count,)] = self.run(f"SELECT count(*) FROM {rows}")
        return int(count)

    def frame(self, sql: str) -> nw.LazyFrame[Any]:
        """A query as a lazy frame."""
        return nw.from_native(self.relation(sql))
