"""The score store: scoring runs in SQLite (one file) or PostgreSQL (by URL), published by one pointer change.

Readers only ever see complete runs. A run is written under its own id while the published one is read; one transaction
then marks it complete and moves the pointer. One scorer writes at a time, under a lock that dies with its process. A run
that was published stays until the next but one is, at least, so that a reader who has begun with it can end with it.

Customer ids are exact text: compared and ordered by code point on both databases.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import date, datetime
from functools import lru_cache
from typing import Any, Self

import sqlalchemy as sa

from configs.change_kinds import ChangeKind
from configs.errors import NotFoundError
from serving.holdout import NOBODY_HELD_OUT, Draw
from serving.predictions import SCORE_COLUMNS, CustomerScore, Terms
from serving.store_campaigns import (
    Campaign,
    Member,
    Suppressed,
    all_campaigns,
    campaign_members_of,
    contacts_of,
    find_campaign,
    save_campaign,
    suppress,
    suppressed,
    unsuppress,
)
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
from serving.store_choice import (
    EVERYBODY,
    Choice,
    LeftOut,
    ListsVersion,
    Position,
    Sums,
    drawn_sums,
    in_order,
    left_out,
    lists_version,
    sums,
)
from serving.store_engine import WRITES, opened, store_address, store_errors
from serving.store_lookup import Lookups
from serving.store_runs import ScoringRun, complete_runs, find_run, run_to_read
from serving.store_tables import customer_scores, metadata
from serving.store_views import renew_views
from serving.store_writer import MAX_ID_BYTES, RunWriter, storable, writing

__all__ = [
    "MAX_ID_BYTES", "Campaign", "ChangePosition", "Changed", "Choice", "LeftOut", "Member", "Position", "RunWriter", "ScoringRun",
    "Store", "Sums", "Suppressed", "Wanted", "storable",
]  # fmt: skip

COUNTS_KEPT = 1_000


class Store:
    """Reads and writes scoring runs. One object may be used by many threads.

    ``answer_seconds``: how long a PostgreSQL may take over one read; None, for batch work, is as long as it takes.
    Every method raises StoreError, of one line, when the database cannot be used; the next call tries anew.
    """

    def __init__(self, url: str, *, answer_seconds: float | None = None) -> None:
        self._address = store_address(url)
        self._engine = opened(self._address, metadata, answer_seconds)
        with store_errors(self._address):
            renew_views(self._engine)
        self._lookups = Lookups(self._engine)
        self._sums = lru_cache(COUNTS_KEPT)(self._count)
        self._left_out = lru_cache(COUNTS_KEPT)(self._count_left_out)
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
        self, *, run_id: int | None = None, choice: Choice = EVERYBODY, limit: int = 100, after: Position | None = None
    ) -> tuple[ScoringRun, tuple[CustomerScore, ...]]:
        """Give chosen customers by falling value at risk, then rising id: up to ``limit`` of them after ``after``.

        Raises NotFoundError: no run is published, or the run is gone.
        """
        with self._reading() as connection:
            run = run_to_read(connection, run_id)
            rows = connection.execute(in_order(run.run_id, choice, _score_columns(), connection, limit=limit, after=after))
            return run, tuple(CustomerScore(*row) for row in rows)

    def sums(self, run_id: int, choice: Choice, *, most: int | None = None, draw: Draw = NOBODY_HELD_OUT) -> Sums:
        """Count and add up the chosen customers that are not held out, the first ``most`` of them.

        A run does not change any more, and each page of a list asks for the same: it is counted once, until the suppressed
        or the campaigns change.
        """
        with self._reading() as connection:
            version = lists_version(connection)
        return self._sums(run_id, choice, most, draw, version)

    def _count(self, run_id: int, choice: Choice, most: int | None, draw: Draw, _version: ListsVersion) -> Sums:
        with self._reading() as connection:
            if draw.share > 0.0:
                return drawn_sums(connection, run_id, choice, most, draw)
            return sums(connection, run_id, choice, most)

    def left_out(self, run_id: int, choice: Choice) -> LeftOut:
        """Count who is not listed though the tiers and risks fit, and why; counted once, as :meth:`sums` is."""
        with self._reading() as connection:
            version = lists_version(connection)
        return self._left_out(run_id, choice, version)

    def _count_left_out(self, run_id: int, choice: Choice, _version: ListsVersion) -> LeftOut:
        with self._reading() as connection:
            return left_out(connection, run_id, choice)

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

    # Whom marketers contact

    def suppress(self, customer_ids: Iterable[str], *, reason: str, until: date | None, at: datetime) -> int:
        """Leave customers out of every list, until the day ``until`` (the first one on which they may be contacted) or for good.

        Who is suppressed already gets the new reason and day. Gives the number of customers. Raises StoreError for an id
        that no database keeps exactly; nobody is suppressed then.
        """
        with self._writing() as connection:
            return suppress(connection, customer_ids, reason, until, at)

    def unsuppress(self, customer_ids: Iterable[str]) -> int:
        """Let customers be listed again. Gives the number of those who had been suppressed."""
        with self._writing() as connection:
            return unsuppress(connection, customer_ids)

    def suppressed(self) -> tuple[Suppressed, ...]:
        """All suppressed customers, the earliest first, those whose day is past too."""
        with self._reading() as connection:
            return suppressed(connection)

    def save_campaign(self, campaign: Campaign, members: Iterable[Member]) -> Campaign:
        """Keep a campaign with its customers, both those to contact and those held out, as a whole or not at all.

        Gives it with their numbers. Raises SettingsError: there is a campaign of this name.
        """
        with self._writing() as connection:
            return save_campaign(connection, campaign, members)

    def campaigns(self) -> tuple[Campaign, ...]:
        """All campaigns, newest first."""
        with self._reading() as connection:
            return all_campaigns(connection)

    def campaign(self, name: str) -> Campaign:
        """Give one campaign. Raises NotFoundError: there is none of this name (the nearest is named)."""
        with self._reading() as connection:
            return find_campaign(connection, name)

    def members(self, name: str) -> tuple[Campaign, list[Member]]:
        """Give a campaign and its customers, in no order. Raises NotFoundError as :meth:`campaign` does."""
        with self._reading() as connection:
            campaign = find_campaign(connection, name)
            return campaign, campaign_members_of(connection, campaign)

    def contacts(self, campaign: Campaign, *, limit: int, after: Position | None = None) -> list[CustomerScore]:
        """Give the scores of the customers to contact in the order of :meth:`page`, without those suppressed since.

        They are of the campaign's run: none where it is no longer kept.
        """
        with self._reading() as connection:
            rows = connection.execute(contacts_of(campaign, _score_columns(), limit=limit, after=after))
            return [CustomerScore(*row) for row in rows]

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
    def _writing(self) -> Iterator[sa.Connection]:
        """One connection with one transaction that writes."""
        writer = self._engine.connect().execution_options(**{WRITES: True})
        with store_errors(self._address), writer as connection, connection.begin():
            yield connection

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
