"""The score store: scoring runs in SQLite (one file) or PostgreSQL (by URL), published by one pointer change.

Readers only ever see complete runs. A run is written under its own id while the published one is read; one transaction
then marks it complete and moves the pointer. One scorer writes at a time, under a lock that dies with its process, so
whatever is still marked ``writing`` when the lock is taken was left by a dead scorer and is removed.

Customer ids are exact text: compared and ordered by code point on both databases.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Self

import sqlalchemy as sa

from configs.days import date_of, day_number
from configs.errors import NotFoundError, StoreError
from serving.predictions import SCORE_COLUMNS, CustomerScore, Terms
from serving.store_engine import create_schema, open_engine, scorer_connection, store_address, store_errors
from serving.store_moves import TierPair, moved_customers, tier_pairs
from serving.store_tables import customer_scores, metadata, published, scoring_runs
from serving.tier_summary import MovementCell, TierCount, TierSummary, TierTally

WRITING = "writing"
COMPLETE = "complete"
CHUNK_ROWS = 20_000
MAX_ID_BYTES = 2_000  # PostgreSQL's index takes no key above 2,704 bytes


@dataclass(frozen=True, slots=True)
class ScoringRun:
    """One complete batch prediction of all customers: ``tiers`` best first, ``movement`` without empty cells.

    ``zero_padded_ids``: some ids are numbers with leading zeros, so that all ids are to be handled as text.
    ``tier_horizon_days``: the horizon that the tiers are of, whatever horizon the values look ahead. ``held``: customers
    who are kept in another tier than their value alone would give.
    """

    run_id: int
    terms: Terms
    customers: int
    created_at: datetime
    tiers: tuple[TierCount, ...]
    movement: tuple[MovementCell, ...]
    zero_padded_ids: bool
    tier_horizon_days: int
    held: int

    @property
    def tier_names(self) -> tuple[str, ...]:
        """All tiers of the model that scored this run, best first."""
        return tuple(count.tier for count in self.tiers)


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a list: just after the customer with this value at risk and id."""

    value_at_risk: float
    customer_id: str


