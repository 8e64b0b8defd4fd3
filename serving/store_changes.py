"""Two scoring runs side by side, joined in the database: nothing is held in memory but the rows that are read.

What a change is, is said here alone, in SQL: counts, pages, files and webhooks cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from configs.change_kinds import CHANGE_KINDS, ChangeKind
from serving.predictions import SCORE_COLUMNS, CustomerScore
from serving.store_tables import customer_scores

_BEFORE, _AFTER = customer_scores.alias("before"), customer_scores.alias("after")
_SAME_CUSTOMER = _BEFORE.c.customer_id == _AFTER.c.customer_id
_CHANGE = sa.func.abs(_AFTER.c.predicted_value - _BEFORE.c.predicted_value)
ROWS_AT_ONCE = 500
"""Of so many customers the whole scores are read at once, after their order is known."""


@dataclass(frozen=True, slots=True)
class ChangeRules:
    """Two runs by their ids, and what a change between them is judged by.

    ``tiers``: those of the later run, best first; ``high_risk``: the least churn risk of the highest band;
    ``since_day``: the day that the earlier run is as of, in days since 1970-01-01: its first day not observed.
    """

    before: int
    after: int
    tiers: tuple[str, ...]
    high_risk: float
    since_day: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which changes are wanted: of these ``kinds``, of customers who are or were in these ``tiers``; all where empty."""

    kinds: tuple[ChangeKind, ...] = ()
    tiers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ChangePosition:
    """A place among changes: just after the customer with this absolute change of predicted value and this id."""

    change: float
    customer_id: str


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


@dataclass(frozen=True, slots=True)
class Changed:
    """One customer whom both runs know, and how they changed."""

    kinds: tuple[ChangeKind, ...]
    before: CustomerScore
    after: CustomerScore


def tier_pairs(connection: sa.Connection, rules: ChangeRules) -> tuple[tuple[TierPair, ...], dict[ChangeKind, int]]:
    """Count the customers of both runs by their tiers (pairs without a customer are left out), and by kind of change."""
    known_before = sa.and_(_SAME_CUSTOMER, _BEFORE.c.run_id == rules.before)
    known_after = sa.and_(_SAME_CUSTOMER, _AFTER.c.run_id == rules.after)
    kinds = [sa.func.sum(flag) for flag in _flags(rules)]
    here = (
        sa.select(_BEFORE.c.tier, _AFTER.c.tier, *_sums(), *kinds)
        .select_from(_AFTER.outerjoin(_BEFORE, known_before))
        .where(_AFTER.c.run_id == rules.after)
        .group_by(_BEFORE.c.tier, _AFTER.c.tier)
    )
    gone = (
        sa.select(_BEFORE.c.tier, sa.null(), *_sums())
        .select_from(_BEFORE.outerjoin(_AFTER, known_after))
        .where(_BEFORE.c.run_id == rules.before, _AFTER.c.customer_id.is_(None))
        .group_by(_BEFORE.c.tier)
    )
    width = len(TierPair.__dataclass_fields__)
    found = [tuple(row) for row in connection.execute(here)]
    counts = {kind: sum(int(row[width + place]) for row in found) for place, kind in enumerate(CHANGE_KINDS)}
    pairs = [row[:width] for row in found] + [tuple(row) for row in connection.execute(gone)]
    return tuple(TierPair(*pair) for pair in pairs), counts


def _sums() -> list[sa.ColumnElement[Any]]:
    values = [sa.func.coalesce(sa.func.sum(run.c.predicted_value), 0.0) for run in (_BEFORE, _AFTER)]
    return [sa.func.count(), *values]


def changed_number(connection: sa.Connection, rules: ChangeRules, wanted: Wanted) -> int:
    """Count the customers that :func:`changed_customers` gives without a limit."""
    query = sa.select(sa.func.count()).join_from(_AFTER, _BEFORE, _SAME_CUSTOMER).where(*_chosen(rules, wanted))
    return int(connection.execute(query).scalar_one())


