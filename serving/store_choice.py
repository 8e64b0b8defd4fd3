"""Which customers of a scoring run a list may hold, as conditions of the database: pages and counts cannot differ.

The suppressed are left out by the last condition of every choice; none can be made without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa

from configs.playbook import CAP_DAYS
from serving.holdout import Draw
from serving.store_tables import campaign_members, campaigns, customer_scores, suppressed_customers

STREAMED_ROWS = 5_000
_scores = customer_scores.c


class Cap(NamedTuple):
    """Contacts within 30 days at most of customers of a tier, stage and movement."""

    tier: str
    stage: str
    movement: str
    contacts: int


@dataclass(frozen=True, slots=True)
class Choice:
    """What is asked of each customer of a list.

    ``tiers``: one of these (all when empty). ``min_risk``, ``max_risk``: churn risk, both included. ``min_value``: predicted
    value at least. ``gone_stages``: in none of these lifecycle stages. ``min_value_at_risk``: below it a contact is not worth
    its budget. ``caps``: how often a customer may be contacted, one for every tier, stage and movement that has a limit.
    ``contact_day``: the day of contact (days since 1970-01-01), by which caps, hold-outs and suppressions are counted.
    """

    tiers: tuple[str, ...] = ()
    min_risk: float = 0.0
    max_risk: float = 1.0
    min_value: float = 0.0
    gone_stages: tuple[str, ...] = ()
    min_value_at_risk: float = 0.0
    caps: tuple[Cap, ...] = ()
    contact_day: int = 0


EVERYBODY = Choice()
"""But the suppressed."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Customers of the tiers and risks asked for who are not listed, each counted once, by the first reason that applies.

    ``held_out``: in the hold-out group of a campaign whose horizon is not over: contacted, it would measure nothing.
    """

    gone: int = 0
    below_min_value: int = 0
    not_worth_the_budget: int = 0
    contact_cap: int = 0
    held_out: int = 0
    suppressed: int = 0


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a list: just after the customer with this value at risk and id."""

    value_at_risk: float
    customer_id: str


class Sums(NamedTuple):
    """Some customers together."""

    customers: int
    churn_risk: float
    value_at_risk: float
    held_out: int = 0


ListsVersion = tuple[int, ...]


def asked_for(run_id: int, choice: Choice) -> list[sa.ColumnElement[bool]]:
    """Select by what the marketer filters: run, tiers, risk."""
    conditions = [_scores.run_id == run_id]
    if choice.tiers:
        conditions.append(_scores.tier.in_(choice.tiers))
    if choice.min_risk > 0.0:
        conditions.append(_scores.churn_risk >= choice.min_risk)
    if choice.max_risk < 1.0:
        conditions.append(_scores.churn_risk <= choice.max_risk)
    return conditions


def chosen(run_id: int, choice: Choice, recent: Sequence[int], running: Sequence[int]) -> list[sa.ColumnElement[bool]]:
    """Select the customers of a list; ``recent`` and ``running`` are what :func:`recent_campaigns` found."""
    left_out = _reasons(choice, recent, running).values()
    return [*asked_for(run_id, choice), *(sa.not_(reason) for reason in left_out)]


def in_order(
    run_id: int,
    choice: Choice,
    columns: Sequence[sa.ColumnElement[Any]],
    connection: sa.Connection,
    *,
    limit: int | None,
    after: Position | None = None,
) -> sa.Select[Any]:
    """Read the chosen by falling value at risk, then rising id: up to ``limit`` of them after ``after``."""
    conditions = chosen(run_id, choice, *recent_campaigns(connection, choice.contact_day))
    return by_value_at_risk(sa.select(*columns).where(*conditions), limit, after)


def by_value_at_risk(query: sa.Select[Any], limit: int | None, after: Position | None) -> sa.Select[Any]:
    """Put customers in the order of every list, from a position on; the first condition is what the index can start from."""
    value, customer_id = _scores.value_at_risk, _scores.customer_id
    if after is not None:
        query = query.where(value <= after.value_at_risk, (value < after.value_at_risk) | (customer_id > after.customer_id))
    return query.order_by(value.desc(), customer_id).limit(limit)


def sums(connection: sa.Connection, run_id: int, choice: Choice, most: int | None) -> Sums:
    """Count the chosen, the first ``most`` of them, and add up their risks and values at risk."""
    some = in_order(run_id, choice, [_scores.churn_risk, _scores.value_at_risk], connection, limit=most).subquery()
    if most is None:  # no order is needed to add up all of them
        conditions = chosen(run_id, choice, *recent_campaigns(connection, choice.contact_day))
        some = sa.select(_scores.churn_risk, _scores.value_at_risk).where(*conditions).subquery()
    query = sa.select(sa.func.count(), *(sa.func.coalesce(sa.func.sum(column), 0.0) for column in some.c))
    return Sums(*connection.execute(query).one())


