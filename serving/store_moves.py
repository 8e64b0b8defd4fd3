"""Two scoring runs side by side, joined in the database: nothing is held in memory but the rows that are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from serving.predictions import SCORE_COLUMNS, CustomerScore
from serving.store_tables import customer_scores

_BEFORE, _AFTER = customer_scores.alias("before"), customer_scores.alias("after")
_SAME_CUSTOMER = _BEFORE.c.customer_id == _AFTER.c.customer_id


@dataclass(frozen=True, slots=True)
class TierPair:
    """How many customers were in one tier and are in another, and their predicted values in sum.

    ``tier_before`` is None for customers that the earlier run did not know, ``tier`` for those that the later run does not.
    """

    tier_before: str | None
    tier: str | None
    customers: int
    value_before: float
    value: float


def tier_pairs(connection: sa.Connection, before: int, after: int) -> tuple[TierPair, ...]:
    """Count the customers of both runs by their tiers; pairs without a customer are left out."""
    known_before = sa.and_(_SAME_CUSTOMER, _BEFORE.c.run_id == before)
    known_after = sa.and_(_SAME_CUSTOMER, _AFTER.c.run_id == after)
    here = (
        sa.select(_BEFORE.c.tier, _AFTER.c.tier, *_sums())
        .select_from(_AFTER.outerjoin(_BEFORE, known_before))
        .where(_AFTER.c.run_id == after)
        .group_by(_BEFORE.c.tier, _AFTER.c.tier)
    )
    gone = (
        sa.select(_BEFORE.c.tier, sa.null(), *_sums())
        .select_from(_BEFORE.outerjoin(_AFTER, known_after))
        .where(_BEFORE.c.run_id == before, _AFTER.c.customer_id.is_(None))
        .group_by(_BEFORE.c.tier)
    )
    return tuple(TierPair(*row) for query in (here, gone) for row in connection.execute(query))


def _sums() -> list[sa.ColumnElement[Any]]:
    values = [sa.func.coalesce(sa.func.sum(run.c.predicted_value), 0.0) for run in (_BEFORE, _AFTER)]
    return [sa.func.count(), *values]


def moved_customers(
    connection: sa.Connection, before: int, after: int, top: int | None
) -> Iterator[tuple[CustomerScore, CustomerScore]]:
    """Read the customers of both runs whose tier differs, as (before, after), the largest change of value first."""
    columns = [run.c[name] for run in (_BEFORE, _AFTER) for name in SCORE_COLUMNS]
    change = sa.func.abs(_AFTER.c.predicted_value - _BEFORE.c.predicted_value)
    query = (
        sa.select(*columns)
        .join_from(_AFTER, _BEFORE, _SAME_CUSTOMER)
        .where(_AFTER.c.run_id == after, _BEFORE.c.run_id == before, _AFTER.c.tier != _BEFORE.c.tier)
        .order_by(change.desc(), _AFTER.c.customer_id)
        .limit(top)
    )
    width = len(SCORE_COLUMNS)
    with connection.execution_options(stream_results=True, yield_per=1_000).execute(query) as rows:
        for row in rows:
            yield CustomerScore(*row[:width]), CustomerScore(*row[width:])