class Store:
    """Reads and writes scoring runs. One object may be used by many threads.

    Every method raises StoreError, of one line, when the database cannot be used.
    """

    def __init__(self, url: str) -> None:
        self._address = store_address(url)
        self._engine = open_engine(self._address)
        try:
            with store_errors(self._address):
                create_schema(self._engine, metadata)
        except StoreError:
            self.close()
            raise

    def __enter__(self) -> Self:
        """Close the connections at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close all connections; the store may be used again."""
        self._engine.dispose()

    # Readers

    def published(self) -> ScoringRun | None:
        """Give the run that readers are to see, or None before the first scoring."""
        return self._one_run(scoring_runs.c.run_id == _pointer())

    def run(self, run_id: int) -> ScoringRun:
        """Give one complete run. Raises NotFoundError when it was never written or is no longer kept."""
        run = self._one_run(scoring_runs.c.run_id == run_id)
        if run is None:
            raise NotFoundError(f"there is no scoring run {run_id}: it was never written, or is no longer kept")
        return run

    def runs(self) -> tuple[ScoringRun, ...]:
        """All complete runs, newest first."""
        query = sa.select(scoring_runs).where(scoring_runs.c.status == COMPLETE).order_by(scoring_runs.c.run_id.desc())
        with self._reading() as connection:
            return tuple(_run(row) for row in connection.execute(query).mappings())

    def customer(self, customer_id: str, run_id: int | None = None) -> tuple[ScoringRun, CustomerScore]:
        """Give one customer's score in the published run (or in ``run_id``); ids are compared exactly.

        Raises NotFoundError: no run is published, the run is gone, or it has no such customer.
        """
        with self._reading() as connection:
            run = self._run_to_read(connection, run_id)
            row = None
            if storable(customer_id):
                query = sa.select(*_score_columns()).where(
                    customer_scores.c.run_id == run.run_id, customer_scores.c.customer_id == customer_id
                )
                row = connection.execute(query).one_or_none()
        if row is None:
            raise NotFoundError(
                f'there is no customer "{customer_id[:100]}" in the scoring run as of {run.terms.as_of}; '
                "ids are compared exactly, leading zeros and capitals included"
            )
        return run, CustomerScore(*row)

    def find(self, run_id: int, customer_id: str) -> CustomerScore | None:
        """Give one customer's score in a complete run: one query and nothing else, for lookups by the thousand.

        None: the run has no such customer, or is no longer kept; :meth:`customer` tells which.
        """
        if not storable(customer_id):
            return None
        with store_errors(self._address), self._engine.connect() as connection:
            row = connection.execute(_ONE_SCORE, {"run_id": run_id, "customer_id": customer_id}).one_or_none()
        return None if row is None else CustomerScore(*row)

    def page(
        self,
        *,
        run_id: int | None = None,
        tiers: Sequence[str] = (),
        min_risk: float = 0.0,
        limit: int = 100,
        after: Position | None = None,
    ) -> tuple[ScoringRun, tuple[CustomerScore, ...]]:
        """Give customers by falling value at risk, then rising id: up to ``limit`` of them after ``after``.

        ``tiers``: these only (all when empty); ``min_risk``: churn risk at least this.
        Raises NotFoundError: no run is published, or the run is gone.
        """
        with self._reading() as connection:
            run = self._run_to_read(connection, run_id)
            query = (
                sa.select(*_score_columns())
                .where(*_filters(run.run_id, tiers, min_risk), *_beyond(after))
                .order_by(customer_scores.c.value_at_risk.desc(), customer_scores.c.customer_id)
                .limit(limit)
            )
            return run, tuple(CustomerScore(*row) for row in connection.execute(query))

    def matching(self, run_id: int, *, tiers: Sequence[str] = (), min_risk: float = 0.0) -> int:
        """Count the customers that all pages with these filters hold together."""
        query = sa.select(sa.func.count()).select_from(customer_scores).where(*_filters(run_id, tiers, min_risk))
        with self._reading() as connection:
            return int(connection.execute(query).scalar_one())

    def tiers_of(self, run_id: int, first: str, last: str) -> list[tuple[str, str, int | None]]:
        """Give (customer id, tier, day since which) of a run's customers with ids from ``first`` to ``last``, both included.

        Ids are ordered by code point; a bound that no database keeps is none.
        """
        customer_id = customer_scores.c.customer_id
        bounds = [customer_id >= first] * storable(first) + [customer_id <= last] * storable(last)
        query = sa.select(customer_id, customer_scores.c.tier, customer_scores.c.tier_since_day)
        with self._reading() as connection:
            rows = connection.execute(query.where(customer_scores.c.run_id == run_id, *bounds))
            return [tuple(row) for row in rows]

    def tier_pairs(self, before: int, after: int) -> tuple[TierPair, ...]:
        """Count the customers of two runs by their tiers in both."""
        with self._reading() as connection:
            return tier_pairs(connection, before, after)

    def moved_customers(self, before: int, after: int, top: int | None = None) -> Iterator[tuple[CustomerScore, CustomerScore]]:
        """Read the customers whose tier differs between two runs, as (before, after), largest change of value first."""
        with self._reading() as connection:
            yield from moved_customers(connection, before, after, top)

    def columns(self, run_id: int, names: Sequence[str]) -> list[tuple[Any, ...]]:
        """Give these columns of all customers of a complete run, in any order; nothing where it is no longer kept."""
        query = sa.select(*(customer_scores.c[name] for name in names)).where(customer_scores.c.run_id == run_id)
        with self._reading() as connection:
            return [tuple(row) for row in connection.execute(query)]

    # The writer

    @contextmanager
    def writing(
        self, terms: Terms, *, tier_names: Sequence[str], created_at: datetime, tier_horizon_days: int | None = None
    ) -> Iterator[RunWriter]:
        """Start a new run; readers see nothing of it until :meth:`RunWriter.publish`.

        A block that ends without publishing leaves nothing behind. ``created_at`` needs a time zone. Tiers are of
        ``tier_horizon_days``, or of the horizon of ``terms``.
        Raises StoreError when another scorer is writing to this store.
        """
        with store_errors(self._address), scorer_connection(self._engine) as connection:
            _remove_unfinished(connection)
            run_id = _start_run(connection, terms, created_at, tier_horizon_days)
            writer = RunWriter(connection, run_id, tier_names)
            try:
                yield writer
            finally:
                if writer.run is None:
                    _remove_unfinished(connection)

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        """One connection with one unchanging view of the store."""
        with store_errors(self._address), self._engine.connect() as connection:
            if self._engine.dialect.name == "postgresql":
                connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    def _one_run(self, condition: sa.ColumnElement[bool]) -> ScoringRun | None:
        with self._reading() as connection:
            return _find_run(connection, condition)

    def _run_to_read(self, connection: sa.Connection, run_id: int | None) -> ScoringRun:
        wanted = _pointer() if run_id is None else run_id
        run = _find_run(connection, scoring_runs.c.run_id == wanted)
        if run is not None:
            return run
        if run_id is None:
            raise NotFoundError("no scoring run is published yet: run foretier score first")
        raise NotFoundError(f"there is no scoring run {run_id}: it was never written, or is no longer kept")


