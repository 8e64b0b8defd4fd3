"""Writing one scoring run: bulk load, publishing by one pointer change, removal of runs that are no longer kept.

Nobody waits for the last: readers go on with what they see, and in PostgreSQL and SQLite alike the rows of a run that is
not complete are nobody's. Whatever is not complete when the scorer's lock is taken was left by a dead scorer.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import islice
from operator import attrgetter
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from configs.days import day_number
from configs.errors import StoreError
from serving.predictions import SCORE_COLUMNS, CustomerScore, Terms
from serving.store_engine import scorer_connection, store_errors
from serving.store_runs import COMPLETE, PUBLISHED_RUN, REMOVED, WRITING, ScoringRun, run_to_read
from serving.store_tables import customer_scores, published, scoring_runs
from serving.tier_summary import TierTally

CHUNK_ROWS = 20_000
REMOVED_ROWS = 100_000
"""So many are removed from SQLite in one transaction, since other writers of the file wait for its end."""
MAX_ID_BYTES = 2_000  # PostgreSQL's index takes no key above 2,704 bytes
_FARTHEST_DAY = 2**31 - 1

_COLUMNS = ("run_id", *SCORE_COLUMNS)
_values = attrgetter(*SCORE_COLUMNS)
_BINARY_TYPES: dict[type, str] = {
    sa.BigInteger: "int8", sa.Integer: "int4", sa.Double: "float8", sa.Text: "text", sa.Boolean: "bool",
}  # fmt: skip

# Statistics of the columns that queries choose by; the others are of no use to the planner. A table is never truncated,
# since readers would have to wait for that.
_SETTLE = (
    "VACUUM (ANALYZE, TRUNCATE false) customer_scores (run_id, customer_id, predicted_value, value_at_risk, tier, churn_risk)"
)


@contextmanager
def writing(
    engine: sa.Engine,
    address: URL,
    terms: Terms,
    *,
    tier_names: Sequence[str],
    created_at: datetime,
    tier_horizon_days: int | None,
) -> Iterator[RunWriter]:
    """Start a new run; see :meth:`serving.store.Store.writing`."""
    with store_errors(address), scorer_connection(engine) as connection:
        _remove_incomplete(connection)
        run_id = _start_run(connection, terms, created_at, tier_horizon_days)
        writer = RunWriter(connection, run_id, tier_names)
        try:
            yield writer
        finally:
            # Where the connection broke, the lock went with it: a new one might remove what another scorer writes by now.
            if writer.run is None and not connection.invalidated:
                with suppress(SQLAlchemyError, psycopg.Error, sqlite3.Error):  # what ended the block is the error to tell
                    _remove_incomplete(connection)


class RunWriter:
    """Writes one scoring run: rows by :meth:`add`, then :meth:`publish`."""

    def __init__(self, connection: sa.Connection, run_id: int, tier_names: Sequence[str]) -> None:
        self._connection = connection
        self._tally = TierTally(tier_names)
        self.run_id = run_id
        self.run: ScoringRun | None = None

    def add(self, scores: Iterable[CustomerScore]) -> None:
        """Write rows, in chunks of one transaction each.

        Raises StoreError for an id that a database cannot keep exactly, or a day that is none; no customer is named in it.
        """
        rows = iter(scores)
        while chunk := list(islice(rows, CHUNK_ROWS)):
            _refuse_unfit(chunk)
            self._tally.add(chunk)
            with self._connection.begin():
                _insert(self._connection, self.run_id, chunk)

    def publish(self, *, keep_runs: int) -> ScoringRun:
        """Mark the run complete and show it to readers, in one transaction; then remove old runs.

        The newest ``keep_runs`` runs stay, and in any case the one that was published before this: requests that began
        with it end with it.
        """
        _settle(self._connection)
        with self._connection.begin():
            before = self._connection.execute(PUBLISHED_RUN).scalar_one_or_none()
            complete = sa.update(scoring_runs).where(scoring_runs.c.run_id == self.run_id)
            self._connection.execute(
                complete.values(status=COMPLETE, customers=self._tally.customers, summary=self._tally.to_json())
            )
            self._connection.execute(sa.delete(published))
            self._connection.execute(sa.insert(published).values(slot=1, run_id=self.run_id))
            _mark_removed(self._connection, keep_runs, {self.run_id, before or self.run_id})
            run = run_to_read(self._connection, self.run_id)
        self.run = run
        if _remove_incomplete(self._connection):
            _settle(self._connection)
        return run


def storable(customer_id: str) -> bool:
    """Tell whether both databases keep this id exactly."""
    try:
        return "\0" not in customer_id and len(customer_id.encode()) <= MAX_ID_BYTES
    except UnicodeEncodeError:  # half a surrogate pair
        return False


def _refuse_unfit(chunk: Sequence[CustomerScore]) -> None:
    unfit = sum(not storable(score.customer_id) for score in chunk)
    if unfit:
        raise StoreError(
            f"{unfit} customer ids cannot be stored: an id may hold no NUL character and no more than "
            f"{MAX_ID_BYTES} bytes; reject such rows in the settings (cleaning.reject)"
        )
    # PostgreSQL's driver would cut off what does not fit into 32 bits, and say nothing.
    unfit = sum(not -_FARTHEST_DAY <= day <= _FARTHEST_DAY for score in chunk for day in _days(score))
    if unfit:
        raise StoreError(f"{unfit} days of the scores cannot be stored: they are no days of any calendar")


def _days(score: CustomerScore) -> tuple[int, int]:
    return score.last_order_day, score.tier_since_day or 0


def _insert(connection: sa.Connection, run_id: int, scores: Sequence[CustomerScore]) -> None:
    """Write rows the fastest way the database has, below SQLAlchemy, which would build a dictionary of each."""
    columns = ", ".join(_COLUMNS)
    raw: Any = connection.connection.dbapi_connection
    rows = ((run_id, *_values(score)) for score in scores)
    if connection.dialect.name == "sqlite":
        raw.executemany(f"INSERT INTO customer_scores ({columns}) VALUES ({', '.join('?' * len(_COLUMNS))})", rows)
        return
    with raw.cursor() as cursor, cursor.copy(f"COPY customer_scores ({columns}) FROM STDIN (FORMAT binary)") as copy:
        copy.set_types([_BINARY_TYPES[type(customer_scores.c[name].type)] for name in _COLUMNS])
        for row in rows:
            copy.write_row(row)


def _settle(connection: sa.Connection) -> None:
    """Let PostgreSQL know its new and its gone rows now: otherwise it plans and counts as if there were none for a time.

    It does nothing, with a warning in the server's log, for a user who does not own the table.
    """
    if connection.dialect.name != "postgresql":
        return
    raw: Any = connection.connection.dbapi_connection
    raw.autocommit = True  # VACUUM runs in no transaction
    try:
        raw.execute(_SETTLE)
    finally:
        raw.autocommit = False


def _start_run(connection: sa.Connection, terms: Terms, created_at: datetime, tier_horizon_days: int | None) -> int:
    start = sa.insert(scoring_runs).values(
        status=WRITING,
        created_at=created_at.astimezone(UTC).isoformat(timespec="seconds"),
        as_of_day=day_number(terms.as_of),
        horizon_days=terms.horizon_days,
        currency=terms.currency,
        model_version=terms.model_version,
        customers=0,
        summary="{}",
        tier_horizon_days=tier_horizon_days,
        grade=terms.grade,
    )
    with connection.begin():
        return int(connection.execute(start.returning(scoring_runs.c.run_id)).scalar_one())


def _mark_removed(connection: sa.Connection, keep_runs: int, kept: set[int]) -> None:
    """Take all runs from the readers but the newest ``keep_runs`` and those in ``kept``."""
    run_id = scoring_runs.c.run_id
    newest = sa.select(run_id).order_by(run_id.desc()).limit(keep_runs).scalar_subquery()
    connection.execute(sa.update(scoring_runs).where(run_id.not_in(newest), run_id.not_in(kept)).values(status=REMOVED))


def _remove_incomplete(connection: sa.Connection) -> int:
    """Remove the runs that readers do not see; gives their number."""
    with connection.begin():
        runs = connection.execute(sa.select(scoring_runs.c.run_id).where(scoring_runs.c.status != COMPLETE)).scalars().all()
    for run_id in runs:
        _remove_rows(connection, run_id)
        with connection.begin():
            connection.execute(sa.delete(scoring_runs).where(scoring_runs.c.run_id == run_id))
    return len(runs)


def _remove_rows(connection: sa.Connection, run_id: int) -> None:
    rows = sa.delete(customer_scores).where(customer_scores.c.run_id == run_id)
    if connection.dialect.name == "sqlite":
        some = customer_scores.alias()
        ids = sa.select(some.c.customer_id).where(some.c.run_id == run_id).limit(REMOVED_ROWS)
        rows = rows.where(customer_scores.c.customer_id.in_(ids))
    removed = REMOVED_ROWS
    while removed == REMOVED_ROWS:
        with connection.begin():
            removed = connection.execute(rows).rowcount