def changed_customers(
    connection: sa.Connection, rules: ChangeRules, wanted: Wanted, limit: int | None, after: ChangePosition | None
) -> Iterator[Changed]:
    """Read changed customers by falling absolute change of predicted value, then rising id: up to ``limit`` after ``after``."""
    query = (
        sa.select(_AFTER.c.customer_id, *_flags(rules))
        .join_from(_AFTER, _BEFORE, _SAME_CUSTOMER)
        .where(*_chosen(rules, wanted), *_beyond(after))
        .order_by(_CHANGE.desc(), _AFTER.c.customer_id)
        .limit(limit)
    )
    # Drivers are nearly all that a score holds: what is sorted are the ids alone.
    streamed = {"stream_results": True, "yield_per": ROWS_AT_ONCE}
    with connection.execute(query, execution_options=streamed) as rows:
        for part in rows.partitions(ROWS_AT_ONCE):
            yield from _whole(connection, rules, part)


def _whole(connection: sa.Connection, rules: ChangeRules, part: Sequence[sa.Row[Any]]) -> Iterator[Changed]:
    ids = [row[0] for row in part]
    before, after = (_scores(connection, run, ids) for run in (rules.before, rules.after))
    for row in part:
        kinds = tuple(kind for place, kind in enumerate(CHANGE_KINDS, start=1) if row[place])
        yield Changed(kinds, before[row[0]], after[row[0]])


def _scores(connection: sa.Connection, run_id: int, ids: Iterable[str]) -> Mapping[str, CustomerScore]:
    query = sa.select(*(customer_scores.c[name] for name in SCORE_COLUMNS)).where(
        customer_scores.c.run_id == run_id, customer_scores.c.customer_id.in_(list(ids))
    )
    scores = (CustomerScore(*row) for row in connection.execute(query))
    return {score.customer_id: score for score in scores}


def _kinds(rules: ChangeRules) -> dict[ChangeKind, sa.ColumnElement[bool]]:
    """What each kind of change is; not true of a customer whom only one run knows."""
    was, now = _place(_BEFORE, rules), _place(_AFTER, rules)
    return {
        "newly_at_risk": sa.and_(_AFTER.c.churn_risk >= rules.high_risk, _BEFORE.c.churn_risk < rules.high_risk),
        "upgraded": now < was,
        "downgraded": now > was,
        "won_back": sa.and_(
            _BEFORE.c.lifecycle_stage.in_(["dormant", "lost"]),
            _AFTER.c.lifecycle_stage.in_(["active", "new"]),
            _AFTER.c.order_count > _BEFORE.c.order_count,
            _AFTER.c.last_order_day >= rules.since_day,
        ),
    }


def _place(run: sa.FromClause, rules: ChangeRules) -> sa.ColumnElement[int | None]:
    """Number the tiers, best first; one that the later run does not have has no number, and is neither better nor worse."""
    return sa.case({tier: place for place, tier in enumerate(rules.tiers)}, value=run.c.tier)


def _flags(rules: ChangeRules) -> list[sa.ColumnElement[int]]:
    kinds = _kinds(rules)
    return [sa.case((kinds[kind], 1), else_=0) for kind in CHANGE_KINDS]


def _chosen(rules: ChangeRules, wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    kinds = _kinds(rules)
    chosen = [_AFTER.c.run_id == rules.after, _BEFORE.c.run_id == rules.before]
    if wanted.tiers:
        chosen.append(sa.or_(*(run.c.tier.in_(wanted.tiers) for run in (_BEFORE, _AFTER))))
    return [*chosen, sa.or_(*(kinds[kind] for kind in wanted.kinds or CHANGE_KINDS))]


def _beyond(after: ChangePosition | None) -> list[sa.ColumnElement[bool]]:
    if after is None:
        return []
    change = _CHANGE
    return [(change < after.change) | sa.and_(change == after.change, _AFTER.c.customer_id > after.customer_id)]
