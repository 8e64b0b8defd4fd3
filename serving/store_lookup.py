"""The reads that a service does by the thousand: one row, one statement, one round trip.

They go below SQLAlchemy, whose work on one row takes several times as long as the database's, on connections of their own;
psycopg has a statement that it runs often prepared by the server.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psycopg
import sqlalchemy as sa

from serving.predictions import FLAG_COLUMNS, SCORE_COLUMNS, CustomerScore
from serving.store_runs import PUBLISHED_RUN

_FLAGS = tuple(SCORE_COLUMNS.index(name) for name in FLAG_COLUMNS)


class Lookups:
    """Single rows, for any number of threads: each takes a connection that lies idle, or opens one.

    Raises what the drivers and SQLAlchemy raise. A connection that was cut while it lay idle is no error: the row is asked
    for on the next one.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._idle: deque[Any] = deque()
        sqlite = engine.dialect.name == "sqlite"
        run_id, customer_id = ("?", "?") if sqlite else ("$1", "$2")
        self._score = (
            f"SELECT {', '.join(SCORE_COLUMNS)} FROM customer_scores WHERE run_id = {run_id} AND customer_id = {customer_id}"
        )
        self._published = str(PUBLISHED_RUN.compile(dialect=engine.dialect, compile_kwargs={"literal_binds": True}))

    def close(self) -> None:
        """Close the connections that lie idle."""
        for connection in self._taken():
            connection.close()

    def score(self, run_id: int, customer_id: str) -> CustomerScore | None:
        """Give one customer's score in a run, complete or not."""
        row = self._row(self._score, (run_id, customer_id))
        if row is None:
            return None
        values = list(row)
        for place in _FLAGS:
            if values[place] is not None:
                values[place] = bool(values[place])  # SQLite keeps a number
        return CustomerScore(*values)

    def published_run_id(self) -> int | None:
        """Give the id of the published run."""
        row = self._row(self._published, ())
        return None if row is None else int(row[0])

    def _row(self, statement: str, parameters: tuple[Any, ...]) -> tuple[Any, ...] | None:
        for connection in self._taken():
            try:
                return self._asked(connection, statement, parameters)
            except psycopg.OperationalError:
                if not connection.broken:
                    raise
        return self._asked(self._opened(), statement, parameters)

    def _asked(self, connection: Any, statement: str, parameters: tuple[Any, ...]) -> tuple[Any, ...] | None:
        try:
            row: tuple[Any, ...] | None = connection.execute(statement, parameters).fetchone()
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)
        return row

    def _taken(self) -> Iterator[Any]:
        """Take connections out of the idle ones, the one used last first."""
        with suppress(IndexError):
            while True:
                yield self._idle.pop()

    def _opened(self) -> Any:
        pooled = self._engine.raw_connection()
        connection: Any = pooled.driver_connection
        pooled.detach()
        if isinstance(connection, psycopg.Connection):
            connection.autocommit = True
            connection.cursor_factory = psycopg.RawCursor
        return connection