class RunWriter:
    """Writes one scoring run: rows by :meth:`add`, then :meth:`publish`."""

    def __init__(self, connection: sa.Connection, run_id: int, tier_names: Sequence[str]) -> None:
        self._connection = connection
        self._tally = TierTally(tier_names)
        self.run_id = run_id
        self.run: ScoringRun | None = None

    def add(self, scores: Iterable[CustomerScore]) -> None:
        """Write rows, in chunks of one transaction each.

        Raises StoreError for an id that a database cannot keep exactly; no customer is named in it.
        """
        rows = iter(scores)
        while chunk := list(islice(rows, CHUNK_ROWS)):
            unfit = sum(not storable(score.customer_id) for score in chunk)
            if unfit:
                raise StoreError(
                    f"{unfit} customer ids cannot be stored: an id may hold no NUL character and no more than "
                    f"{MAX_ID_BYTES} bytes; reject such rows in the settings (cleaning.reject)"
                )
            self._tally.add(chunk)
            with self._connection.begin():
                _insert(self._connection, [(self.run_id, *_values(score)) for score in chunk])

    def publish(self, *, keep_runs: int) -> ScoringRun:
        """Mark the run complete and show it to readers, in one transaction; then remove runs beyond ``keep_runs``."""
        with self._connection.begin():
            complete = sa.update(scoring_runs).where(scoring_runs.c.run_id == self.run_id)
            self._connection.execute(
                complete.values(status=COMPLETE, customers=self._tally.customers, summary=self._tally.to_json())
            )
            self._connection.execute(sa.delete(published))
            self._connection.execute(sa.insert(published).values(slot=1, run_id=self.run_id))
            query = sa.select(scoring_runs).where(scoring_runs.c.run_id == self.run_id)
            run = _run(self._connection.execute(query).mappings().one())
        self.run = run
        _remove_old(self._connection, keep_runs)
        return run


_ONE_SCORE = sa.select(*(customer_scores.c[name] for name in SCORE_COLUMNS)).where(
    customer_scores.c.run_id == sa.bindparam("run_id"), customer_scores.c.customer_id == sa.bindparam("customer_id")
)


def storable(customer_id: str) -> bool:
    """Tell whether both databases keep this id exactly."""
    try:
        return "\0" not in customer_id and len(customer_id.encode()) <= MAX_ID_BYTES
    except UnicodeEncodeError:  # half a surrogate pair
        return False


def _values(score: CustomerScore) -> tuple[Any, ...]:
    return tuple(getattr(score, name) for name in SCORE_COLUMNS)


def _score_columns() -> list[sa.Column[Any]]:
    return [customer_scores.c[name] for name in SCORE_COLUMNS]


def _pointer() -> sa.ScalarSelect[int]:
    return sa.select(published.c.run_id).where(published.c.slot == 1).scalar_subquery()


def _filters(run_id: int, tiers: Sequence[str], min_risk: float) -> list[sa.ColumnElement[bool]]:
    conditions = [customer_scores.c.run_id == run_id]
    if tiers:
        conditions.append(customer_scores.c.tier.in_(list(tiers)))
    if min_risk > 0.0:
        conditions.append(customer_scores.c.churn_risk >= min_risk)
    return conditions


def _beyond(after: Position | None) -> list[sa.ColumnElement[bool]]:
    """Select the rows after a position; the first condition is what the index can start from."""
    if after is None:
        return []
    value, customer_id = customer_scores.c.value_at_risk, customer_scores.c.customer_id
    return [value <= after.value_at_risk, (value < after.value_at_risk) | (customer_id > after.customer_id)]


def _find_run(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> ScoringRun | None:
    query = sa.select(scoring_runs).where(condition, scoring_runs.c.status == COMPLETE)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else _run(row)


def _run(row: sa.RowMapping) -> ScoringRun:
    summary = TierSummary.from_json(row["summary"])
    return ScoringRun(
        run_id=row["run_id"],
        terms=Terms(date_of(row["as_of_day"]), row["horizon_days"], row["currency"], row["model_version"], row["grade"]),
        customers=row["customers"],
        created_at=datetime.fromisoformat(row["created_at"]),
        tiers=summary.tiers,
        movement=summary.movement,
        zero_padded_ids=summary.zero_padded_ids,
        tier_horizon_days=row["tier_horizon_days"] or row["horizon_days"],
        held=summary.held,
    )


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


def _insert(connection: sa.Connection, rows: list[tuple[Any, ...]]) -> None:
    """Write rows the fastest way the database has, below SQLAlchemy, which would build a dictionary of each."""
    columns = ", ".join(("run_id", *SCORE_COLUMNS))
    raw: Any = connection.connection.dbapi_connection
    if connection.dialect.name == "sqlite":
        marks = ", ".join("?" * (1 + len(SCORE_COLUMNS)))
        raw.executemany(f"INSERT INTO customer_scores ({columns}) VALUES ({marks})", rows)
        return
    with raw.cursor() as cursor, cursor.copy(f"COPY customer_scores ({columns}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _remove_unfinished(connection: sa.Connection) -> None:
    unfinished = sa.select(scoring_runs.c.run_id).where(scoring_runs.c.status == WRITING)
    _remove(connection, unfinished)


def _remove_old(connection: sa.Connection, keep_runs: int) -> None:
    newest = sa.select(scoring_runs.c.run_id).order_by(scoring_runs.c.run_id.desc()).limit(keep_runs)
    old = sa.select(scoring_runs.c.run_id).where(scoring_runs.c.run_id.not_in(newest), scoring_runs.c.run_id != _pointer())
    _remove(connection, old)


def _remove(connection: sa.Connection, runs: sa.Select[tuple[int]]) -> None:
    with connection.begin():
        for (run_id,) in connection.execute(runs).all():
            connection.execute(sa.delete(customer_scores).where(customer_scores.c.run_id == run_id))
            connection.execute(sa.delete(scoring_runs).where(scoring_runs.c.run_id == run_id))