def drawn_sums(connection: sa.Connection, run_id: int, choice: Choice, most: int | None, draw: Draw) -> Sums:
    """The same of the chosen who are not held out: only their ids tell, so they are read, up to the last contact."""
    columns = [_scores.customer_id, _scores.churn_risk, _scores.value_at_risk]
    contacts, held_out, risk, at_risk = 0, 0, 0.0, 0.0
    query = in_order(run_id, choice, columns, connection, limit=None)
    with connection.execution_options(stream_results=True, yield_per=STREAMED_ROWS).execute(query) as rows:
        for customer_id, churn_risk, value_at_risk in rows:
            if contacts == most:
                break
            if draw.holds_out(customer_id):
                held_out += 1
                continue
            contacts, risk, at_risk = contacts + 1, risk + churn_risk, at_risk + value_at_risk
    return Sums(contacts, risk, at_risk, held_out)


def lists_version(connection: sa.Connection) -> ListsVersion:
    """Tell whether the suppressed or the campaigns changed: what was counted with another version is out of date."""
    numbers = (suppressed_customers.c.entry, campaigns.c.campaign_id)
    parts = [part for number in numbers for part in (sa.func.count(number), sa.func.coalesce(sa.func.max(number), 0))]
    queries = [sa.select(part).scalar_subquery() for part in parts]
    return tuple(connection.execute(sa.select(*queries)).one())


def left_out(connection: sa.Connection, run_id: int, choice: Choice) -> LeftOut:
    """Count who is not listed, and why."""
    reasons = _reasons(choice, *recent_campaigns(connection, choice.contact_day))
    why = sa.case(*((condition, name) for name, condition in reasons.items()))
    query = sa.select(why, sa.func.count()).where(*asked_for(run_id, choice)).group_by(why)
    return LeftOut(**{name: count for name, count in connection.execute(query) if name is not None})


def recent_campaigns(connection: sa.Connection, contact_day: int) -> tuple[list[int], list[int]]:
    """Give the campaigns whose contacts count for the cap of ``contact_day``, and those whose hold-out group is still needed."""
    day = campaigns.c.contact_day
    near = sa.select(campaigns.c.campaign_id).where(day > contact_day - CAP_DAYS, day < contact_day + CAP_DAYS)
    running = sa.select(campaigns.c.campaign_id).where(
        campaigns.c.held_out > 0, day <= contact_day, day + campaigns.c.horizon_days > contact_day
    )
    return list(connection.execute(near).scalars()), list(connection.execute(running).scalars())


def _reasons(choice: Choice, recent: Sequence[int], running: Sequence[int]) -> dict[str, sa.ColumnElement[bool]]:
    """Why a customer is left out, by the names of :class:`LeftOut`; being suppressed comes last, and always."""
    reasons: dict[str, sa.ColumnElement[bool]] = {}
    if choice.gone_stages:
        reasons["gone"] = _scores.lifecycle_stage.in_(choice.gone_stages)
    if choice.min_value > 0.0:
        reasons["below_min_value"] = _scores.predicted_value < choice.min_value
    if choice.min_value_at_risk > 0.0:
        reasons["not_worth_the_budget"] = _scores.value_at_risk < choice.min_value_at_risk
    if choice.caps:
        reasons["contact_cap"] = _capped(choice.caps, recent)
    if running:
        reasons["held_out"] = _member_of(running, held_out=True).exists()
    return {**reasons, "suppressed": sa.not_(not_suppressed(choice.contact_day))}


def _capped(caps: Sequence[Cap], recent: Sequence[int]) -> sa.ColumnElement[bool]:
    """Nearly nobody was contacted of late: the limits are looked up for those alone."""
    left_alone = sa.or_(sa.false(), *(_fits(cap) for cap in caps if cap.contacts == 0))
    if not recent:
        return left_alone
    contacted = _member_of(recent, held_out=False)
    contacts = contacted.with_only_columns(sa.func.count()).scalar_subquery()
    limits = sa.case(*((_fits(cap), cap.contacts) for cap in caps))  # NULL, which is never reached, where there is no limit
    return sa.or_(left_alone, sa.and_(contacted.exists(), sa.func.coalesce(contacts >= limits, sa.false())))


def _fits(cap: Cap) -> sa.ColumnElement[bool]:
    return sa.and_(_scores.tier == cap.tier, _scores.lifecycle_stage == cap.stage, _scores.movement == cap.movement)


def _member_of(which: Sequence[int], *, held_out: bool) -> sa.Select[tuple[str]]:
    return sa.select(campaign_members.c.customer_id).where(
        campaign_members.c.customer_id == _scores.customer_id,
        campaign_members.c.campaign_id.in_(which),
        campaign_members.c.held_out.is_(held_out),
    )


def not_suppressed(contact_day: int) -> sa.ColumnElement[bool]:
    """Select customers who may be contacted on a day."""
    until = suppressed_customers.c.until_day
    entry = sa.select(suppressed_customers.c.entry).where(
        suppressed_customers.c.customer_id == _scores.customer_id, until.is_(None) | (until > contact_day)
    )
    return sa.not_(entry.exists())
