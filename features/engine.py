"""The embedded SQL engine: DuckDB, without network, within a memory limit, the same answer on every run.

A DuckDB relation knows its connection but does not show it; :class:`Workbench` runs further SQL beside a relation.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from pathlib import Path
from typing import Any

import duckdb
import narwhals as nw

_numbers = itertools.count(1)


def connect(*, threads: int = 2, memory_gb: float = 2.0, folder: Path | None = None) -> duckdb.DuckDBPyConnection:
    """Open an empty in-memory database that spills to disk.

    ``threads`` and ``memory_gb`` bound what DuckDB takes; what does not fit is written to ``folder`` (default: the
    system's folder for temporary files) and removed when the connection closes. Tables are kept compressed. Extensions
    are never fetched: what the wheel holds must do.
    """
    spill = Path(tempfile.gettempdir() if folder is None else folder) / f"foretier-{os.getpid()}-{next(_numbers)}"
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
