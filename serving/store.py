"""The score store: scoring runs in SQLite (one file) or PostgreSQL (by URL), published by one pointer change.

Readers only ever see complete runs. A run is written under its own id while the published one is read; one transaction
then marks it complete and moves the pointer. One scorer writes at a time, under a lock that dies with its process. A run
that was published stays until the next but one is, at least, so that a reader who has begun with it can end with it.

Customer ids are exact text: compared and ordered by code point on both databases.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Self

import sqlalchemy as sa

from configs.change_kinds import ChangeKind
from configs.errors import NotFoundError
from serving.predictions import SCORE_COLUMNS, CustomerScore, Terms
from serving.store_changes import (
    Changed,
    ChangePosition,
    ChangeRules,
    TierPair,
    Wanted,
    changed_customers,
    changed_number,
    tier_pairs,
)
from serving.store_engine import opened, store_address, store_errors
from serving.store_lookup import Lookups
from serving.store_runs import ScoringRun, complete_runs, find_run, run_to_read
from serving.store_tables import customer_scores, metadata
from serving.store_writer import MAX_ID_BYTES, RunWriter, storable, writing

__all__ = ["MAX_ID_BYTES", "ChangePosition", "Changed", "Position", "RunWriter", "ScoringRun", "Store", "Wanted", "storable"]

COUNTS_KEPT = 1_000


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a list: just after the customer with this value at risk and id."""

    value_at_risk: float
    customer_id: str


class Store:
    """Reads and writes scoring runs. One object may be used by many threads.

    ``answer_seconds``: how long a PostgreSQL may take over one read; None, for batch work, is as long as it takes.
    Every method raises StoreError, of one line, when the database cannot be used; the next call tries anew.
    """

    def __init__(self, url: str, *, answer_seconds: float | None = None) -> None:
        self._address = store_address(url)
        self._engine = opened(self._address, metadata, answer_seconds)
        self._lookups = Lookups(self._engine)
        self._matching = lru_cache(COUNTS_KEPT)(self._count)
        self._tier_pairs = lru_cache(COUNTS_KEPT)(self._count_pairs)
        self._changed = lru_cache(COUNTS_KEPT)(self._count_changed)

    def __enter__(self) -> Self:
        """Close the connections at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close all connections that are not in use; the store may be used again."""
        self._lookups.close()
        self._engine.dispose()

    # Readers

    def published(self) -> ScoringRun | None:
        """Give the run that readers are to see, or None before the first scoring."""
        with self._reading() as connection:
            return find_run(connection, None)

    def published_run_id(self) -> int | None:
        """Give the id of that run: so cheap that it may be asked for every second."""
        with store_errors(self._address):
            return self._lookups.published_run_id()

    def run(self, run_id: int) -> ScoringRun:
        """Give one complete run. Raises NotFoundError when it was never written or is no longer kept."""
        with self._reading() as connection:
            return run_to_read(connection, run_id)

    def runs(self) -> tuple[ScoringRun, ...]:
        """All complete runs, newest first."""
        with self._reading() as connection:
            return complete_runs(connection)

    def customer(self, customer_id: str, run_id: int | None = None) -> tuple[ScoringRun, CustomerScore]:
        """Give one customer's score in the published run (or in ``run_id``); ids are compared exactly.

        Raises NotFoundError: no run is published, the run is gone, or it has no such customer.
        """
        with self._reading() as connection:
            run = run_to_read(connection, run_id)
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
        with store_errors(self._address):
            return self._lookups.score(run_id, customer_id)

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
            run = run_to_read(connection, run_id)
            query = (
                sa.select(*_score_columns())
                .where(*_filters(run.run_id, tiers, min_risk), *_beyond(after))
                .order_by(customer_scores.c.value_at_risk.desc(), customer_scores.c.customer_id)
                .limit(limit)
            )
            return run, tuple(CustomerScore(*row) for row in connection.execute(query))

    def matching(self, run_id: int, *, tiers: Sequence[str] = (), min_risk: float = 0.0) -> int:
        """Count the customers that all pages with these filters hold together.

        A run does not change any more, and each page of a list asks for the same count: it is counted once.
        """
        return self._matching(run_id, tuple(tiers), min_risk)

    def _count(self, run_id: int, tiers: tuple[str, ...], min_risk: float) -> int:
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

    def tier_pairs(self, rules: ChangeRules) -> tuple[tuple[TierPair, ...], dict[ChangeKind, int]]:
        """Count the customers of two runs by their tiers in both, and by kind of change; counted once, as runs do not change."""
        return self._tier_pairs(rules)

    def _count_pairs(self, rules: ChangeRules) -> tuple[tuple[TierPair, ...], dict[ChangeKind, int]]:
        with self._reading_both(rules) as connection:
            return tier_pairs(connection, rules)

    def changed(self, rules: ChangeRules, wanted: Wanted) -> int:
        """Count the customers who changed between two runs in what is wanted; counted once."""
        return self._changed(rules, wanted)

    def _count_changed(self, rules: ChangeRules, wanted: Wanted) -> int:
        with self._reading_both(rules) as connection:
            return changed_number(connection, rules, wanted)

    def changed_customers(
        self, rules: ChangeRules, wanted: Wanted, *, limit: int | None = None, after: ChangePosition | None = None
    ) -> Iterator[Changed]:
        """Read who changed between two runs, the largest change of value first: up to ``limit`` of them after ``after``.

        Raises NotFoundError: a run is no longer kept.
        """
        with self._reading_both(rules) as connection:
            yield from changed_customers(connection, rules, wanted, limit, after)

    @contextmanager
    def _reading_both(self, rules: ChangeRules) -> Iterator[sa.Connection]:
        """One view in which both runs are whole."""
        with self._reading() as connection:
            for run_id in (rules.before, rules.after):
                run_to_read(connection, run_id)
            yield connection

    def columns(self, run_id: int, names: Sequence[str]) -> list[tuple[Any, ...]]:
        """Give these columns of all customers of a complete run, in any order; nothing where it is no longer kept."""
        query = sa.select(*(customer_scores.c[name] for name in names)).where(customer_scores.c.run_id == run_id)
        with self._reading() as connection:
            return [tuple(row) for row in connection.execute(query)]

    # The writer

    def writing(
        self, terms: Terms, *, tier_names: Sequence[str], created_at: datetime, tier_horizon_days: int | None = None
    ) -> AbstractContextManager[RunWriter]:
        """Start a new run; readers see nothing of it until :meth:`RunWriter.publish`.

        A block that ends without publishing leaves nothing behind. ``created_at`` needs a time zone. Tiers are of
        ``tier_horizon_days``, or of the horizon of ``terms``.
        Raises StoreError when another scorer is writing to this store.
        """
        return writing(
            self._engine,
            self._address,
            terms,
            tier_names=tier_names,
            created_at=created_at,
            tier_horizon_days=tier_horizon_days,
        )

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        """One connection with one unchanging view of the store."""
        with store_errors(self._address), self._engine.connect() as connection:
            if self._engine.dialect.name == "postgresql":
                connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection


def _score_columns() -> list[sa.Column[Any]]:
    return [customer_scores.c[name] for name in SCORE_COLUMNS]


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
